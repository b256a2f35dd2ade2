#include "lib/uffd/testing/uffd_test.h"

#include <utility>

#include "lib/base/log.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/uffd/testing/faulting_thread.h"

namespace pagelift {

void UffdTest::SetUp() {
  auto opened = UserfaultFd::Open(features_);
  ASSERT_OK(opened);
  uffd_.emplace(*std::move(opened));
}

InstallResult UffdTest::Copy(PageId first, uint64_t pages, int value) const {
  const auto bytes = Pattern(pages, value);
  return uffd().Copy(first, bytes, WakeMode::kWake);
}

uint64_t UffdTest::Sleepers() const {
  auto info = uffd().Info();
  CHECK(info.ok()) << info.status();
  return info->waiting_faults - info->unread_faults;
}

std::vector<std::byte> Pattern(uint64_t pages, int value) {
  return std::vector<std::byte>(pages * kPageSize,
                                static_cast<std::byte>(value));
}

std::optional<int> ReadByte(const std::byte* at) {
  return FaultingThread::StartRead(at).Result();
}

}  // namespace pagelift
