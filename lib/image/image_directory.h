#ifndef PAGELIFT_LIB_IMAGE_IMAGE_DIRECTORY_H_
#define PAGELIFT_LIB_IMAGE_IMAGE_DIRECTORY_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// A directory of CRIU image files, open: renaming it does no harm. Errors name
// the file by its path.
//
// Thread-compatible.
class ImageDirectory {
 public:
  static absl::StatusOr<ImageDirectory> Open(const std::string& path);

  // The directory of the dump before this one: the symbolic link `parent`.
  // Nothing if there is none.
  absl::StatusOr<std::optional<ImageDirectory>> OpenParent() const;

  // Opens a regular file for reading. kNotFound if there is no such file.
  absl::StatusOr<UniqueFd> OpenFile(const std::string& name) const;
  // All of a file. Refuses one of more than a gibibyte: no metadata is so
  // large.
  absl::StatusOr<std::string> ReadFile(const std::string& name) const;
  bool Has(const std::string& name) const;
  // The names of everything in the directory, sorted.
  absl::StatusOr<std::vector<std::string>> List() const;

  const std::string& path() const { return path_; }
  std::string PathOf(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  ImageDirectory(std::string path, UniqueFd fd);

  std::string path_;
  UniqueFd fd_;
};

// What restore writes beside the images, or another program (ours, too) has
// left there, is none of them.
bool IsOfTheImage(const std::string& name);

// Whether a copy that stands alone has it, pages apart: a file, or a link that
// ought to lead to one, that is of the image.
bool IsImageFile(const ImageDirectory& directory, const std::string& name);

// The directory `path` and its parents, the newest first. Refuses chains that
// do not end.
absl::StatusOr<std::vector<ImageDirectory>> OpenImageChain(
    const std::string& path);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_IMAGE_DIRECTORY_H_
