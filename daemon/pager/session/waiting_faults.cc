#include "daemon/pager/session/waiting_faults.h"

#include <algorithm>

namespace pagelift {

void WaitingFaults::Recount() {
  count_.store(waiting_.size(), std::memory_order_release);
  deferred_.store(deferred_count_, std::memory_order_release);
}

bool WaitingFaults::Demand(PageId page, absl::Time now) {
  absl::MutexLock lock(&mu_);
  auto [it, is_new] = waiting_.try_emplace(page, Waiting{now, false});
  const bool ask = is_new || it->second.deferred;
  if (it->second.deferred) --deferred_count_;
  it->second.deferred = false;
  Recount();
  return ask;
}

void WaitingFaults::Defer(PageId page, absl::Time now) {
  absl::MutexLock lock(&mu_);
  auto [it, is_new] = waiting_.try_emplace(page, Waiting{now, true});
  if (is_new || !it->second.deferred) ++deferred_count_;
  it->second.deferred = true;
  Recount();
}

void WaitingFaults::DeferAll(PageRange range) {
  if (empty()) return;
  absl::MutexLock lock(&mu_);
  for (auto it = waiting_.lower_bound(range.first);
       it != waiting_.end() && it->first < range.limit(); ++it) {
    if (!it->second.deferred) ++deferred_count_;
    it->second.deferred = true;
  }
  Recount();
}

void WaitingFaults::Answered(PageRange range,
                             absl::FunctionRef<void(absl::Duration)> answered,
                             absl::Time now) {
  if (empty()) return;
  absl::MutexLock lock(&mu_);
  auto it = waiting_.lower_bound(range.first);
  while (it != waiting_.end() && it->first < range.limit()) {
    answered(now - it->second.since);
    if (it->second.deferred) --deferred_count_;
    it = waiting_.erase(it);
  }
  Recount();
}

void WaitingFaults::Forget(PageRange range) {
  Answered(
      range, [](absl::Duration) {}, absl::InfinitePast());
}

bool WaitingFaults::Contains(PageId page) const {
  absl::MutexLock lock(&mu_);
  return waiting_.contains(page);
}

std::vector<PageId> WaitingFaults::Deferred() const {
  std::vector<PageId> pages;
  absl::MutexLock lock(&mu_);
  for (const auto& [page, waiting] : waiting_) {
    if (waiting.deferred) pages.push_back(page);
  }
  return pages;
}

std::vector<WaitingFaults::Entry> WaitingFaults::All() const {
  std::vector<Entry> entries;
  absl::MutexLock lock(&mu_);
  for (const auto& [page, waiting] : waiting_) {
    entries.push_back({page, waiting.since, waiting.deferred});
  }
  return entries;
}

absl::Time WaitingFaults::OldestSince() const {
  absl::MutexLock lock(&mu_);
  absl::Time oldest = absl::InfiniteFuture();
  for (const auto& [page, waiting] : waiting_) {
    oldest = std::min(oldest, waiting.since);
  }
  return oldest;
}

}  // namespace pagelift
