#ifndef PAGELIFT_LIB_IMAGE_RESTORE_VIEW_H_
#define PAGELIFT_LIB_IMAGE_RESTORE_VIEW_H_

#include <string>

#include "absl/status/status.h"
#include "lib/image/checkpoint_image.h"

namespace pagelift {

// `criu restore --lazy-pages` leaves alone what its pagemaps mark lazy, but
// reads the pages of parent images itself, all of them, before the task runs. A
// restore view is a directory for restore to read instead of the images: the
// same, with those pages marked lazy too.

// Whether restoring from the images themselves would read pages that we serve.
bool NeedsRestoreView(const CheckpointImage& image);

// Makes `view`, which must be an empty directory or not exist: symbolic links
// to all that is in `images`, except logs and sockets, and rewritten pagemaps
// where there are pages of parent images to be served. Such pages become lazy
// pages without contents, which leaves the places of all others in the pages
// files as they are; pages at stack pointers, and those outside lazy regions,
// go on being restored from the parent. `images` must stay where it is as long
// as the view is used. After an error `view` is to be removed.
absl::Status WriteRestoreView(const std::string& images,
                              const std::string& view);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_RESTORE_VIEW_H_
