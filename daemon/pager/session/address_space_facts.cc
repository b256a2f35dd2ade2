// What can be checked of an address space from inside.

#include "daemon/pager/session/address_space.h"

namespace pagelift {
namespace {

PageCount CountOf(const PageMap& map, PageState state) {
  constexpr PageRange kAllPages{PageId(0), PageCount(uint64_t{1} << 52)};
  PageCount count;
  map.ForEachIn(kAllPages, state, [&count](const PageMap::Piece& piece) {
    count = count + piece.pages.count;
  });
  return count;
}

}  // namespace

bool AddressSpace::JournalAgrees() const {
  if (journal_ == nullptr || memory_ == nullptr) return true;
  const absl::StatusOr<SpaceLayout> rebuilt = journal_->Rebuild();
  return rebuilt.ok() && OpsOf(*rebuilt) == OpsOf(layout_) &&
         rebuilt->map().counts().present == layout_.map().counts().present;
}

AddressSpaceFacts AddressSpace::Facts() const {
  AddressSpaceFacts facts;
  absl::WriterMutexLock lock(&mu_);
  facts.held = held();
  facts.gone = gone();
  facts.closed = closed();
  facts.counts = map().counts();
  facts.counted.missing = CountOf(map(), PageState::kMissing);
  facts.counted.requested = CountOf(map(), PageState::kRequested);
  facts.counted.present = CountOf(map(), PageState::kPresent);
  facts.counted.lost = CountOf(map(), PageState::kLost);
  for (const WaitingFaults::Entry& fault : waiting_.All()) {
    const std::optional<PageMap::Location> location = map().Find(fault.page);
    facts.waiting.push_back({fault, location.has_value()
                                        ? std::optional(location->state)
                                        : std::nullopt});
  }
  facts.journal_agrees = JournalAgrees();
  if (memory_ != nullptr) {
    absl::StatusOr<UserfaultFdInfo> kernel = ReadFdInfo(fd_);
    if (kernel.ok()) facts.kernel = *kernel;
  }
  return facts;
}

}  // namespace pagelift
