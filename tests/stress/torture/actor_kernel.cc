// The kernel reads and writes the pages on our behalf: system calls with
// buffers in them, signal frames, the program break, the main stack.

#include <alloca.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "tests/stress/torture/actor.h"

namespace pagelift::stress {
namespace {

constexpr int kSignal = SIGUSR1;

thread_local volatile sig_atomic_t t_signals_taken = 0;

void TakeSignal(int) { t_signals_taken = t_signals_taken + 1; }

bool IsFilled(const ShadowPage& s) {
  return s.readable() && (s.contents == ShadowPage::Contents::kPattern ||
                          s.contents == ShadowPage::Contents::kZero);
}

// A pipe that is closed in the end.
struct PipeEnds {
  PipeEnds() { ok = pipe2(ends, O_CLOEXEC) == 0; }
  PipeEnds(const PipeEnds&) = delete;
  PipeEnds& operator=(const PipeEnds&) = delete;
  ~PipeEnds() {
    if (!ok) return;
    close(ends[0]);
    close(ends[1]);
  }
  int ends[2];
  bool ok;
};

}  // namespace

void Actor::Pipe() {
  const std::optional<Run> from = field_.Pick(random_, 4, IsFilled);
  const std::optional<Run> to = field_.Pick(random_, 1, IsWritable);
  if (!from.has_value() || !to.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kPipe, from->first, from->count);
  record.to = static_cast<uint32_t>(to->first);
  record.to_count = 1;
  PipeEnds pipe;
  const bool written =
      pipe.ok && write(pipe.ends[1], field_.At(from->first), from->bytes()) ==
                     static_cast<ssize_t>(from->bytes());
  if (!written) {
    Finish(record, false);
    return TellWrong(from->first, "could not be written to a pipe");
  }
  std::array<std::byte, kPageBytes> bytes;
  for (size_t page = from->first + 1; page < from->limit(); ++page) {
    if (read(pipe.ends[0], bytes.data(), kPageBytes) != kPageBytes) {
      return TellWrong(page, "did not come out of a pipe");
    }
    // The first came before it.
    if (page == from->first + 1 && !Compare(from->first, bytes.data())) return;
    if (page != from->first + 1 && !Compare(page - 1, bytes.data())) return;
  }
  // The last goes to another page, by the kernel.
  const size_t last = from->limit() - 1;
  Change change(field_, record, *to);
  if (read(pipe.ends[0], field_.At(to->first), kPageBytes) != kPageBytes) {
    return TellWrong(to->first, "could not be read into");
  }
  Finish(record, true);
  if (to->first != last) {
    ShadowPage& target = field_.shadow(to->first);
    const ShadowPage& source = field_.shadow(last);
    target.contents = source.contents;
    target.number = source.number;
    target.generation = source.generation;
    target.patched_word = source.patched_word;
    target.patch = source.patch;
    if (!CheckPage(to->first)) return;
  }
  field_.Rewrite(to->first);  // No two pages are to be alike.
}

void Actor::DirectIo() {
  const std::optional<Run> from = field_.Pick(
      random_, 8,
      [](const ShadowPage& s) { return IsFilled(s) && s.writable(); });
  if (!from.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kDirectIo, from->first, from->count);
  std::array<char, 300> path;
  std::snprintf(path.data(), path.size(), "%s/direct.%d.%u",
                world_.state().c_str(), getpid(), field_.id());
  const int file = open(
      path.data(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
  if (file < 0) return Finish(record, false);
  unlink(path.data());
  const bool written = pwrite(file, field_.At(from->first), from->bytes(), 0) ==
                       static_cast<ssize_t>(from->bytes());
  Finish(record, written);
  // Linux 6.18 loses pages that were written so while they were shared with a
  // child, once another child frees them: docs/correctness.md.
  for (size_t page = from->first; page < from->limit(); ++page) {
    auto* word = reinterpret_cast<volatile uint64_t*>(field_.At(page));
    *word = *word;
  }
  alignas(kPageBytes) std::array<std::byte, kPageBytes> bytes;
  for (size_t i = 0; written && i < from->count; ++i) {
    if (pread(file, bytes.data(), kPageBytes,
              static_cast<off_t>(i * kPageBytes)) != kPageBytes ||
        !Compare(from->first + i, bytes.data())) {
      break;
    }
  }
  close(file);
}

void Actor::VectorIo() {
  const std::optional<Run> first = field_.Pick(random_, 2, IsFilled);
  const std::optional<Run> second = field_.Pick(random_, 2, IsFilled);
  if (!first.has_value() || !second.has_value()) return;
  OperationRecord& record =
      log_.Begin(Op::kVectorIo, first->first, first->count);
  record.to = static_cast<uint32_t>(second->first);
  record.to_count = static_cast<uint32_t>(second->count);
  PipeEnds pipe;
  const iovec pieces[] = {{field_.At(first->first), first->bytes()},
                          {field_.At(second->first), second->bytes()}};
  const bool written =
      pipe.ok && writev(pipe.ends[1], pieces, 2) ==
                     static_cast<ssize_t>(first->bytes() + second->bytes());
  Finish(record, written);
  if (!written) return TellWrong(first->first, "could not be written");
  std::array<std::byte, kPageBytes> bytes;
  for (const Run& run : {*first, *second}) {
    for (size_t page = run.first; page < run.limit(); ++page) {
      const iovec halves[] = {{bytes.data(), kPageBytes / 2},
                              {bytes.data() + kPageBytes / 2, kPageBytes / 2}};
      if (readv(pipe.ends[0], halves, 2) != kPageBytes) {
        return TellWrong(page, "did not come out of a pipe");
      }
      if (!Compare(page, bytes.data())) return;
    }
  }
}

void Actor::Futex() {
  const std::optional<Run> run = field_.Pick(
      random_, 1,
      [](const ShadowPage& s) { return s.writable() && IsFilled(s); });
  if (!run.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kFutex, run->first, 1);
  std::array<std::byte, kPageBytes> expected;
  field_.shadow(run->first).Fill(field_.seed(), expected.data());
  const size_t word = random_.Below(kPageBytes / sizeof(uint32_t));
  uint32_t value;
  std::memcpy(&value, expected.data() + word * sizeof(value), sizeof(value));
  const timespec no_time = {0, 1000};
  const auto wait = [&](uint32_t compare) {
    return syscall(SYS_futex, field_.At(run->first) + word * sizeof(value),
                   FUTEX_WAIT_PRIVATE, compare, &no_time, nullptr, 0) == 0
               ? 0
               : errno;
  };
  // The kernel compares: only the right value may make us wait.
  const int with_other = wait(value ^ 1);
  int with_same = wait(value);
  if (with_same == EINTR) with_same = ETIMEDOUT;
  Finish(record, true);
  if (with_other != EAGAIN) {
    TellWrong(run->first, "was not what a futex was to be");
  } else if (with_same != ETIMEDOUT) {
    TellWrong(run->first, "was another value for a futex");
  }
}

void Actor::Signal() {
  constexpr size_t kStackPages = 16;
  const std::optional<Run> run = field_.Pick(random_, kStackPages, IsWritable);
  if (!run.has_value() || run->count < kStackPages) return;
  OperationRecord& record = log_.Begin(Op::kSignal, run->first, run->count);
  Change change(field_, record, *run);
  struct sigaction action = {};
  action.sa_handler = TakeSignal;
  action.sa_flags = SA_ONSTACK;
  stack_t alternate = {};
  alternate.ss_sp = field_.At(run->first);
  alternate.ss_size = run->bytes();
  stack_t previous;
  const sig_atomic_t before = t_signals_taken;
  const bool done = sigaction(kSignal, &action, nullptr) == 0 &&
                    sigaltstack(&alternate, &previous) == 0 &&
                    raise(kSignal) == 0;
  sigaltstack(&previous, nullptr);
  Finish(record, done);
  if (!done || t_signals_taken != before + 1) {
    return TellWrong(run->first, "did not serve as a signal stack");
  }
  // A frame takes a few pages from the top; the others are as they were.
  if (!CheckPage(run->first)) return;
  for (size_t page = run->first; page < run->limit(); ++page) {
    field_.Rewrite(page);
  }
}

void Actor::GrowBreak() {
  constexpr size_t kMost = 64;
  // The allocator of another thread moves the break, too.
  world_.BeginAlone();
  const size_t count = random_.UpTo(kMost);
  OperationRecord& record = log_.Begin(Op::kBreak, 0, count);
  auto* const old =
      static_cast<std::byte*>(sbrk(static_cast<intptr_t>(count * kPageBytes)));
  const bool done = old != reinterpret_cast<std::byte*>(-1);
  Finish(record, done);
  bool right = true;
  for (size_t i = 0; done && i < count * kPageBytes; i += kPageBytes / 4) {
    right = right && old[i] == std::byte{0};
    old[i] = static_cast<std::byte>(i / kPageBytes + 1);
  }
  for (size_t i = 0; done && i < count * kPageBytes; i += kPageBytes / 4) {
    right = right && old[i] == static_cast<std::byte>(i / kPageBytes + 1);
  }
  if (done && sbrk(0) == old + count * kPageBytes) {
    sbrk(-static_cast<intptr_t>(count * kPageBytes));
  }
  world_.End();
  if (!right) TellWrong(0, "(not this page:) the new break was not zeros");
}

void Actor::GrowStack() {
  if (!is_main_) return;
  constexpr size_t kMost = 96;
  const size_t bytes = random_.UpTo(kMost) * kPageBytes;
  OperationRecord& record = log_.Begin(Op::kStack, 0, bytes / kPageBytes);
  auto* const stack = static_cast<volatile unsigned char*>(alloca(bytes));
  for (size_t i = 0; i < bytes; i += kPageBytes / 8) {
    stack[i] = static_cast<unsigned char>(i / 512);
  }
  bool right = true;
  for (size_t i = 0; i < bytes; i += kPageBytes / 8) {
    right = right && stack[i] == static_cast<unsigned char>(i / 512);
  }
  Finish(record, true);
  if (!right) TellWrong(0, "(not this page:) the stack lost what was written");
}

}  // namespace pagelift::stress
