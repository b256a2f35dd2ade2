#include "lib/process/background.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

// A descriptor's number.
constexpr char kVariable[] = "PAGELIFT_BACKGROUND_FD";

}  // namespace

absl::StatusOr<Background> Background::Detach() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SysError("pipe");
  UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  const pid_t child = fork();
  if (child < 0) return SysError("fork");
  if (child == 0) {
    from_child.reset();
    setsid();
    return Background(std::move(to_parent));
  }
  to_parent.reset();
  char word;
  _exit(read(from_child.get(), &word, 1) == 1 ? 0 : 1);
}

void Background::PassOn() && {
  const int fd = parent_.release();
  fcntl(fd, F_SETFD, 0);
  setenv(kVariable, std::to_string(fd).c_str(), /*overwrite=*/1);
}

std::optional<Background> Background::Inherited() {
  const char* const told = getenv(kVariable);
  if (told == nullptr) return std::nullopt;
  Background background{UniqueFd(atoi(told))};
  unsetenv(kVariable);
  return background;
}

absl::Status Background::Ready() {
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return SysError("open /dev/null");
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (dup2(null.get(), fd) < 0) return SysError("dup2");
  }
  const char word = 0;
  if (write(parent_.get(), &word, 1) != 1) return SysError("tell the parent");
  parent_.reset();
  return absl::OkStatus();
}

}  // namespace pagelift
