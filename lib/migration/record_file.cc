#include "lib/migration/record_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/base/open_directory.h"
#include "lib/base/read_file.h"
#include "lib/base/replace_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/base/xxh3.h"

namespace pagelift {
namespace {

constexpr size_t kSmallestSlot = 8192;  // Most are below 1 KiB.

struct SlotHeader {
  std::array<char, 8> magic = kMagic;
  uint64_t number = 0;  // Of the write; 0: none.
  uint64_t size = 0;    // Of what follows.
  uint64_t digest = 0;

  static constexpr std::array<char, 8> kMagic = {'P', 'L', 'R', 'E',
                                                 'C', '1', 0,   0};
};

uint64_t DigestOf(const SlotHeader& header, absl::string_view message) {
  const uint64_t numbers[] = {header.number, header.size};
  Xxh3 digest;
  digest.Add(absl::string_view(reinterpret_cast<const char*>(numbers),
                               sizeof(numbers)));
  digest.Add(message);
  return digest.Get();
}

std::string MakeSlot(uint64_t number, absl::string_view message) {
  SlotHeader header;
  header.number = number;
  header.size = message.size();
  header.digest = DigestOf(header, message);
  return absl::StrCat(
      absl::string_view(reinterpret_cast<const char*>(&header), sizeof(header)),
      message);
}

// What a file holds.
struct Slots {
  size_t size = 0;  // Of a slot; 0: it is no such file.
  size_t newest = 0;
  uint64_t number = 0;  // Of the newest; 0: neither is whole.
  absl::string_view message;

  explicit Slots(absl::string_view file) {
    if (file.size() < 2 * kSmallestSlot || file.size() % 2 != 0) return;
    size = file.size() / 2;
    for (size_t i : {0, 1}) Look(i, file.substr(i * size, size));
  }

 private:
  void Look(size_t i, absl::string_view slot) {
    SlotHeader header;
    memcpy(&header, slot.data(), sizeof(header));
    slot.remove_prefix(sizeof(header));
    if (header.magic != SlotHeader::kMagic || header.size > slot.size() ||
        header.number <= number) {
      return;
    }
    slot = slot.substr(0, header.size);
    if (header.digest != DigestOf(header, slot)) return;
    newest = i;
    number = header.number;
    message = slot;
  }
};

absl::Status WriteAnew(const std::string& directory, const std::string& name,
                       absl::string_view slot) {
  size_t size = kSmallestSlot;
  while (size < slot.size()) size *= 2;
  std::string file(slot);
  file.resize(2 * size);
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenDirectory(directory));
  RETURN_IF_ERROR(ReplaceFile(fd.get(), name, file));
  // Its name, too: nothing may be done that only an old record explains.
  if (fsync(fd.get()) != 0) return SysError("fsync ", directory);
  return absl::OkStatus();
}

absl::Status WriteAt(int fd, size_t offset, absl::string_view bytes) {
  // A part of it is not whole, and so is not there.
  if (pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
      static_cast<ssize_t>(bytes.size())) {
    return SysError("write a record");
  }
  if (fdatasync(fd) != 0) return SysError("fdatasync of a record");
  return absl::OkStatus();
}

absl::Status WriteOver(const std::string& path, size_t offset,
                       absl::string_view slot) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return SysError("open ", path);
  absl::Status written = WriteAt(fd.get(), offset, slot);
  if (!written.ok()) {
    // The kernel keeps what it could not write, shows it to whoever reads, and
    // forgets it some day: nobody may act on that, or take the other slot, the
    // last that is on the disk, for the older one.
    WriteAt(fd.get(), offset, std::string(sizeof(SlotHeader), '\0'))
        .IgnoreError();
  }
  return written;
}

// Nothing if it is not there.
absl::StatusOr<std::optional<std::string>> ReadIfThere(
    const std::string& path) {
  absl::StatusOr<std::string> contents = ReadFile(path);
  if (absl::IsNotFound(contents.status())) return std::optional<std::string>();
  RETURN_IF_ERROR(contents.status());
  return std::optional<std::string>(*std::move(contents));
}

std::string PathOf(const std::string& directory, const std::string& name) {
  return absl::StrCat(directory, "/", name);
}

absl::Status Damaged(const std::string& path) {
  return absl::DataLossError(absl::StrCat(path, " is damaged"));
}

}  // namespace

absl::Status WriteRecord(const std::string& directory, const std::string& name,
                         const google::protobuf::MessageLite& record) {
  const std::string path = PathOf(directory, name);
  ASSIGN_OR_RETURN(const std::optional<std::string> found, ReadIfThere(path));
  const std::string file = found.value_or("");
  const Slots slots(file);
  const std::string slot =
      MakeSlot(slots.number + 1, record.SerializeAsString());
  if (slots.number == 0 || slot.size() > slots.size) {
    return WriteAnew(directory, name, slot);
  }
  return WriteOver(path, slots.newest == 0 ? slots.size : 0, slot);
}

absl::StatusOr<bool> ReadRecordInto(const std::string& directory,
                                    const std::string& name,
                                    google::protobuf::MessageLite& record) {
  const std::string path = PathOf(directory, name);
  ASSIGN_OR_RETURN(const std::optional<std::string> file, ReadIfThere(path));
  if (!file.has_value()) return false;
  const Slots slots(*file);
  if (slots.number == 0 ||
      !record.ParseFromArray(slots.message.data(),
                             static_cast<int>(slots.message.size()))) {
    return Damaged(path);
  }
  return true;
}

absl::Status WriteNote(const std::string& directory, const std::string& name,
                       const google::protobuf::MessageLite& note) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenDirectory(directory));
  return ReplaceUnsynced(fd.get(), name, note.SerializeAsString());
}

absl::StatusOr<bool> ReadNoteInto(const std::string& directory,
                                  const std::string& name,
                                  google::protobuf::MessageLite& note) {
  const std::string path = PathOf(directory, name);
  ASSIGN_OR_RETURN(const std::optional<std::string> file, ReadIfThere(path));
  if (!file.has_value()) return false;
  if (!note.ParseFromString(*file)) return Damaged(path);
  return true;
}

}  // namespace pagelift
