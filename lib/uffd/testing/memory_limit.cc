#include "lib/uffd/testing/memory_limit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

constexpr char kUnifiedRoot[] = "/sys/fs/cgroup";
constexpr char kMemoryRoot[] = "/sys/fs/cgroup/memory";

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// False if there is no such file.
bool WriteIfThere(const std::string& path, const std::string& value) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return false;
  CHECK(file.valid() && write(file.get(), value.data(), value.size()) ==
                            static_cast<ssize_t>(value.size()))
      << path << ": errno " << errno;
  return true;
}

}  // namespace

MemoryLimit::MemoryLimit(PageCount limit)
    : unified_(Exists(absl::StrCat(kUnifiedRoot, "/cgroup.controllers"))),
      path_(absl::StrCat(unified_ ? kUnifiedRoot : kMemoryRoot,
                         "/pagelift-test-", getpid())) {
  if (unified_) {
    WriteIfThere(absl::StrCat(kUnifiedRoot, "/cgroup.subtree_control"),
                 "+memory");
  }
  CHECK(mkdir(path_.c_str(), 0700) == 0) << path_ << ": errno " << errno;
  Set(limit);
  // Else there would be no end before swap space is full, too.
  WriteIfThere(path_ + "/memory.swap.max", "0");
  WriteIfThere(path_ + "/memory.swappiness", "0");
  WriteIfThere(path_ + "/memory.oom_control", "1");
}

MemoryLimit::~MemoryLimit() {
  CHECK(rmdir(path_.c_str()) == 0) << path_ << ": errno " << errno;
}

void MemoryLimit::Add(pid_t process) {
  // Where the group cannot be told to refuse, its processes have to be.
  if (unified_) {
    WriteIfThere(absl::StrCat("/proc/", process, "/oom_score_adj"), "-1000");
  }
  WriteIfThere(path_ + "/cgroup.procs", absl::StrCat(process));
}

void MemoryLimit::Set(PageCount limit) {
  WriteIfThere(path_ + (unified_ ? "/memory.max" : "/memory.limit_in_bytes"),
               absl::StrCat(limit.bytes()));
}

}  // namespace pagelift
