#ifndef PAGELIFT_LIB_IMAGE_IMAGE_FILE_H_
#define PAGELIFT_LIB_IMAGE_IMAGE_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace google {
namespace protobuf {
class Message;
}  // namespace protobuf
}  // namespace google

namespace pagelift {

enum class ImageKind {
  kInventory,
  kProcessTree,
  kMemory,
  kPagemap,
  kCore,
  kStats
};

// One length-prefixed message of an image file.
struct ImageRecord {
  uint64_t offset = 0;  // Of its length in the file, for error messages.
  std::string_view bytes;
};

// Reads the framing of a CRIU image file: magic numbers, then records to the
// end.
//
// Thread-compatible. `contents` must outlive it and its records. Nothing of the
// contents is trusted; errors name the file, the offset, and what may be done.
class ImageFile {
 public:
  // Checks the magic numbers. `name` is for error messages.
  static absl::StatusOr<ImageFile> Parse(std::string name,
                                         std::string_view contents,
                                         ImageKind kind);

  // The next record; nothing at the end.
  absl::StatusOr<std::optional<ImageRecord>> Next();

  // For images that are a single record.
  absl::StatusOr<ImageRecord> OnlyRecord();

  absl::Status Decode(const ImageRecord& record,
                      google::protobuf::Message* message) const;

  // An error that names the file and the record's offset.
  absl::Status Corrupt(const ImageRecord& record,
                       const std::string& what) const;
  // Refuses `record` if `message` has unknown fields with numbers above
  // `greatest`: a newer CRIU wrote something there that we would ignore.
  absl::Status CheckNoFieldsAbove(
      int greatest, const ImageRecord& record,
      const google::protobuf::Message& message) const;

  const std::string& name() const { return name_; }

 private:
  ImageFile(std::string name, std::string_view contents, uint64_t offset);

  std::string name_;
  std::string_view contents_;
  uint64_t offset_;
};

// The bytes that start a file of that kind, and a record with its length before
// it: for files we write.
std::string ImageMagic(ImageKind kind);
std::string FramedRecord(std::string_view bytes);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_IMAGE_FILE_H_
