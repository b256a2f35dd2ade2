#include "daemon/pager/session/testing/target_process.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "absl/types/span.h"
#include "daemon/pager/session/testing/target_command.h"
#include "daemon/pager/session/testing/target_family.h"
#include "daemon/pager/session/testing/target_storm.h"
#include "lib/base/log.h"
#include "lib/base/unique_fd.h"
#include "lib/process/fd_channel.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;

thread_local sigjmp_buf* t_signal_target = nullptr;

void JumpOut(int signal) {
  if (t_signal_target == nullptr) _exit(128 + signal);
  siglongjmp(*t_signal_target, signal);
}

void CatchMemorySignals() {
  struct sigaction action = {};
  action.sa_handler = JumpOut;
  action.sa_flags = SA_NODEFER;
  CHECK(sigaction(SIGBUS, &action, nullptr) == 0);
  CHECK(sigaction(SIGSEGV, &action, nullptr) == 0);
}

void LetBeInterrupted() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
}

// The signal that touching memory in `touch` has raised; 0 if none.
int SignalOf(const std::function<void()>& touch) {
  sigjmp_buf here;
  t_signal_target = &here;
  const int signal = sigsetjmp(here, 1);
  if (signal == 0) touch();
  t_signal_target = nullptr;
  return signal;
}

std::byte* At(PageId page) {
  return reinterpret_cast<std::byte*>(AddressOf(page));
}

// Not memcpy(3), which sanitizers replace: it must be left by a signal.
void CopyPage(PageId from, std::array<std::byte, kPageSize>& to) {
  const volatile std::byte* source = At(from);
  for (size_t i = 0; i < kPageSize; ++i) to[i] = source[i];
}

class Target {
 public:
  explicit Target(std::vector<int> seats) : seats_(std::move(seats)) {}

  [[noreturn]] void Serve(size_t seat) {
    TargetCommand command;
    while (recv(seats_[seat], &command, sizeof(command), 0) ==
           static_cast<ssize_t>(sizeof(command))) {
      TargetReply reply;
      reply.thread = gettid();
      errno = 0;
      reply.result = Do(command, reply);
      if (reply.result < 0) reply.error = errno;
      if (send(seats_[seat], &reply, sizeof(reply), MSG_NOSIGNAL) < 0) break;
    }
    _exit(0);
  }

 private:
  int64_t Do(const TargetCommand& command, TargetReply& reply) {
    const PageRange range = command.range;
    switch (command.op) {
      case Op::kIdentify:
        return getpid();
      case Op::kConnect:
        return Connect(command.path.data(),
                       FeatureSet::FromBits(command.value));
      case Op::kHandOver:
        return HandOver(command.value);
      case Op::kRegister:
        return Register(range);
      case Op::kForgetUserfaultFd:
        uffd_.reset();
        return 0;
      case Op::kSay:
        return Say(command.value);
      case Op::kHangUp:
        restore_.reset();
        return 0;
      case Op::kRead:
        reply.signal = SignalOf([&] { CopyPage(range.first, reply.page); });
        return 0;
      case Op::kWrite:
        reply.signal = SignalOf([&] {
          *static_cast<volatile std::byte*>(At(range.first)) =
              static_cast<std::byte>(command.value);
        });
        return 0;
      case Op::kAdvise:
        return madvise(At(range.first), range.count.bytes(), command.value);
      case Op::kUnmap:
        return munmap(At(range.first), range.count.bytes());
      case Op::kProtect:
        return mprotect(At(range.first), range.count.bytes(), command.value);
      case Op::kMove:
        return reinterpret_cast<int64_t>(
            mremap(At(range.first), range.count.bytes(),
                   command.to_count.bytes(), command.value, At(command.to)));
      case Op::kLock:
        return mlock(At(range.first), range.count.bytes());
      case Op::kFork:
        return Fork(static_cast<size_t>(command.value));
      case Op::kForkSibling:
        return ForkSibling(static_cast<size_t>(command.value));
      case Op::kVfork:
        return Vfork(static_cast<size_t>(command.value));
      case Op::kExec:
        return execl("/bin/sleep", "sleep", "1000", nullptr);
      case Op::kExit:
        _exit(command.value);
      case Op::kAbort:
        Abort(command.path.data());
      case Op::kOutlive:
        return prctl(PR_SET_PDEATHSIG, 0);
      case Op::kSplit:
        return Split();
      case Op::kPrint:
        return Print(range.first, command.path.data());
      case Op::kFamily:
        return RunFamily(command.family, range, command.to_count);
      case Op::kStorm:
        return RunStorm(range, command.to, command.to_count,
                        static_cast<uint32_t>(command.value), reply.page);
    }
    return -1;
  }

