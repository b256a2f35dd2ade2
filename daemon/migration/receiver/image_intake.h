#ifndef PAGELIFT_DAEMON_MIGRATION_RECEIVER_IMAGE_INTAKE_H_
#define PAGELIFT_DAEMON_MIGRATION_RECEIVER_IMAGE_INTAKE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/byte_span.h"
#include "lib/base/unique_fd.h"
#include "lib/base/xxh3.h"
#include "lib/image/shipped_files.h"

namespace pagelift {

// Takes the files of an image directory that another host sends, one after the
// other, which are hostile until checked. They become the directory `images`
// when all are there, and not before: at every instant that has all files of
// one sender or of an earlier one, or is not there. They are on the disk, and
// outlive a failure of power, after SyncImages(), which is slow.
//
// kInvalidArgument: what was sent breaks a rule; kDataLoss: a file is not what
// its digest says. After an error all is to be sent anew.
//
// Thread-compatible; one at a time has a directory. Dropped, it leaves nothing
// but `images.new`, which the next one removes.
class ImageIntake {
 public:
  struct Limits {
    size_t files = 100'000;
    uint64_t bytes = uint64_t{1} << 40;
  };

  // Into the directory `parent`, of which it keeps no more than a descriptor.
  static absl::StatusOr<ImageIntake> Begin(const std::string& parent,
                                           size_t file_count, Limits limits);
  static absl::StatusOr<ImageIntake> Begin(const std::string& parent,
                                           size_t file_count) {
    return Begin(parent, file_count, Limits());
  }

  // The file before it is whole, and this one begins.
  absl::Status BeginFile(const ShippedFile& file);
  // More of it.
  absl::Status Add(ByteSpan contents);
  // All are there. To be called once.
  absl::Status Publish();

 private:
  ImageIntake(UniqueFd parent, UniqueFd directory, size_t file_count,
              Limits limits)
      : parent_(std::move(parent)),
        directory_(std::move(directory)),
        file_count_(file_count),
        limits_(limits) {}
  absl::Status CheckNew(const ShippedFile& file) const;
  absl::Status EndFile();

  UniqueFd parent_;
  UniqueFd directory_;  // images.new
  size_t file_count_;
  Limits limits_;
  absl::flat_hash_set<std::string> names_;
  uint64_t announced_ = 0;  // Bytes of all files so far.

  UniqueFd fd_;  // Of the file that is being received, if any is.
  ShippedFile file_;
  uint64_t received_ = 0;
  Xxh3 digest_;
};

// Has the published images of `parent` on the disk when it returns.
absl::Status SyncImages(const std::string& parent);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_RECEIVER_IMAGE_INTAKE_H_
