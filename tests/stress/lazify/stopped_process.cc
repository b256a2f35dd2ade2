#include "tests/stress/lazify/stopped_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift::stress {
namespace {

// What the kernel leaves in rax of a thread that was stopped in a system call,
// and what it would do about it. From include/linux/errno.h.
constexpr int64_t kRestartSys = -512;
constexpr int64_t kRestartNoIntr = -513;
constexpr int64_t kRestartNoHand = -514;
constexpr int64_t kRestartBlock = -516;
constexpr uint64_t kRestartSystemCall = 219;
constexpr uint64_t kSystemCallLength = 2;

constexpr int kSystemCallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

std::vector<pid_t> ThreadsOf(pid_t pid) {
  std::vector<pid_t> threads;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(
           absl::StrCat("/proc/", pid, "/task"), ignored)) {
    threads.push_back(std::stoi(entry.path().filename()));
  }
  return threads;
}

// We have made system calls meanwhile, so the kernel will not restart the one
// that the thread was stopped in.
user_regs_struct AsIfRestarted(user_regs_struct registers) {
  const auto result = static_cast<int64_t>(registers.rax);
  const bool in_system_call = static_cast<int64_t>(registers.orig_rax) >= 0;
  if (in_system_call && (result == kRestartSys || result == kRestartNoIntr ||
                         result == kRestartNoHand || result == kRestartBlock)) {
    registers.rip -= kSystemCallLength;
    registers.rax =
        result == kRestartBlock ? kRestartSystemCall : registers.orig_rax;
  }
  registers.orig_rax = ~uint64_t{0};
  return registers;
}

absl::Status Trace(__ptrace_request request, pid_t thread, uint64_t address,
                   void* data, const char* what) {
  if (ptrace(request, thread, address, data) != 0) {
    return SysError(what, " thread ", thread);
  }
  return absl::OkStatus();
}

// To the next entry into or return from a system call.
absl::Status GoOnToSystemCall(pid_t thread,
                              absl::FunctionRef<void()> meanwhile) {
  while (true) {
    RETURN_IF_ERROR(Trace(PTRACE_SYSCALL, thread, 0, nullptr, "resume"));
    int status = 0;
    pid_t stopped = 0;
    while ((stopped = waitpid(thread, &status, __WALL | WNOHANG)) == 0) {
      meanwhile();
      sched_yield();
    }
    if (stopped != thread || !WIFSTOPPED(status)) {
      return absl::AbortedError(absl::StrCat("thread ", thread, " has ended"));
    }
    // It may stop for other reasons first: SIGCHLD of a child that ended while
    // it was being stopped, for one.
    if (WSTOPSIG(status) == kSystemCallStop) return absl::OkStatus();
  }
}

}  // namespace

StoppedProcess::StoppedProcess(pid_t pid, UniqueFd memory)
    : pid_(pid), memory_(std::move(memory)) {}

StoppedProcess::StoppedProcess(StoppedProcess&& other) noexcept
    : pid_(other.pid_),
      memory_(std::move(other.memory_)),
      system_call_(other.system_call_),
      threads_(std::exchange(other.threads_, {})) {}

StoppedProcess::~StoppedProcess() {
  for (pid_t thread : threads_) ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
}

absl::StatusOr<StoppedProcess> StoppedProcess::Stop(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/mem");
  UniqueFd memory(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!memory.valid()) return SysError("open ", path);
  StoppedProcess process(pid, std::move(memory));
  RETURN_IF_ERROR(process.StopThreads());
  ASSIGN_OR_RETURN(process.system_call_, process.FindSystemCall());
  return process;
}

absl::Status StoppedProcess::StopThreads() {
  // A thread that runs may start another while we look.
  for (bool found = true; found;) {
    found = false;
    for (pid_t thread : ThreadsOf(pid_)) {
      if (std::find(threads_.begin(), threads_.end(), thread) !=
          threads_.end()) {
        continue;
      }
      found = true;
      if (ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_TRACESYSGOOD) != 0) {
        if (errno == ESRCH) continue;  // It has ended.
        return SysError("seize thread ", thread);
      }
      int status = 0;
      const bool stopped =
          ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0 &&
          waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status);
      if (stopped) threads_.push_back(thread);
    }
  }
  auto first = std::find(threads_.begin(), threads_.end(), pid_);
  if (first == threads_.end()) {
    return absl::NotFoundError(absl::StrCat("process ", pid_, " has ended"));
  }
  std::iter_swap(threads_.begin(), first);
  return absl::OkStatus();
}

