#include "daemon/pager/session/target_memory.h"

#include <utility>

namespace pagelift {
namespace {

class UserfaultMemory : public TargetMemory {
 public:
  explicit UserfaultMemory(UserfaultFd uffd) : uffd_(std::move(uffd)) {}

  absl::StatusOr<absl::Span<Event>> ReadEvents(EventBuffer& buffer) override {
    return uffd_.ReadEvents(buffer);
  }
  std::unique_ptr<TargetMemory> OfForkedChild(UniqueFd child) override {
    return MemoryBehind(uffd_.OfForkedChild(std::move(child)));
  }
  InstallResult Copy(PageId first, absl::Span<const std::byte> pages,
                     WakeMode wake) override {
    return uffd_.Copy(first, pages, wake);
  }
  InstallResult Zero(PageRange range, WakeMode wake) override {
    return uffd_.Zero(range, wake);
  }
  InstallResult Poison(PageRange range, WakeMode wake) override {
    return uffd_.Poison(range, wake);
  }
  absl::Status Wake(PageRange range) override { return uffd_.Wake(range); }
  absl::StatusOr<OperationSet> Register(PageRange range,
                                        FaultKinds kinds) override {
    return uffd_.Register(range, kinds);
  }
  absl::Status Unregister(PageRange range) override {
    return uffd_.Unregister(range);
  }
  Registration Probe(PageId page) override { return uffd_.Probe(page); }
  absl::StatusOr<RegisteredRanges> MappingsOf(pid_t pid) override {
    return RegisteredRanges::OfProcess(pid);
  }
  int fd() const override { return uffd_.fd(); }

 private:
  const UserfaultFd uffd_;
};

}  // namespace

std::unique_ptr<TargetMemory> MemoryBehind(UserfaultFd uffd) {
  return std::make_unique<UserfaultMemory>(std::move(uffd));
}

}  // namespace pagelift
