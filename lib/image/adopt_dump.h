#ifndef PAGELIFT_LIB_IMAGE_ADOPT_DUMP_H_
#define PAGELIFT_LIB_IMAGE_ADOPT_DUMP_H_

#include <string>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

struct AdoptedDump {
  std::string dump;  // The directory whose pages they are; it is gone.
  std::string content_id;
  PageCount pages;  // All of them.
};

// Makes the checkpoint `out`, which must not exist, of `images`, in which
// `criu dump --page-server` has left all but the pages, and of the pages in
// `dump`, which a sink received (received_dump.h) on the same file system. If
// `dump` is empty, it is the directory beside `out` that fits `images`: the
// same tasks, every page in a mapping, and as many of them as the dump counted.
// `out` appears whole or not at all; `images` stay.
//
// kNotFound if none fits, kFailedPrecondition if the one that is named does
// not, or if several do: the error names them.
absl::StatusOr<AdoptedDump> AdoptDump(const std::string& images,
                                      const std::string& out,
                                      const std::string& dump);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_ADOPT_DUMP_H_
