#ifndef PAGELIFT_LIB_WORKINGSET_RECORDING_PROTO_H_
#define PAGELIFT_LIB_WORKINGSET_RECORDING_PROTO_H_

#include "absl/status/statusor.h"
#include "lib/memory/page.h"
#include "lib/workingset/recording.h"
#include "pagelift/v1/working_set.pb.h"

// Recording to and from pagelift.v1.Recording.
namespace pagelift {

v1::Recording EncodeRecording(const Recording& recording);

// Of an image of `page_count` pages. Whoever sent `message` is hostile until
// it is checked: kResourceExhausted if it is larger than a recording may be,
// kInvalidArgument if it is none of this image, with what is wrong.
absl::StatusOr<Recording> DecodeRecording(const v1::Recording& message,
                                          PageCount page_count);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_WORKINGSET_RECORDING_PROTO_H_
