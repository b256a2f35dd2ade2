#include "daemon/migration/incoming/receiver_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <csignal>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/log.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr absl::Duration kBetweenTries = absl::Milliseconds(20);

// Who has noted that he has the lock; 0: nobody can be told.
pid_t Holder(int fd) {
  char text[16] = {};
  pid_t pid = 0;
  const ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
  if (length <= 0 || !absl::SimpleAtoi(text, &pid)) return 0;
  return pid;
}

}  // namespace

absl::StatusOr<UniqueFd> LockReceiver(const std::string& directory, pid_t guard,
                                      absl::Duration patience) {
  const std::string path = absl::StrCat(directory, "/lock");
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return SysError("open ", path);
  const absl::Time give_up = absl::Now() + patience;
  pid_t asked = 0;
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return SysError("lock ", path);
    const pid_t holder = Holder(fd.get());
    // Locked and noted by a process that lives: the number is still its own.
    if (holder > 0 && holder != asked && holder != guard) {
      LOG(Info) << "process " << holder << ", which takes migrations, is ended";
      kill(holder, SIGTERM);
      asked = holder;
    }
    if (give_up < absl::Now()) {
      return absl::AlreadyExistsError(
          absl::StrCat("process ", holder, " takes migrations with ", directory,
                       ", and does not end: name another "
                       "directory by --migration-state"));
    }
    absl::SleepFor(kBetweenTries);
  }
  const std::string note = absl::StrCat(guard, "\n");
  if (ftruncate(fd.get(), 0) != 0 ||
      pwrite(fd.get(), note.data(), note.size(), 0) < 0) {
    return SysError("write ", path);
  }
  return fd;
}

}  // namespace pagelift
