#include "daemon/migration/wire/shipped_images.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "lib/base/status_macros.h"
#include "lib/image/shipped_files.h"
#include "pagelift/v1/migration.pb.h"

namespace pagelift {
namespace {

constexpr size_t kPartBytes = 128 << 10;

class Parts {
 public:
  Parts(v1::RestoreRequest restore, std::string images,
        std::vector<ShippedFile> files)
      : restore_(std::move(restore)),
        images_(std::move(images)),
        files_(std::move(files)) {}

  absl::StatusOr<bool> Next(v1::ShipImagesRequest* part) {
    if (!started_) {
      // At once: who gets it has something to do meanwhile.
      started_ = true;
      part->mutable_start()->set_id(restore_.id());
      *part->mutable_start()->mutable_restore() = restore_;
      part->mutable_start()->set_file_count(
          static_cast<uint32_t>(files_.size()));
      return true;
    }
    size_t room = kPartBytes;
    while (room > 0 && (reader_.has_value() || next_ < files_.size())) {
      if (!reader_.has_value()) {
        RETURN_IF_ERROR(BeginFile(part->add_pieces()->mutable_file()));
        continue;
      }
      std::string* const contents = part->add_pieces()->mutable_contents();
      ASSIGN_OR_RETURN(const bool is_over, Read(room, contents));
      room -= contents->size();
      if (contents->empty()) part->mutable_pieces()->RemoveLast();
      if (is_over) reader_.reset();
    }
    return part->pieces_size() > 0;
  }

 private:
  absl::Status BeginFile(v1::ShipImagesRequest::File* told) {
    const ShippedFile& file = files_[next_++];
    ASSIGN_OR_RETURN(ShippedFileReader reader,
                     ShippedFileReader::Open(images_, file));
    reader_.emplace(std::move(reader));
    left_ = file.size;
    told->set_name(file.name);
    told->set_size(file.size);
    told->set_digest(file.digest);
    return absl::OkStatus();
  }

  // Whether that was the end of the file.
  absl::StatusOr<bool> Read(size_t room, std::string* contents) {
    // One more than there is: at its end is checked what was read.
    const size_t asked = std::min<uint64_t>(left_ + 1, room);
    contents->resize(asked);
    ASSIGN_OR_RETURN(
        const size_t got,
        reader_->Read(absl::MakeSpan(
            reinterpret_cast<std::byte*>(contents->data()), contents->size())));
    contents->resize(got);
    left_ -= got;
    return got < asked;
  }

  const v1::RestoreRequest restore_;
  const std::string images_;
  const std::vector<ShippedFile> files_;
  bool started_ = false;
  size_t next_ = 0;
  std::optional<ShippedFileReader> reader_;
  uint64_t left_ = 0;  // Of its file.
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