  int64_t Connect(const char* path, FeatureSet lacking) {
    absl::StatusOr<UserfaultFd> opened =
        UserfaultFd::Open(kLayoutEvents - lacking);
    CHECK(opened.ok()) << "no userfaultfd can be opened: " << opened.status();
    uffd_.emplace(*std::move(opened));
    absl::StatusOr<FdChannel> connected = FdChannel::Connect(path);
    if (!connected.ok()) return -1;
    restore_.emplace(*std::move(connected));
    return 0;
  }

  int64_t Say(int32_t word) {
    std::array<std::byte, sizeof(word)> bytes;
    std::memcpy(bytes.data(), &word, sizeof(word));
    return restore_->Send(bytes).ok() ? 0 : -1;
  }

  int64_t HandOver(int32_t image_pid) {
    if (Say(image_pid) != 0) return -1;
    const std::byte carrier{0};
    return restore_->SendWithFd({&carrier, 1}, uffd_->fd()).ok() ? 0 : -1;
  }

  int64_t Register(PageRange range) {
    if (mmap(At(range.first), range.count.bytes(), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
             0) != At(range.first)) {
      return -1;
    }
    // EINVAL: there are no huge pages.
    madvise(At(range.first), range.count.bytes(), MADV_NOHUGEPAGE);
    return uffd_->Register(range, FaultKind::kMissing).ok() ? 0 : -1;
  }

  int64_t Fork(size_t seat) { return ServeInChild(fork(), seat); }

  int64_t ForkSibling(size_t seat) {
    return ServeInChild(
        syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, nullptr, nullptr, 0),
        seat);
  }

  int64_t ServeInChild(int64_t pid, size_t seat) {
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      Serve(seat);
    }
    return pid;
  }

  int64_t Vfork(size_t seat) {
    // Not vfork(2), whose child shares the stack and must not return from here.
    static std::array<std::byte, 1 << 18> stack;
    struct Start {
      Target* target;
      size_t seat;
    };
    static Start start;
    start = {this, seat};
    return clone(
        [](void* argument) -> int {
          auto* from = static_cast<Start*>(argument);
          from->target->Serve(from->seat);
        },
        stack.data() + stack.size(), CLONE_VM | SIGCHLD, &start);
  }

  [[noreturn]] static void Abort(const char* directory) {
    const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_CORE, &unlimited) == 0 && chdir(directory) == 0);
    signal(SIGABRT, SIG_DFL);
    abort();
  }

  static int64_t Split() {
    // More pages than there may be mappings; every other one becomes one.
    const PageCount room(1 << 18);
    void* first = mmap(nullptr, room.bytes(), PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (first == MAP_FAILED) return -1;
    int64_t made = 0;
    for (uint64_t page = 1; page < room.raw(); page += 2) {
      if (mprotect(static_cast<std::byte*>(first) + PageCount(page).bytes(),
                   kPageSize, PROT_READ) != 0) {
        return made;
      }
      made += 2;
    }
    return -1;
  }

  static int64_t Print(PageId page, const char* path) {
    UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
    return write(file.get(), At(page), kPageSize);
  }

  const std::vector<int> seats_;
  // Of the first seat's thread.
  std::optional<UserfaultFd> uffd_;
  std::optional<FdChannel> restore_;
};

}  // namespace

void RunTarget(std::vector<int> seats, int threads) {
  CatchMemorySignals();
  LetBeInterrupted();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Never destroyed: forked children and threads use it to the end.
  Target& target = *new Target(std::move(seats));
  for (int i = 1; i < threads; ++i) {
    std::thread([&target, i] {
      target.Serve(static_cast<size_t>(i));
    }).detach();
  }
  target.Serve(0);
}

}  // namespace pagelift
