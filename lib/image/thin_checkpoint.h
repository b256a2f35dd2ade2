#ifndef PAGELIFT_LIB_IMAGE_THIN_CHECKPOINT_H_
#define PAGELIFT_LIB_IMAGE_THIN_CHECKPOINT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

// A thin checkpoint is what a restore host needs of one if its pages are
// elsewhere: all that criu itself reads, and the places, but not the contents,
// of what the pager serves.

// What was made.
struct ThinCheckpoint {
  std::string content_id;   // That of the checkpoint that it was made of.
  uint64_t bytes = 0;       // Of all its files.
  PageCount left_out;       // Contents that are not in it, and were here.
  PageCount with_a_server;  // What is to be served: those, and perhaps others
                            // that were not here either.
};

// Makes `out`, which must not exist, of the checkpoint in `images`. It stands
// alone: what restore reads itself of parent images is copied into it. Logs and
// sockets, and what is of use only beside the pages (seal, working set), are
// not. `out` appears whole or not at all. kAlreadyExists, kInvalidArgument:
// it cannot be made there; kFailedPrecondition: a page that criu itself has to
// read is not here.
absl::StatusOr<ThinCheckpoint> WriteThinCheckpoint(const std::string& images,
                                                   const std::string& out);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_THIN_CHECKPOINT_H_
