#include "lib/base/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/write_all.h"

namespace pagelift {

absl::StatusOr<UniqueFd> MemoryFile(const char* name,
                                    absl::string_view contents) {
  UniqueFd file(memfd_create(name, MFD_CLOEXEC));
  if (!file.valid()) return SysError("memfd_create ", name);
  RETURN_IF_ERROR(WriteAll(file.get(), contents));
  if (lseek(file.get(), 0, SEEK_SET) != 0) return SysError("lseek ", name);
  return file;
}

}  // namespace pagelift
