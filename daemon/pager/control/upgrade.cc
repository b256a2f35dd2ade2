#include "daemon/pager/control/upgrade.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/pager/journal/session_journal.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

// So that whoever asked has the answer.
constexpr absl::Duration kBeforeTheEnd = absl::Milliseconds(50);
constexpr absl::Duration kCheckDeadline = absl::Seconds(10);

absl::StatusOr<std::string> OurProgram() {
  char path[sizeof(HolderPage::upgrade_to)];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  if (length < 0) return SysError("readlink /proc/self/exe");
  // Where another file is by now.
  return std::string(absl::StripSuffix(
      absl::string_view(path, static_cast<size_t>(length)), " (deleted)"));
}

// The exit code of `program --can-replace=...`.
absl::StatusOr<int> AskProgram(const std::string& program) {
  const std::string option = absl::StrCat("--can-replace=", VersionsWeLeave());
  char* const argv[] = {const_cast<char*>(program.c_str()),
                        const_cast<char*>(option.c_str()), nullptr};
  pid_t pid;
  const int error =
      posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv, environ);
  if (error != 0) return SysErrorOf(error, "start ", program);
  const absl::Time deadline = absl::Now() + kCheckDeadline;
  int status;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (deadline < absl::Now()) kill(pid, SIGKILL);
    absl::SleepFor(absl::Milliseconds(1));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::string VersionsWeLeave() {
  return absl::StrCat(HolderPage::kVersion, ".", SessionRecord::kVersion);
}

Upgrade::~Upgrade() {
  if (end_.joinable()) end_.join();
}

absl::Status Upgrade::Begin(const std::string& program) {
  std::string path = program;
  if (path.empty()) {
    ASSIGN_OR_RETURN(path, OurProgram());
  }
  if (!absl::StartsWith(path, "/") ||
      sizeof(HolderPage::upgrade_to) <= path.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", path, "' is no absolute path of a program"));
  }
  absl::StatusOr<int> code = AskProgram(path);
  if (!code.ok()) {
    return absl::FailedPreconditionError(code.status().message());
  }
  if (*code != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " cannot go on with what this daemon leaves (versions ",
        VersionsWeLeave(), "; exit code ", *code,
        "): is it a pageliftd, with its library beside it? Nothing has "
        "changed"));
  }
  LOG(Info) << "going on as " << path;
  path.copy(page_.upgrade_to, path.size());
  page_.upgrade_to[path.size()] = '\0';
  page_.wants_upgrade = 1;
  if (end_.joinable()) return absl::OkStatus();
  end_ = std::thread([] {
    absl::SleepFor(kBeforeTheEnd);
    // As in a crash: nothing of what targets depend on is undone.
    _exit(0);
  });
  return absl::OkStatus();
}

}  // namespace pagelift
