#ifndef PAGELIFT_LIB_IMAGE_STAGED_DIRECTORY_H_
#define PAGELIFT_LIB_IMAGE_STAGED_DIRECTORY_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lib/base/unique_fd.h"
#include "lib/image/image_directory.h"

namespace pagelift {

// A directory of images that is being written. It appears under its name all at
// once, when everything in it is on the disk; before that it has a hidden name
// beside it. Files are made, and none is overwritten.
//
// Thread-compatible. One that is not published is removed with all that is in
// it.
class StagedDirectory {
 public:
  // kAlreadyExists if there is anything at `path`.
  static absl::StatusOr<StagedDirectory> Make(const std::string& path);
  ~StagedDirectory();
  StagedDirectory(StagedDirectory&& other) noexcept
      : path_(std::move(other.path_)),
        staged_(std::exchange(other.staged_, "")) {}
  StagedDirectory& operator=(StagedDirectory&&) = delete;

  // Where it is until it is published.
  const std::string& staged_path() const { return staged_; }

  // A new file of ours alone, to be written.
  absl::StatusOr<UniqueFd> CreateFile(const std::string& name) const;
  absl::Status WriteFile(const std::string& name,
                         absl::string_view contents) const;
  // A copy, with its permissions; of what a symbolic link leads to. Returns the
  // size.
  absl::StatusOr<uint64_t> CopyFile(const ImageDirectory& from,
                                    const std::string& name) const;
  // The same file under another name. It has to be on the same file system.
  absl::Status LinkFile(const std::string& directory,
                        const std::string& name) const;

  // Brings all to the disk, and gives the directory its name. kAlreadyExists if
  // somebody else took the name meanwhile.
  absl::Status Publish();

 private:
  StagedDirectory(std::string path, std::string staged)
      : path_(std::move(path)), staged_(std::move(staged)) {}

  std::string path_;
  std::string staged_;  // Empty: published.
};

// Removes a folder of files. One with folders in it stays.
absl::Status RemoveFolder(const std::string& path);

// Where `path` is, or would be: it may end in slashes.
std::string FolderOf(const std::string& path);

// Removes from `directory` what a process that died has left unpublished, of
// names that begin with `prefix`. Returns how many there were.
absl::StatusOr<int> RemoveStaged(const std::string& directory,
                                 const std::string& prefix);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_STAGED_DIRECTORY_H_
