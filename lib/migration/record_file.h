#ifndef PAGELIFT_LIB_MIGRATION_RECORD_FILE_H_
#define PAGELIFT_LIB_MIGRATION_RECORD_FILE_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message_lite.h"

namespace pagelift {

// A message that a file of a directory holds, as it was last written. Whoever
// reads it finds all of the one before or all of the last one, also after a
// power failure. One writer at a time.
//
// The file has two slots, of the same size, and the older one is written over:
// nothing of the file system changes, so that it is on the disk in a quarter of
// the time that replacing a file takes, and a full disk is no obstacle. Each
// slot is, in the byte order of this host: "PLREC1\0\0"; the number of the
// write, and how many bytes the message has, of 64 bits each; XXH3 of those two
// numbers and the message, 64 bits, seed 0; the message.

// On the disk when this returns. After an error the one before is what is read;
// after a power failure it may be either.
absl::Status WriteRecord(const std::string& directory, const std::string& name,
                         const google::protobuf::MessageLite& record);

// Whether there is one. kDataLoss: it is no such message.
absl::StatusOr<bool> ReadRecordInto(const std::string& directory,
                                    const std::string& name,
                                    google::protobuf::MessageLite& record);

// The same for what is of use only as long as this host is up: not on the disk,
// and nothing but the message.
absl::Status WriteNote(const std::string& directory, const std::string& name,
                       const google::protobuf::MessageLite& note);
absl::StatusOr<bool> ReadNoteInto(const std::string& directory,
                                  const std::string& name,
                                  google::protobuf::MessageLite& note);

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
template <typename Note>
absl::StatusOr<std::optional<Note>> ReadNote(const std::string& directory,
                                             const std::string& name) {
  Note note;
  const absl::StatusOr<bool> found = ReadNoteInto(directory, name, note);
  if (!found.ok()) return found.status();
  if (!*found) return std::optional<Note>();
  return std::optional<Note>(std::move(note));
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MIGRATION_RECORD_FILE_H_
