#include "lib/image/image_file.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "google/protobuf/unknown_field_set.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

constexpr uint32_t kCommonMagic = 0x54564319;
// Of what is not needed to restore.
constexpr uint32_t kServiceMagic = 0x55105940;
constexpr uint32_t kInventoryMagic = 0x58313116;
constexpr size_t kWord = sizeof(uint32_t);

uint32_t TypeMagic(ImageKind kind) {
  switch (kind) {
    case ImageKind::kInventory:
      return kInventoryMagic;
    case ImageKind::kProcessTree:
      return 0x50273030;
    case ImageKind::kMemory:
      return 0x57492820;
    case ImageKind::kPagemap:
      return 0x56084025;
    case ImageKind::kCore:
      return 0x55053847;
    case ImageKind::kStats:
      return 0x57093306;
  }
  return 0;
}

// Images are little-endian, and so are the machines we run on.
uint32_t WordAt(std::string_view bytes, uint64_t offset) {
  uint32_t word;
  std::memcpy(&word, bytes.data() + offset, kWord);
  return word;
}

std::string WordBytes(uint32_t word) {
  std::string bytes(kWord, '\0');
  std::memcpy(bytes.data(), &word, kWord);
  return bytes;
}

constexpr char kCopyAgain[] =
    "the file is damaged or its copy incomplete; copy the checkpoint again";

}  // namespace

ImageFile::ImageFile(std::string name, std::string_view contents,
                     uint64_t offset)
    : name_(std::move(name)), contents_(contents), offset_(offset) {}

absl::StatusOr<ImageFile> ImageFile::Parse(std::string name,
                                           std::string_view contents,
                                           ImageKind kind) {
  std::string magic = ImageMagic(kind);
  if (contents.size() < magic.size()) {
    return absl::DataLossError(
        absl::StrCat(name, " has ", contents.size(),
                     " bytes, too few for an image: ", kCopyAgain));
  }
  if (contents.substr(0, magic.size()) != magic) {
    return absl::DataLossError(absl::StrCat(
        name, " starts with ", absl::Hex(WordAt(contents, 0)), " ",
        contents.size() < 2 * kWord ? absl::Hex(0)
                                    : absl::Hex(WordAt(contents, kWord)),
        ", which is not the magic of an image of that kind: it is no CRIU "
        "image, or one from before CRIU 2.0"));
  }
  uint64_t start = magic.size();
  return ImageFile(std::move(name), contents, start);
}

absl::StatusOr<std::optional<ImageRecord>> ImageFile::Next() {
  uint64_t left = contents_.size() - offset_;
  if (left == 0) return std::optional<ImageRecord>();
  if (left < kWord) {
    return absl::DataLossError(absl::StrCat(
        name_, " ends in the middle of a record's length at offset ", offset_,
        ": ", kCopyAgain));
  }
  uint32_t size = WordAt(contents_, offset_);
  if (left - kWord < size) {
    return absl::DataLossError(absl::StrCat(
        name_, ": the record at offset ", offset_, " has ", size,
        " bytes, of which the file has ", left - kWord, ": ", kCopyAgain));
  }
  ImageRecord record{offset_, contents_.substr(offset_ + kWord, size)};
  offset_ += kWord + size;
  return std::optional(record);
}

absl::StatusOr<ImageRecord> ImageFile::OnlyRecord() {
  ASSIGN_OR_RETURN(std::optional<ImageRecord> record, Next());
  if (!record) {
    return absl::DataLossError(
        absl::StrCat(name_, " has no record: ", kCopyAgain));
  }
  if (offset_ != contents_.size()) {
    return absl::DataLossError(
        absl::StrCat(name_, " goes on after its only record, at offset ",
                     offset_, ": ", kCopyAgain));
  }
  return *record;
}

absl::Status ImageFile::Decode(const ImageRecord& record,
                               google::protobuf::Message* message) const {
  if (message->ParseFromArray(record.bytes.data(), record.bytes.size())) {
    return absl::OkStatus();
  }
  return Corrupt(record, absl::StrCat("is no message: ", kCopyAgain));
}

absl::Status ImageFile::Corrupt(const ImageRecord& record,
                                const std::string& what) const {
  return absl::DataLossError(
      absl::StrCat(name_, ": the record at offset ", record.offset, " ", what));
}

absl::Status ImageFile::CheckNoFieldsAbove(
    int greatest, const ImageRecord& record,
    const google::protobuf::Message& message) const {
  const google::protobuf::UnknownFieldSet& unknown =
      message.GetReflection()->GetUnknownFields(message);
  for (int i = 0; i < unknown.field_count(); ++i) {
    int number = unknown.field(i).number();
    if (number <= greatest) continue;
    return absl::UnimplementedError(absl::StrCat(
        name_, ": the record at offset ", record.offset, " has field ", number,
        ", which CRIU 4.2 does not write: the checkpoint was made by a newer "
        "CRIU, perhaps with compressed pages; dump without --compress, or "
        "update Pagelift"));
  }
  return absl::OkStatus();
}

std::string ImageMagic(ImageKind kind) {
  std::string type = WordBytes(TypeMagic(kind));
  switch (kind) {
    case ImageKind::kInventory:  // The one image without a common magic.
      return type;
    case ImageKind::kStats:
      return WordBytes(kServiceMagic) + type;
    default:
      return WordBytes(kCommonMagic) + type;
  }
}

std::string FramedRecord(std::string_view bytes) {
  return WordBytes(static_cast<uint32_t>(bytes.size())).append(bytes);
}

}  // namespace pagelift
