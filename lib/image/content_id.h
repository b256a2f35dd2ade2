#ifndef PAGELIFT_LIB_IMAGE_CONTENT_ID_H_
#define PAGELIFT_LIB_IMAGE_CONTENT_ID_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/image/image_directory.h"
#include "lib/source/image_description.h"

namespace pagelift {

// 32 hexadecimal digits that are the same for every copy of a checkpoint, with
// or without its page contents, and different for every dump: a hash over the
// names, sizes and bytes of inventory.img, pstree.img, mm-*.img and core-*.img,
// and over the numbers that the pages of `tasks` have. So whoever holds two
// images of one id may ask either of them for a page by its number.
absl::StatusOr<std::string> ContentIdOf(
    const ImageDirectory& directory, const std::vector<TaskDescription>& tasks);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_CONTENT_ID_H_
