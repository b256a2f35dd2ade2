#include "daemon/migration/wire/shipped_images.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "lib/base/status_macros.h"
#include "lib/image/shipped_files.h"
#include "pagelift/v1/migration.pb.h"

namespace pagelift {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

class Parts {
 public:
  Parts(v1::RestoreRequest restore, std::string images,
        std::vector<ShippedFile> files)
      : restore_(std::move(restore)),
        images_(std::move(images)),
        files_(std::move(files)),
        piece_(kPieceBytes) {}

  absl::StatusOr<bool> Next(v1::ShipImagesRequest* part) {
    if (!started_) {
      started_ = true;
      part->mutable_start()->set_id(restore_.id());
      *part->mutable_start()->mutable_restore() = restore_;
      part->mutable_start()->set_file_count(
          static_cast<uint32_t>(files_.size()));
      return true;
    }
    if (reader_.has_value()) {
      ASSIGN_OR_RETURN(const size_t got, reader_->Read(absl::MakeSpan(piece_)));
      if (got > 0) {
        part->set_contents(piece_.data(), got);
        return true;
      }
      reader_.reset();
    }
    if (next_ == files_.size()) return false;
    const ShippedFile& file = files_[next_++];
    ASSIGN_OR_RETURN(ShippedFileReader reader,
                     ShippedFileReader::Open(images_, file));
    reader_.emplace(std::move(reader));
    part->mutable_file()->set_name(file.name);
    part->mutable_file()->set_size(file.size);
    part->mutable_file()->set_digest(file.digest);
    return true;
  }

 private:
  const v1::RestoreRequest restore_;
  const std::string images_;
  const std::vector<ShippedFile> files_;
  std::vector<std::byte> piece_;
  bool started_ = false;
  size_t next_ = 0;
  std::optional<ShippedFileReader> reader_;
};

}  // namespace

absl::StatusOr<MigrationClient::NextPart> PartsOfImages(
    const v1::RestoreRequest& restore, const std::string& images) {
  ASSIGN_OR_RETURN(std::vector<ShippedFile> files, FilesToShip(images));
  auto parts = std::make_shared<Parts>(restore, images, std::move(files));
  return MigrationClient::NextPart(
      [parts](v1::ShipImagesRequest* part) { return parts->Next(part); });
}

}  // namespace pagelift
