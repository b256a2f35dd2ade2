// Deliveries: what the source's threads do with the pages that arrive.

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/pager/session/session.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"

namespace pagelift {
namespace {

// How long a source's thread waits for an event to be read before it gives the
// pages back: it must not wait for ever, the event thread may be waiting for
// room on that very source.
constexpr absl::Duration kInstallPatience = absl::Milliseconds(5);
constexpr absl::Duration kInstallPause = absl::Microseconds(20);
// A source that cannot serve now is asked again after this.
constexpr absl::Duration kUnavailableRetry = absl::Milliseconds(100);

}  // namespace

void Session::OnPages(const PageBatch& batch) {
  last_arrival_.store(absl::ToInt64Nanoseconds(MonotonicNow()),
                      std::memory_order_relaxed);
  owners_.ForEach(batch.range, [&](ImageRange part, size_t task) {
    Deliver(*lineages_[task], part, batch);
  });
  // The event thread has better to do than to bring what nobody waits for.
  if (prefetcher_->OnAnswer(batch, /*may_ask=*/!OnEventThread()) &&
      MayBeComplete()) {
    PostCheckComplete();
  }
}

bool Session::MayBeComplete() const {
  // Where nothing is prefetched, every answer may be the last: the event thread
  // is not to be woken for each.
  const std::vector<std::shared_ptr<AddressSpace>> live = LiveSpaces();
  return std::any_of(live.begin(), live.end(),
                     [](const std::shared_ptr<AddressSpace>& space) {
                       return space->gone() || space->complete();
                     });
}

void Session::PostCheckComplete() {
  loop_->Post([this] { CheckComplete(); });
}

void Session::Deliver(Lineage& lineage, ImageRange range,
                      const PageBatch& batch) {
  bool given_back = false;
  for (size_t i = 0; std::shared_ptr<AddressSpace> space = lineage.NextFrom(i);
       ++i) {
    ImageRange rest = range;
    while (!rest.empty()) {
      const ImageRange step{rest.first,
                            std::min(rest.count, AddressSpace::kInstallStep)};
      if (!InstallPatiently(space, step, batch)) given_back = true;
      rest = {step.limit(), rest.count - step.count};
    }
    if (space->has_doubts()) given_back = true;
  }
  if (given_back) loop_->Post([this] { ArmRetry(kFirstRetry); });
}

bool Session::InstallPatiently(const std::shared_ptr<AddressSpace>& space,
                               ImageRange step, const PageBatch& batch) {
  const PageCount skip = step.first - batch.range.first;
  absl::Duration give_up = absl::InfiniteDuration();
  while (true) {
    switch (space->Install(step, batch.pieces, skip)) {
      case AddressSpace::Outcome::kDone:
        return true;
      case AddressSpace::Outcome::kGone:
        PostCheckComplete();
        return true;
      case AddressSpace::Outcome::kEventPending:
      case AddressSpace::Outcome::kNoMemory:
        break;
    }
    const absl::Duration now = MonotonicNow();
    if (give_up == absl::InfiniteDuration()) {
      give_up =
          now + (OnEventThread() ? options_.event_patience : kInstallPatience);
    }
    if (now >= give_up || !AwaitEvents(space)) {
      space->GiveBack(step);
      return false;
    }
    absl::SleepFor(kInstallPause);
  }
}

bool Session::AwaitEvents(const std::shared_ptr<AddressSpace>& space) {
  if (!OnEventThread()) return true;  // It reads them.
  // In the middle of its faults, or not to be read yet.
  if (fetching_ || space->closed() || space->held()) return false;
  ReadEvents(space);
  // Its last pages may have gone by an event.
  if (space->gone() || space->complete()) PostCheckComplete();
  return true;
}

void Session::OnUnavailable(ImageRange range, const absl::Status& status) {
  const bool lost = status.code() == absl::StatusCode::kDataLoss;
  if (lost) {
    LOG(Error) << "image pages " << range
               << " are lost and will be poisoned: " << status.message();
    SetTrouble(absl::StrCat("pages are lost: ", status.message()));
  }
  owners_.ForEach(range, [&](ImageRange part, size_t task) {
    for (size_t i = 0;
         std::shared_ptr<AddressSpace> space = lineages_[task]->NextFrom(i);
         ++i) {
      if (lost) {
        space->Lose(part);
      } else {
        space->GiveBack(part);
      }
    }
  });
  if (!lost) prefetcher_->Pause();
  if (prefetcher_->OnUnavailable(range.count)) PostCheckComplete();
  if (!lost) loop_->Post([this] { ArmRetry(kUnavailableRetry); });
}

}  // namespace pagelift
