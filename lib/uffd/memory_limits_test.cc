// What the running kernel answers where memory, or room for mappings, runs out:
// never a page that is not what it should be.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <optional>
#include <utility>

#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/testing/detached_filesystem.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/forked_child.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/mapping.h"
#include "lib/uffd/testing/memory_limit.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Outcome = InstallResult::Outcome;

constexpr int kReadWrite = PROT_READ | PROT_WRITE;

class MemoryLimitsTest : public UffdTest {
 protected:
  MemoryLimitsTest() : UffdTest(kLayoutEvents | kOperations) {}
};

TEST_F(MemoryLimitsTest, PagesAreChargedToTheTargetUntilThereAreNoMore) {
  constexpr uint64_t kPages = 1024;
  MappedPages pages(uffd(), PageCount(kPages));
  MemoryLimit limit(PageCount(kPages / 2));
  ForkedChild process(
      [last = pages.data(kPages - 1)] { return static_cast<int>(*last); });
  const UserfaultFd child = uffd().OfForkedChild(WaitFor<Forked>(uffd()).child);
  limit.Add(process.pid());
  const auto page = Pattern(1, 7);
  uint64_t installed = 0;
  InstallResult result = {Outcome::kInstalled, PageCount(1), 0};
  while (result.outcome == Outcome::kInstalled && installed < kPages) {
    result = child.Copy(pages.at(installed), page, WakeMode::kWake);
    if (result.outcome == Outcome::kInstalled) ++installed;
  }
  EXPECT_EQ(result.outcome, Outcome::kNoMemory) << result;
  EXPECT_GT(installed, 0u);
  EXPECT_LE(installed, kPages / 2);
  // The target lives, and what was refused once can be had later.
  limit.Set(PageCount(2 * kPages));
  EXPECT_EQ(child
                .Copy(pages.at(installed), Pattern(kPages - installed, 7),
                      WakeMode::kWake)
                .outcome,
            Outcome::kInstalled);
  process.Run();
  EXPECT_EQ(process.ExitCode(), 7);
}

TEST_F(MemoryLimitsTest, PartBeforeTheLimitIsDone) {
  const UniqueFd file = FileOnNewFilesystem("tmpfs", PageCount(8), "12k");
  MappedPages pages(PageCount(8));
  ASSERT_EQ(mmap(pages.data(), pages.range().count.bytes(), kReadWrite,
                 MAP_SHARED | MAP_FIXED, file.get(), 0),
            pages.data());
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kMissing));
  InstallResult result = Copy(pages.at(0), 8);
  EXPECT_EQ(result.outcome, Outcome::kInterrupted) << result;
  EXPECT_EQ(result.installed, PageCount(3));
  EXPECT_EQ(Copy(pages.at(3), 5).outcome, Outcome::kNoMemory);
  EXPECT_EQ(uffd().Zero(pages.range(3, 1), WakeMode::kWake).outcome,
            Outcome::kNoMemory);
  EXPECT_FALSE(pages.IsPresent(3));
  ASSERT_OK(uffd().Unregister(pages.range()));
}

TEST_F(MemoryLimitsTest, RefusalWakesNobody) {
  const UniqueFd file = FileOnNewFilesystem("tmpfs", PageCount(2), "4k");
  MappedPages pages(PageCount(2));
  ASSERT_EQ(mmap(pages.data(), pages.range().count.bytes(), kReadWrite,
                 MAP_SHARED | MAP_FIXED, file.get(), 0),
            pages.data());
  ASSERT_OK(uffd().Register(pages.range(), FaultKind::kMissing));
  ASSERT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  FaultingThread thread = FaultingThread::StartRead(pages.data(1));
  WaitFor<PageFault>(uffd());
  EXPECT_EQ(Copy(pages.at(1), 1).outcome, Outcome::kNoMemory);
  EXPECT_EQ(Sleepers(), 1u);
  ASSERT_OK(uffd().Unregister(pages.range()));
  // Not a zero.
  EXPECT_EQ(thread.Result(), std::nullopt);
}

