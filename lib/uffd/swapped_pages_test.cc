// A page that the kernel has swapped out is not missing: nobody is asked for
// it, and nothing replaces it.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/base/log.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "lib/uffd/testing/mapped_pages.h"
#include "lib/uffd/testing/uffd_test.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {
namespace {

using Outcome = InstallResult::Outcome;

bool MachineHasSwap() {
  std::ifstream swaps("/proc/swaps");
  std::string header;
  std::string first;
  std::getline(swaps, header);
  return static_cast<bool>(std::getline(swaps, first));
}

// Swap space for the time of a test; the machine's own where it has some.
class SwapSpace {
 public:
  SwapSpace() {
    if (MachineHasSwap()) return;
    // As mkswap(8) writes it: version, last page, and the mark at the end of
    // the first page.
    constexpr uint32_t kPages = 256;
    constexpr uint32_t kHeader[] = {1, kPages - 1};
    std::string contents(kPages * kPageSize, '\0');
    std::memcpy(contents.data() + 1024, kHeader, sizeof(kHeader));
    std::memcpy(contents.data() + kPageSize - 10, "SWAPSPACE2", 10);
    const std::string path = dir_.Join("swap");
    WriteFile(path, contents);
    UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
    CHECK(fchmod(file.get(), 0600) == 0 && fsync(file.get()) == 0);
    CHECK(swapon(path.c_str(), 0) == 0) << path << ": errno " << errno;
    path_ = path;
  }
  ~SwapSpace() {
    if (path_.has_value()) CHECK(swapoff(path_->c_str()) == 0) << errno;
  }
  SwapSpace(const SwapSpace&) = delete;
  SwapSpace& operator=(const SwapSpace&) = delete;

 private:
  TempDir dir_;
  std::optional<std::string> path_;
};

class SwappedPagesTest : public UffdTest {
 protected:
  // Whether the page went out; it may be busy for a moment.
  static bool SwapOut(const MappedPages& pages, uint64_t index) {
    const absl::Time deadline = absl::Now() + kSoon;
    while (pages.IsPresent(index)) {
      if (absl::Now() > deadline) return false;
      madvise(pages.data(index), kPageSize, MADV_PAGEOUT);
    }
    return true;
  }

  const SwapSpace swap_;
};

TEST_F(SwappedPagesTest, NothingIsInstalledOverThem) {
  MappedPages pages(uffd(), PageCount(1));
  ASSERT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  ASSERT_TRUE(SwapOut(pages, 0));
  EXPECT_EQ(Copy(pages.at(0), 1, 8).outcome, Outcome::kAlreadyPresent);
  EXPECT_EQ(uffd().Zero(pages.range(), WakeMode::kWake).outcome,
            Outcome::kAlreadyPresent);
  EXPECT_EQ(uffd().Poison(pages.range(), WakeMode::kWake).outcome,
            Outcome::kAlreadyPresent);
  EXPECT_FALSE(pages.IsPresent(0));
  EXPECT_EQ(ReadByte(pages.data()), 7);
}

TEST_F(SwappedPagesTest, WriteProtectionGoesOutAndComesBackWithThem) {
  MappedPages pages(uffd(), PageCount(1), missing_and_protect_);
  ASSERT_EQ(Copy(pages.at(0), 1).outcome, Outcome::kInstalled);
  ASSERT_EQ(uffd().WriteProtect(pages.range()).outcome, Outcome::kInstalled);
  ASSERT_TRUE(SwapOut(pages, 0));
  EXPECT_TRUE(pages.IsWriteProtected(0));
  EXPECT_EQ(ReadByte(pages.data()), 7);
  EXPECT_TRUE(pages.IsWriteProtected(0));
}

TEST_F(SwappedPagesTest, MoveTakesThemAlong) {
  MappedPages pages(uffd(), PageCount(1));
  MappedPages source(PageCount(1));
  *source.data() = std::byte{6};
  ASSERT_TRUE(SwapOut(source, 0));
  EXPECT_EQ(uffd().Move(source.range(), pages.at(0), WakeMode::kWake).outcome,
            Outcome::kInstalled);
  EXPECT_EQ(ReadByte(pages.data()), 6);
}

}  // namespace
}  // namespace pagelift
