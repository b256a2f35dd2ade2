// What makes threads and processes.

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "tests/stress/torture/actor.h"
#include "tests/stress/torture/check_argument.h"
#include "tests/stress/torture/touch.h"

namespace pagelift::stress {
namespace {

constexpr size_t kChildOperations = 60;
constexpr int kWrongExit = 9;
// More orphans than this at once would only compete with each other.
constexpr uint32_t kMostOrphans = 8;

struct ThreadWork {
  const std::byte* page;
  std::array<std::byte, kPageBytes> bytes;
  int signal;
};

void* ReadOnePage(void* argument) {
  auto* work = static_cast<ThreadWork*>(argument);
  work->signal = TouchRead(work->page, work->bytes.data());
  return nullptr;
}

}  // namespace

void Actor::Thread() {
  constexpr size_t kStackPages = 24;
  const std::optional<Run> stack =
      field_.Pick(random_, kStackPages, IsWritable);
  const std::optional<Run> read =
      field_.Pick(random_, 1, [](const ShadowPage& s) { return s.readable(); });
  if (!stack.has_value() || stack->count < kStackPages || !read.has_value() ||
      (stack->first <= read->first && read->first < stack->limit())) {
    return;
  }
  OperationRecord& record = log_.Begin(Op::kThread, stack->first, stack->count);
  record.to = static_cast<uint32_t>(read->first);
  record.to_count = 1;
  Change change(field_, record, *stack);
  ThreadWork work;
  work.page = field_.At(read->first);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, field_.At(stack->first), stack->bytes());
  pthread_t thread;
  errno = pthread_create(&thread, &attributes, ReadOnePage, &work);
  const bool done = errno == 0;
  pthread_attr_destroy(&attributes);
  Finish(record, done);
  if (!done) return;
  // Returns when the kernel has cleared a word on that stack.
  pthread_join(thread, nullptr);
  if (work.signal != 0) return TellWrong(read->first, "raised a signal");
  if (!Compare(read->first, work.bytes.data())) return;
  if (!CheckPage(stack->first)) return;
  for (size_t page = stack->first; page < stack->limit(); ++page) {
    field_.Rewrite(page);
  }
}

void Actor::Spawn() {
  const std::optional<Run> run =
      field_.Pick(random_, 1, [](const ShadowPage& s) {
        return s.readable() && s.contents == ShadowPage::Contents::kPattern;
      });
  if (!run.has_value()) return;
  std::array<std::byte, kPageBytes> expected;
  field_.shadow(run->first).Fill(field_.seed(), expected.data());
  const size_t offset = random_.Below(kPageBytes / 2);
  const auto* text = reinterpret_cast<const char*>(expected.data()) + offset;
  if (strnlen(text, kPageBytes - offset) == kPageBytes - offset) return;
  OperationRecord& record = log_.Begin(Op::kSpawn, run->first, 1);
  std::array<char, 24> sum;
  std::snprintf(sum.data(), sum.size(), "%016" PRIx64, ArgumentSum(text));
  // The kernel reads the argument where it lies, for a program that has no
  // such page.
  char* argument = reinterpret_cast<char*>(field_.At(run->first)) + offset;
  char* const arguments[] = {const_cast<char*>(kCheckArgument), argument,
                             sum.data(), nullptr};
  pid_t pid = 0;
  char* const no_environment[] = {nullptr};
  errno = posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments,
                      no_environment);
  const bool done = errno == 0;
  record.detail = pid;
  Finish(record, done);
  if (!done) return;
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || status != 0) {
    TellWrong(run->first, "was another argument for a program");
  }
}

void Actor::Fork(Op op) {
  const bool alone = op == Op::kForkQuiesced;
  const uint64_t seed = random_.Next();
  const bool orphaned = op == Op::kFork && random_.OneIn(3) &&
                        world_.tally().orphans.load() < kMostOrphans;
  // Nobody else may hold it when the child gets its copy of it.
  if (alone) {
    world_.BeginAlone();
  } else {
    world_.BeginOperation();
  }
  OperationRecord& record = log_.Begin(op, 0, field_.pages());
  const pid_t pid = fork();
  world_.NoteFork();
  if (pid == 0) {
    if (orphaned) {
      // Its child lives on when it has ended.
      world_.tally().orphans.fetch_add(1);
      if (fork() > 0) _exit(0);
    }
    world_.AfterFork(alone);
    is_main_ = false;
    LiveAsChild(op, seed, orphaned);
  }
  record.detail = pid;
  Finish(record, pid > 0);
  world_.End();
  if (pid < 0) return;
  if (op == Op::kForkKilled) {
    usleep(static_cast<useconds_t>(random_.Below(3000)));
    kill(pid, SIGKILL);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return TellWrong(0, "has no child");
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (status == 0 || (op == Op::kForkKilled && killed)) return;
  std::array<char, 80> what;
  std::snprintf(what.data(), what.size(),
                "(not this page:) child %d ended with status %x", pid,
                static_cast<unsigned>(status));
  TellWrong(0, what.data());
}

void Actor::LiveAsChild(Op op, uint64_t seed, bool orphan) {
  // Locks are not inherited; the rest is as madvise(2) was told.
  for (Field* field : world_.fields()) {
    for (size_t page = 0; page < field->pages(); ++page) {
      ShadowPage& shadow = field->shadow(page);
      shadow.locked = false;
      if (shadow.dont_fork) {
        shadow.BecomeUnmapped();
      } else if (shadow.wipe_on_fork && shadow.mapped()) {
        shadow.BecomeZero();
      }
    }
  }
  random_ = Random(seed);
  const bool right_before = op == Op::kForkKilled || CheckAll();
  if (right_before && world_.all_fields_hold()) CheckOthers();
  if (op == Op::kForkKilled) {
    while (Work(random_.Next(), kChildOperations, /*is_main=*/false)) {
    }
  }
  if (Work(random_.Next(), kChildOperations, /*is_main=*/false)) CheckAll();
  if (orphan) world_.tally().orphans.fetch_sub(1);
  _exit(world_.tally().AnythingWrong() ? kWrongExit : 0);
}

void Actor::CheckOthers() {
  for (Field* field : world_.fields()) {
    if (field == &field_) continue;
    Actor reader(world_, *field);
    if (!reader.CheckAll()) return;
  }
}

}  // namespace pagelift::stress
