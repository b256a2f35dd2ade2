#ifndef PAGELIFT_LIB_WORKINGSET_WORKING_SET_CODEC_H_
#define PAGELIFT_LIB_WORKINGSET_WORKING_SET_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/memory/page.h"
#include "lib/workingset/working_set.h"

// The bytes of the file that keeps a working set: pagelift.v1.WorkingSetFile.
namespace pagelift {

// No file is larger.
inline constexpr size_t kMostWorkingSetBytes = size_t{24} << 20;

std::string EncodeWorkingSet(const WorkingSet& working_set,
                             const std::string& content_id);

// Of the image `content_id`, of `page_count` pages. Fails with what is wrong:
// kFailedPrecondition if the bytes are of another checkpoint, otherwise
// kDataLoss.
absl::StatusOr<WorkingSet> DecodeWorkingSet(absl::string_view bytes,
                                            const std::string& content_id,
                                            PageCount page_count);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_WORKINGSET_WORKING_SET_CODEC_H_
