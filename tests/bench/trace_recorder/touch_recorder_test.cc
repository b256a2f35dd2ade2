#include "tests/bench/trace_recorder/touch_recorder.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/memory/page.h"
#include "lib/process/pidfd.h"
#include "lib/uffd/features.h"
#include "lib/uffd/userfault_fd.h"
#include "tests/bench/trace_recorder/recorded_memory.h"
#include "tests/stress/lazify/anonymous_memory.h"
#include "tests/stress/lazify/memory_taking.h"
#include "tests/stress/lazify/stopped_process.h"

namespace pagelift::bench {
namespace {

using ::testing::ElementsAre;

constexpr size_t kPages = 8;  // Of data,
constexpr size_t kEmpty = 4;  // and nothing behind them.
constexpr FeatureSet kFeatures =
    Feature::kEventRemap | Feature::kEventRemove | Feature::kThreadId;

// A child that waits for a byte, touches pages of its region in its own way,
// and ends with 0 if they held what they should.
class Child {
 public:
  Child() {
    memory_ = static_cast<char*>(mmap(nullptr, (kPages + kEmpty) * kPageSize,
                                      PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (size_t i = 0; i < kPages; ++i) *At(i) = static_cast<char>('a' + i);
    EXPECT_EQ(pipe(pipe_), 0);
    pid_ = fork();
    if (pid_ == 0) Run();
  }

  pid_t pid() const { return pid_; }
  std::string AddressOf(size_t page) const {
    return absl::StrFormat("%x", reinterpret_cast<uintptr_t>(At(page)));
  }
  void Go() const { EXPECT_EQ(write(pipe_[1], "", 1), 1); }
  int ExitCode() const {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  volatile char* At(size_t page) const { return memory_ + page * kPageSize; }

  [[noreturn]] void Run() const {
    char byte;
    if (read(pipe_[0], &byte, 1) != 1) _exit(2);
    bool right = *At(5) == 'f' && *At(2) == 'c';
    right = right &&
            madvise(memory_ + 3 * kPageSize, kPageSize, MADV_DONTNEED) == 0;
    right = right && *At(3) == 0 && *At(2) == 'c';
    right = right && mremap(memory_ + 6 * kPageSize, 2 * kPageSize,
                            2 * kPageSize, MREMAP_MAYMOVE | MREMAP_FIXED,
                            memory_ + kPages * kPageSize) != MAP_FAILED;
    right = right && *At(kPages + 1) == 'h';
    _exit(right ? 0 : 1);
  }

  char* memory_;
  int pipe_[2];
  pid_t pid_;
};

// "F page zero" of its touches, "R page" of what it dropped, "M page" of what
// it moved.
std::vector<std::string> EventsOf(const Child& child,
                                  const std::string& trace) {
  std::vector<std::string> ours;
  for (size_t page = 0; page < kPages + kEmpty; ++page) {
    ours.push_back(child.AddressOf(page));
  }
  std::vector<std::string> events;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(trace, '\n'))) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() < 4) continue;
    const auto page = std::find(ours.begin(), ours.end(), words[2]);
    if (page == ours.end()) continue;
    events.push_back(absl::StrFormat("%s %d", words[0], page - ours.begin()) +
                     (words[0] == "F" ? " " + words[5] : ""));
  }
  return events;
}

TEST(TouchRecorderTest, WritesDownTheFirstTouchOfEachPage) {
  Child child;
  auto pidfd = PidFd::Open(child.pid());
  ASSERT_THAT(pidfd, IsOk());
  std::optional<stress::StoppedProcess> process;
  auto stopped = stress::StoppedProcess::Stop(child.pid());
  ASSERT_THAT(stopped, IsOk());
  process.emplace(*std::move(stopped));
  auto mappings = stress::AnonymousMemoryOf(*process);
  ASSERT_THAT(mappings, IsOk());
  auto memory = RecordedMemory::Of(*process, *mappings);
  ASSERT_THAT(memory, IsOk());
  auto uffd = stress::TakeMemoryAway(*process, *mappings, kFeatures);
  ASSERT_THAT(uffd, IsOk());
  std::ostringstream trace;
  TouchRecorder recorder(*uffd, *memory, trace);
  process.reset();
  child.Go();
  while (!pidfd->HasExited()) {
    pollfd polled[] = {{uffd->fd(), POLLIN, 0}, {pidfd->fd(), POLLIN, 0}};
    ASSERT_GT(poll(polled, 2, recorder.waiting() ? 1 : -1), -1);
    ASSERT_THAT(recorder.ServeEvents(), IsOk());
  }
  EXPECT_EQ(child.ExitCode(), 0);
  EXPECT_THAT(EventsOf(child, trace.str()),
              ElementsAre("F 5 0", "F 2 0", "R 3", "F 3 1", "M 6", "F 9 0"));
}

}  // namespace
}  // namespace pagelift::bench