absl::Status StoppedProcess::Read(PageId page,
                                  absl::Span<std::byte> into) const {
  auto offset = static_cast<off_t>(AddressOf(page));
  while (!into.empty()) {
    const ssize_t got = pread(memory_.get(), into.data(), into.size(), offset);
    if (got <= 0)
      return SysError("read memory of process ", pid_, " at ", AddressOf(page));
    into.remove_prefix(static_cast<size_t>(got));
    offset += got;
  }
  return absl::OkStatus();
}

absl::StatusOr<PageId> StoppedProcess::ThreadPointer() const {
  user_regs_struct registers = {};
  RETURN_IF_ERROR(
      Trace(PTRACE_GETREGS, threads_.front(), 0, &registers, "look at"));
  return PageContaining(registers.fs_base);
}

absl::StatusOr<uint64_t> StoppedProcess::FindSystemCall() const {
  std::ifstream maps(absl::StrCat("/proc/", pid_, "/maps"));
  for (std::string line; std::getline(maps, line);) {
    if (!absl::StrContains(line, "[vdso]")) continue;
    const std::pair<std::string, std::string> ends =
        absl::StrSplit(line.substr(0, line.find(' ')), '-');
    uint64_t start = 0;
    uint64_t limit = 0;
    if (!absl::SimpleHexAtoi(ends.first, &start) ||
        !absl::SimpleHexAtoi(ends.second, &limit)) {
      break;
    }
    std::vector<std::byte> code(limit - start);
    RETURN_IF_ERROR(Read(PageContaining(start), absl::MakeSpan(code)));
    constexpr std::byte kInstruction[] = {std::byte{0x0f}, std::byte{0x05}};
    auto found = std::search(code.begin(), code.end(), kInstruction,
                             kInstruction + kSystemCallLength);
    if (found == code.end()) break;
    return start + static_cast<uint64_t>(found - code.begin());
  }
  return absl::NotFoundError(
      absl::StrCat("process ", pid_, " has no vdso with a system call in it"));
}

absl::StatusOr<int64_t> StoppedProcess::Call(
    int64_t number, std::array<uint64_t, 3> arguments,
    absl::FunctionRef<void()> meanwhile) const {
  const pid_t thread = threads_.front();
  user_regs_struct saved = {};
  RETURN_IF_ERROR(Trace(PTRACE_GETREGS, thread, 0, &saved, "look at"));
  // A signal would come instead of the call.
  uint64_t mask = 0;
  uint64_t all = ~uint64_t{0};
  RETURN_IF_ERROR(Trace(PTRACE_GETSIGMASK, thread, sizeof(mask), &mask,
                        "ask for the signals of"));
  RETURN_IF_ERROR(
      Trace(PTRACE_SETSIGMASK, thread, sizeof(all), &all, "block signals of"));
  user_regs_struct registers = saved;
  registers.rip = system_call_;
  registers.rax = static_cast<uint64_t>(number);
  registers.orig_rax = ~uint64_t{0};
  registers.rdi = arguments[0];
  registers.rsi = arguments[1];
  registers.rdx = arguments[2];
  RETURN_IF_ERROR(Trace(PTRACE_SETREGS, thread, 0, &registers, "set up"));
  RETURN_IF_ERROR(GoOnToSystemCall(thread, meanwhile));
  RETURN_IF_ERROR(GoOnToSystemCall(thread, meanwhile));
  RETURN_IF_ERROR(Trace(PTRACE_GETREGS, thread, 0, &registers, "look at"));
  saved = AsIfRestarted(saved);
  RETURN_IF_ERROR(Trace(PTRACE_SETREGS, thread, 0, &saved, "set back"));
  RETURN_IF_ERROR(
      Trace(PTRACE_SETSIGMASK, thread, sizeof(mask), &mask, "unblock"));
  return static_cast<int64_t>(registers.rax);
}

}  // namespace pagelift::stress
