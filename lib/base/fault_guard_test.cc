#include "lib/base/fault_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

constexpr size_t kFileSize = 2 * 4096;

// A mapped file of two pages of ones.
class MappedFile {
 public:
  MappedFile() : fd_(memfd_create("fault_guard_test", MFD_CLOEXEC)) {
    EXPECT_EQ(ftruncate(fd_.get(), kFileSize), 0);
    bytes_ = static_cast<char*>(mmap(nullptr, kFileSize, PROT_READ | PROT_WRITE,
                                     MAP_SHARED, fd_.get(), 0));
    std::memset(bytes_, 1, kFileSize);
  }
  ~MappedFile() { munmap(bytes_, kFileSize); }

  void Truncate() { EXPECT_EQ(ftruncate(fd_.get(), 0), 0); }
  const volatile char* bytes() const { return bytes_; }

 private:
  UniqueFd fd_;
  char* bytes_ = nullptr;
};

TEST(FaultGuardTest, ReadingWhatIsThereSucceeds) {
  MappedFile file;
  char seen = 0;
  EXPECT_TRUE(RunGuarded([&] { seen = file.bytes()[4096]; }));
  EXPECT_EQ(seen, 1);
}

TEST(FaultGuardTest, ReadingATruncatedFileReturnsFalse) {
  MappedFile file;
  file.Truncate();
  volatile bool went_on = false;
  EXPECT_FALSE(RunGuarded([&] {
    (void)file.bytes()[0];
    went_on = true;
  }));
  EXPECT_FALSE(went_on);
}

TEST(FaultGuardTest, WorksAgainAfterAFault) {
  MappedFile whole;
  MappedFile cut;
  cut.Truncate();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(RunGuarded([&] { (void)cut.bytes()[0]; }));
    EXPECT_TRUE(RunGuarded([&] { (void)whole.bytes()[0]; }));
  }
}

TEST(FaultGuardTest, AFaultInsideANestedGuardLeavesTheOuterOneGoing) {
  MappedFile cut;
  cut.Truncate();
  volatile bool inner = true;
  bool outer_after_inner =
      RunGuarded([&] { inner = RunGuarded([&] { (void)cut.bytes()[0]; }); });
  EXPECT_FALSE(inner);
  EXPECT_TRUE(outer_after_inner);
  EXPECT_FALSE(RunGuarded([&] {
    (void)RunGuarded([] {});
    (void)cut.bytes()[0];
  }));
}

TEST(FaultGuardTest, ThreadsFaultIndependently) {
  MappedFile cut;
  cut.Truncate();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cut] {
      for (int i = 0; i < 200; ++i) {
        EXPECT_FALSE(RunGuarded([&] { (void)cut.bytes()[0]; }));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Each death test sets what handles SIGBUS before the first use of a guard, and
// so needs a process of its own.
class FaultGuardDeathTest : public ::testing::Test {
 protected:
  FaultGuardDeathTest() {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  }
};

TEST_F(FaultGuardDeathTest, ASigbusOutsideAGuardStillKills) {
  MappedFile cut;
  cut.Truncate();
  EXPECT_EXIT(
      {
        signal(SIGBUS, SIG_DFL);
        (void)RunGuarded([&] { (void)cut.bytes()[0]; });
        (void)cut.bytes()[0];
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, ASigbusThatSomebodySentStillKillsInsideAGuard) {
  EXPECT_EXIT(
      {
        signal(SIGBUS, SIG_DFL);
        RunGuarded([] { raise(SIGBUS); });
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

void ExitWithSeven(int) { _exit(7); }

TEST_F(FaultGuardDeathTest, AnEarlierHandlerGetsWhatIsNotOurs) {
  EXPECT_EXIT(
      {
        signal(SIGBUS, &ExitWithSeven);
        RunGuarded([] {});
        raise(SIGBUS);
      },
      ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace pagelift
