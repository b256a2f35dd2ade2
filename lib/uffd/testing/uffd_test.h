#ifndef PAGELIFT_LIB_UFFD_TESTING_UFFD_TEST_H_
#define PAGELIFT_LIB_UFFD_TESTING_UFFD_TEST_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {

// What every operation needs that installs pages or changes them. Without
// events nobody has to read, and whoever unmaps or forks does not wait.
inline constexpr FeatureSet kOperations =
    Feature::kPagefaultFlagWp | Feature::kMinorShmem | Feature::kMove |
    Feature::kPoison | Feature::kWpHugetlbfsShmem | Feature::kWpUnpopulated;

// A test that has a userfaultfd. Fails, and never skips, where none can be
// opened.
class UffdTest : public ::testing::Test {
 protected:
  explicit UffdTest(FeatureSet features = kOperations) : features_(features) {}
  void SetUp() override;

  const UserfaultFd& uffd() const { return *uffd_; }
  // Closes it, as a daemon does that ends.
  void Close() { uffd_.reset(); }

  // Installs pages that are full of `value`, and wakes.
  InstallResult Copy(PageId first, uint64_t pages, int value = 7) const;
  // How many threads wait whose fault was read and whom nobody has woken since.
  // The kernel takes them off its list as it wakes them, so this is exact.
  uint64_t Sleepers() const;

  const FaultKinds missing_and_protect_ =
      FaultKind::kMissing | FaultKind::kWriteProtect;

 private:
  const FeatureSet features_;
  std::optional<UserfaultFd> uffd_;
};

std::vector<std::byte> Pattern(uint64_t pages, int value);

// In a thread of its own; nothing if there was a SIGBUS.
std::optional<int> ReadByte(const std::byte* at);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_TESTING_UFFD_TEST_H_
