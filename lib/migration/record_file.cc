#include "lib/migration/record_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "lib/base/read_file.h"
#include "lib/base/replace_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SysError("open ", path);
  return fd;
}

}  // namespace

absl::Status WriteRecord(const std::string& directory, const std::string& name,
                         const google::protobuf::MessageLite& record) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenDirectory(directory));
  RETURN_IF_ERROR(ReplaceFile(fd.get(), name, record.SerializeAsString()));
  // Its new name, too: nothing may be done that only an old record explains.
  if (fsync(fd.get()) != 0) return SysError("fsync ", directory);
  return absl::OkStatus();
}

absl::Status WriteNote(const std::string& directory, const std::string& name,
                       const google::protobuf::MessageLite& note) {
  const std::string path = absl::StrCat(directory, "/", name);
  const std::string new_path = absl::StrCat(path, ".new");
  {
    std::ofstream file(new_path, std::ios::trunc | std::ios::binary);
    if (!note.SerializeToOstream(&file) || !file.flush()) {
      return SysError("write ", new_path);
    }
  }
  if (rename(new_path.c_str(), path.c_str()) != 0) {
    return SysError("rename ", new_path);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ReadRecordInto(const std::string& directory,
                                    const std::string& name,
                                    google::protobuf::MessageLite& record) {
  const std::string path = absl::StrCat(directory, "/", name);
  const absl::StatusOr<std::string> contents = ReadFile(path);
  if (absl::IsNotFound(contents.status())) return false;
  RETURN_IF_ERROR(contents.status());
  if (!record.ParseFromString(*contents)) {
    return absl::DataLossError(absl::StrCat(path, " is damaged"));
  }
  return true;
}

}  // namespace pagelift
