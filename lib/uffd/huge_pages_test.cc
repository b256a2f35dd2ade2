// Memory of huge pages against the running kernel, where there is exactly one
// to be had. Where there is none: memory_limits_test.cc.

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "lib/base/log.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/testing/detached_filesystem.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/mapping.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/testing/wait_for_events.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Outcome = InstallResult::Outcome;

constexpr int kReadWrite = PROT_READ | PROT_WRITE;

// One huge page more for the machine, and all others reserved, for the time of
// a test. Needs root.
class OneHugePage {
 public:
  OneHugePage() : before_(Read("nr")) {
    Set(before_ + 1);
    CHECK(Read("nr") == before_ + 1) << "memory has no huge page left";
    const uint64_t others = Read("free") - Read("resv") - 1;
    if (others == 0) return;
    reserved_.emplace(PageCount(others * kHugePage.raw()), kReadWrite,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
  }
  ~OneHugePage() {
    reserved_.reset();
    Set(before_);
  }
  OneHugePage(const OneHugePage&) = delete;
  OneHugePage& operator=(const OneHugePage&) = delete;

 private:
  static std::string PathOf(const std::string& count) {
    return "/sys/kernel/mm/hugepages/hugepages-2048kB/" + count + "_hugepages";
  }
  static uint64_t Read(const std::string& count) {
    uint64_t value = 0;
    std::ifstream file(PathOf(count));
    CHECK(static_cast<bool>(file >> value)) << PathOf(count);
    return value;
  }
  static void Set(uint64_t count) {
    std::ofstream file(PathOf("nr"));
    file << count << std::flush;
    CHECK(file.good()) << PathOf("nr");
  }

  const uint64_t before_;
  std::optional<Mapping> reserved_;
};

class HugePagesTest : public UffdTest {
 protected:
  const OneHugePage one_;
  const UniqueFd file_ = FileOnNewFilesystem("hugetlbfs", kHugePage);
  const Mapping huge_{kHugePage, kReadWrite, MAP_SHARED | MAP_NORESERVE,
                      file_.get()};
};

TEST_F(HugePagesTest, CopyServesAThreadThatWaitsForAnyPartOfIt) {
  ASSERT_OK(uffd().Register(huge_.range(), FaultKind::kMissing));
  FaultingThread thread = FaultingThread::StartRead(huge_.data(300));
  EXPECT_EQ(WaitFor<PageFault>(uffd()).page, huge_.at(0));
  const InstallResult result = Copy(huge_.at(0), kHugePage.raw());
  EXPECT_EQ(result.outcome, Outcome::kInstalled) << result;
  EXPECT_EQ(result.installed, kHugePage);
  EXPECT_EQ(thread.Result(), 7);
  EXPECT_EQ(Copy(huge_.at(0), kHugePage.raw()).outcome,
            Outcome::kAlreadyPresent);
}

TEST_F(HugePagesTest, ContinueMapsWhatTheFileHolds) {
  ASSERT_OK(uffd().Register(huge_.range(), FaultKind::kMinor));
  EXPECT_EQ(uffd().Continue(huge_.range(), WakeMode::kWake).outcome,
            Outcome::kSourceFault);
  const Mapping other(kHugePage, kReadWrite, MAP_SHARED | MAP_NORESERVE,
                      file_.get());
  *other.data(300) = std::byte{9};
  FaultingThread thread = FaultingThread::StartRead(huge_.data(300));
  EXPECT_EQ(WaitFor<PageFault>(uffd()).kind, FaultKind::kMinor);
  EXPECT_EQ(uffd().Continue(huge_.range(), WakeMode::kWake).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(thread.Result(), 9);
  EXPECT_EQ(uffd().Continue(huge_.range(), WakeMode::kWake).outcome,
            Outcome::kAlreadyPresent);
}

TEST_F(HugePagesTest, CopyFromPagesThatAreNotThereYetNeedsASecondOne) {
  ASSERT_OK(uffd().Register(huge_.range(), FaultKind::kMissing));
  MappedPages source(kHugePage);
  const auto bytes = absl::MakeConstSpan(source.data(), kHugePage.bytes());
  EXPECT_EQ(uffd().Copy(huge_.at(0), bytes, WakeMode::kWake).outcome,
            Outcome::kNoMemory);
  ASSERT_EQ(madvise(source.data(), bytes.size(), MADV_POPULATE_READ), 0);
  EXPECT_EQ(uffd().Copy(huge_.at(0), bytes, WakeMode::kWake).outcome,
            Outcome::kInstalled);
}

}  // namespace
}  // namespace pagelift
