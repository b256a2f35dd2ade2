#include "lib/process/refused_call.h"

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>

#include "lib/base/log.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr int kArguments[] = {REG_RDI, REG_RSI, REG_RDX,
                              REG_R10, REG_R8,  REG_R9};

// A line that a signal handler may write: it allocates nothing.
class Line {
 public:
  Line& operator<<(const char* text) {
    for (; *text != '\0'; ++text) Put(*text);
    return *this;
  }

  Line& operator<<(uint64_t number) {
    char digits[20];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    while (count > 0) Put(digits[--count]);
    return *this;
  }

  void WriteTo(int fd) const {
    const ssize_t ignored = write(fd, text_, length_);
    (void)ignored;
  }

 private:
  void Put(char c) {
    if (length_ < sizeof(text_)) text_[length_++] = c;
  }

  char text_[320];
  size_t length_ = 0;
};

void TellAndDie(int signal, siginfo_t* info, void* context) {
  const auto& registers =
      static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
  Line line;
  line << "level=fatal msg=\"system call "
       << static_cast<uint64_t>(info->si_syscall)
       << " is not among those that this program is known to need: ended by "
          "--sandbox strict; its arguments:";
  for (int argument : kArguments) {
    line << " " << static_cast<uint64_t>(registers[argument]);
  }
  line << "\"\n";
  line.WriteTo(LogSinkDescriptor());
  if (LogSinkDescriptor() != STDERR_FILENO) line.WriteTo(STDERR_FILENO);
  // Its action is the kernel's again: see SA_RESETHAND.
  syscall(SYS_tgkill, syscall(SYS_getpid), syscall(SYS_gettid), signal);
}

}  // namespace

absl::Status TellOfRefusedCalls() {
  struct sigaction action = {};
  action.sa_sigaction = TellAndDie;
  action.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER;
  if (sigaction(SIGSYS, &action, nullptr) != 0) {
    return SysError("sigaction SIGSYS");
  }
  return absl::OkStatus();
}

}  // namespace pagelift
