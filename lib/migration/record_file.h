#ifndef PAGELIFT_LIB_MIGRATION_RECORD_FILE_H_
#define PAGELIFT_LIB_MIGRATION_RECORD_FILE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message_lite.h"

namespace pagelift {

// A message that a file of a directory holds, as it was last written.

// Replaces it: see replace_file.h. On the disk when this returns.
absl::Status WriteRecord(const std::string& directory, const std::string& name,
                         const google::protobuf::MessageLite& record);

// The same for what is of use only as long as this host is up: not on the disk.
absl::Status WriteNote(const std::string& directory, const std::string& name,
                       const google::protobuf::MessageLite& note);

// Whether there is one. kDataLoss: it is no such message.
absl::StatusOr<bool> ReadRecordInto(const std::string& directory,
                                    const std::string& name,
                                    google::protobuf::MessageLite& record);

// The same; nothing if there is none.
template <typename Record>
absl::StatusOr<std::optional<Record>> ReadRecord(const std::string& directory,
                                                 const std::string& name) {
  Record record;
  const absl::StatusOr<bool> found = ReadRecordInto(directory, name, record);
  if (!found.ok()) return found.status();
  if (!*found) return std::optional<Record>();
  return std::optional<Record>(std::move(record));
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MIGRATION_RECORD_FILE_H_
