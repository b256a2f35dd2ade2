#include "client/cli/programs.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/process/child_program.h"
#include "lib/process/find_program.h"

namespace pagelift {
namespace {

constexpr int kServiceStartMs = 10000;

}  // namespace

absl::Status StartService(std::vector<std::string> argv,
                          const std::string& log) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SysError("pipe");
  const UniqueFd ready(ends[0]);
  UniqueFd told(ends[1]);
  const std::string name = argv[0].substr(argv[0].rfind('/') + 1);
  argv.insert(argv.end(), {"--ready-fd", absl::StrCat(told.get())});
  // It is nobody's to wait for: init has it when we have gone.
  RETURN_IF_ERROR(
      ChildProgram::Start({argv, {told.get()}, "/dev/null", true}).status());
  told.reset();
  pollfd waiting = {ready.get(), POLLIN, 0};
  char word = 0;
  if (poll(&waiting, 1, kServiceStartMs) == 1 &&
      read(ready.get(), &word, 1) == 1 && word == '\n') {
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat(name, " could not be started; ", log, " may say why"));
}

absl::Status StartPager(const std::string& socket, KeepWorkingSets keep) {
  // The log must not be a file that a target shares, so it is the daemon's own.
  const std::string log = absl::StrCat(socket, ".log");
  std::vector<std::string> argv = {
      SiblingProgram("pageliftd"), "--control", socket, "--log-file", log,
      "--exit-when-idle",          "60s"};
  if (keep == KeepWorkingSets::kYes) argv.push_back("--keep-working-sets");
  const size_t slash = socket.rfind('/');
  if (slash != std::string::npos && slash > 0 &&
      mkdir(socket.substr(0, slash).c_str(), 0700) != 0 && errno != EEXIST) {
    return SysError("make directory ", socket.substr(0, slash),
                    " for the daemon's socket (--control names another)");
  }
  return StartService(std::move(argv), log);
}

}  // namespace pagelift