// A file of huge pages of which there are none, ever.
class NoHugePagesTest : public UffdTest {
 protected:
  const UniqueFd file_ = FileOnNewFilesystem("hugetlbfs", kHugePage, "0");
  const Mapping huge_{kHugePage, kReadWrite, MAP_SHARED | MAP_NORESERVE,
                      file_.get()};
};

TEST_F(NoHugePagesTest, CopyClaimsThatThePageIsPresent) {
  ASSERT_OK(uffd().Register(huge_.range(), FaultKind::kMissing));
  FaultingThread thread = FaultingThread::StartRead(huge_.data());
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, huge_.at(0));
  EXPECT_EQ(Copy(huge_.at(0), 512).outcome, Outcome::kAlreadyPresent);
  // It is not, so whoever is woken asks again.
  ASSERT_OK(uffd().Wake(huge_.range()));
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, huge_.at(0));
  ASSERT_EQ(uffd().Poison(huge_.range(), WakeMode::kWake).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(thread.Result(), std::nullopt);
}

TEST_F(NoHugePagesTest, OperationsGoByWholeHugePages) {
  ASSERT_OK(uffd().Register(huge_.range(), FaultKind::kMissing));
  EXPECT_EQ(Copy(huge_.at(0), 1).error, EINVAL);
  EXPECT_EQ(Copy(huge_.at(1), 1).error, EINVAL);
  EXPECT_EQ(uffd().Poison(huge_.range(0, 1), WakeMode::kWake).error, EINVAL);
  EXPECT_EQ(uffd().Poison(huge_.range(), WakeMode::kWake).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(uffd().Continue(huge_.range(0, 1), WakeMode::kWake).error, EINVAL);
}

TEST_F(NoHugePagesTest, ZeroIsNotForHugePages) {
  ASSERT_OK(uffd().Register(huge_.range(), FaultKind::kMissing));
  EXPECT_EQ(uffd().Zero(huge_.range(), WakeMode::kWake).error, EINVAL);
}

uint64_t MostMappings() {
  uint64_t most = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> most;
  return most;
}

// A target that has used up all the mappings a process may have, by giving
// every other page of `others` another protection.
class MappingLimitTest : public MemoryLimitsTest {
 protected:
  void SetUp() override {
    MemoryLimitsTest::SetUp();
    if (HasFatalFailure()) return;
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    registered_.emplace(uffd(), PageCount(3));
    process_.emplace([at = others_.data(), count = others_.range().count.raw(),
                      fd = writing.get()] {
      uint64_t page = 1;
      while (page < count &&
             mprotect(at + page * kPageSize, kPageSize, PROT_READ) == 0) {
        page += 2;
      }
      if (page < count && write(fd, "x", 1) == 1) pause();
      return 1;
    });
    child_.emplace(uffd().OfForkedChild(WaitFor<Forked>(uffd()).child));
    process_->pid();
    writing.reset();
    process_->Run();
    char byte;
    ASSERT_EQ(read(reading.get(), &byte, 1), 1) << "there was no limit";
  }
  void TearDown() override {
    process_.reset();
    registered_.reset();
  }

  const UserfaultFd& child() const { return *child_; }
  const MappedPages& registered() const { return *registered_; }

  const MappedPages pages_{PageCount(3)};

 private:
  const Mapping others_{PageCount(2 * MostMappings()), PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
  std::optional<MappedPages> registered_;
  std::optional<UserfaultFd> child_;
  std::optional<ForkedChild> process_;
};

TEST_F(MappingLimitTest, RegistersNoPartOfAMapping) {
  EXPECT_THAT(child().Register(pages_.range(1, 1), FaultKind::kMissing),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(child().Probe(pages_.at(1)), Registration::kNotRegistered);
  EXPECT_OK(child().Register(pages_.range(), FaultKind::kMissing));
}

TEST_F(MappingLimitTest, UnregistersNoPartOfAMapping) {
  EXPECT_THAT(child().Unregister(registered().range(1, 1)),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(child().Probe(registered().at(1)), Registration::kRegistered);
  EXPECT_OK(child().Unregister(registered().range()));
}

}  // namespace
}  // namespace pagelift
