#ifndef PAGELIFT_LIB_IMAGE_SHIPPED_FILES_H_
#define PAGELIFT_LIB_IMAGE_SHIPPED_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/base/xxh3.h"

namespace pagelift {

// A file of an image directory that is sent to another host.
struct ShippedFile {
  std::string name;  // In the directory.
  uint64_t size = 0;
  uint64_t digest = 0;  // XXH3, 64 bits, seed 0, over its contents.
};

// The files of the image directory that criu restore reads, by name: *.img, of
// which pages-*.img holds what is not lazy. Not criu's logs, statistics and
// sockets. Reads all of them, for their digests.
absl::StatusOr<std::vector<ShippedFile>> FilesToShip(
    const std::string& directory);

// Reads one of them, from the beginning.
//
// Thread-compatible.
class ShippedFileReader {
 public:
  static absl::StatusOr<ShippedFileReader> Open(const std::string& directory,
                                                ShippedFile file);

  // Fills `piece`, or as much of it as is left; 0: the file is over.
  // kDataLoss if it is not what it was when its digest was made; so it is to be
  // read until it is over.
  absl::StatusOr<size_t> Read(absl::Span<std::byte> piece);

 private:
  ShippedFileReader(UniqueFd fd, ShippedFile file)
      : fd_(std::move(fd)), file_(std::move(file)) {}
  absl::Status Changed() const;

  UniqueFd fd_;
  ShippedFile file_;
  uint64_t read_ = 0;
  Xxh3 digest_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_SHIPPED_FILES_H_
