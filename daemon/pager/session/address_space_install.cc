// Installing: what is wanted of the pages that arrive, is lost, or turns out to
// have no mapping.

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "daemon/pager/session/address_space.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"

namespace pagelift {
namespace {

// How long a page must be without a mapping before we believe it.
constexpr absl::Duration kDoubtFor = absl::Milliseconds(10);

}  // namespace

AddressSpace::Outcome AddressSpace::Install(ImageRange range,
                                            PageCursor::Pieces pieces,
                                            PageCount skip) {
  absl::ReaderMutexLock lock(&mu_);
  if (memory_ == nullptr || gone()) return Outcome::kGone;
  if (held()) return Outcome::kEventPending;
  Outcome outcome = Outcome::kDone;
  map().ForEachTarget(range, kWanted, [&](const PageMap::Piece& piece) {
    mu_.AssertReaderHeld();
    if (outcome != Outcome::kDone) return;
    if (IsAside(piece.pages)) {
      outcome = Outcome::kEventPending;
      return;
    }
    if (pieces.empty()) {
      outcome = InstallRun(piece, {});
      return;
    }
    PageCursor cursor(pieces, skip + (piece.image - range.first));
    PageMap::Piece rest = piece;
    while (!rest.pages.empty() && outcome == Outcome::kDone) {
      absl::Span<const std::byte> bytes = cursor.Next(rest.pages.count);
      const PageCount count(bytes.size() / kPageSize);
      outcome = InstallRun(FirstOf(rest, count), bytes);
      rest = Behind(rest, count);
    }
  });
  return outcome;
}

AddressSpace::Outcome AddressSpace::InstallRun(
    PageMap::Piece rest, absl::Span<const std::byte> bytes) {
  const bool zero = bytes.empty();
  while (!rest.pages.empty()) {
    const PageRange pages = rest.pages;
    absl::Span<const std::byte> left =
        zero ? bytes : bytes.last(pages.count.bytes());
    InstallResult result =
        zero ? memory_->Zero(pages, WakeMode::kWake)
             : memory_->Copy(pages.first, left, WakeMode::kWake);
    PageCount settled = result.installed;
    if (PageCount(0) < settled) MarkInstalled(FirstOf(rest, settled));
    switch (result.outcome) {
      case InstallResult::Outcome::kInstalled:
      case InstallResult::Outcome::kInterrupted:
        break;
      case InstallResult::Outcome::kAlreadyPresent:
        WakeLocked(OnePage(pages.first));
        MarkInstalled(FirstOf(rest, PageCount(1)));
        settled = PageCount(1);
        break;
      case InstallResult::Outcome::kRangeGone: {
        if (pages.count == PageCount(1)) {
          absl::MutexLock lock(&doubts_mu_);
          doubts_.push_back({pages.first, MonotonicNow()});
          return Outcome::kDone;
        }
        // Perhaps only a border between two mappings.
        settled = PageCount(pages.count.raw() / 2);
        Outcome half = InstallRun(FirstOf(rest, settled),
                                  zero ? left : left.first(settled.bytes()));
        if (half != Outcome::kDone) return half;
        break;
      }
      case InstallResult::Outcome::kSourceFault:
        LOG(Error) << "the contents of " << pages.first
                   << " cannot be read any more (was the image truncated?)";
        MarkLost(FirstOf(rest, PageCount(1)));
        settled = PageCount(1);
        break;
      case InstallResult::Outcome::kTargetGone:
        MarkGone();
        return Outcome::kGone;
      case InstallResult::Outcome::kEventPending:
        return Outcome::kEventPending;
      case InstallResult::Outcome::kFailed:
        // It will be tried again and again.
        if (!told_of_failure_.exchange(true)) {
          LOG(Error) << "installing " << pages << ": " << result;
        }
        [[fallthrough]];
      case InstallResult::Outcome::kNoMemory:
        return Outcome::kNoMemory;
    }
    rest = Behind(rest, settled);
  }
  return Outcome::kDone;
}

void AddressSpace::MarkInstalled(const PageMap::Piece& piece) {
  const PageCount changed =
      map().TransitionRange(piece.pages, kWanted, PageState::kPresent);
  stats_.pages_installed.fetch_add(changed.raw(), std::memory_order_relaxed);
  if (journal_ != nullptr) journal_->MarkInstalled(piece.image_range());
  if (waiting_.empty()) return;
  waiting_.Answered(
      piece.pages, [this](absl::Duration d) { stats_.fault_latency.Record(d); },
      absl::Now());
}

void AddressSpace::MarkLost(const PageMap::Piece& piece) {
  const PageRange pages = piece.pages;
  stats_.pages_lost.fetch_add(layout_.Lose(piece.image_range()).raw(),
                              std::memory_order_relaxed);
  CommitLocked();
  // Where that is not possible now, those who wait look again, and Resolve()
  // poisons page by page.
  memory_->Poison(pages, WakeMode::kLeaveAsleep);
  waiting_.Forget(pages);
  WakeLocked(pages);
}

AddressSpace::Outcome AddressSpace::Lose(ImageRange range) {
  absl::ReaderMutexLock lock(&mu_);
  if (memory_ == nullptr || gone()) return Outcome::kGone;
  map().ForEachTarget(range, kWanted, [&](const PageMap::Piece& piece) {
    mu_.AssertReaderHeld();
    MarkLost(piece);
  });
  return Outcome::kDone;
}

void AddressSpace::GiveBack(ImageRange range) {
  absl::ReaderMutexLock lock(&mu_);
  map().ForEachTarget(
      range, PageState::kRequested, [&](const PageMap::Piece& piece) {
        mu_.AssertReaderHeld();
        map().TransitionRange(piece.pages, PageState::kRequested,
                              PageState::kMissing);
        waiting_.DeferAll(piece.pages);
      });
}

std::optional<PageMap::Piece> AddressSpace::ClaimFirst(PageRange within,
                                                       PageCount most) {
  absl::ReaderMutexLock lock(&mu_);
  return MayClaim() ? map().ClaimMissing(within, most) : std::nullopt;
}

std::optional<PageMap::Piece> AddressSpace::ClaimLast(PageRange within,
                                                      PageCount most) {
  absl::ReaderMutexLock lock(&mu_);
  return MayClaim() ? map().ClaimLastMissing(within, most) : std::nullopt;
}

std::optional<PageMap::Piece> AddressSpace::ClaimImage(ImageRange image,
                                                       PageCount most) {
  absl::ReaderMutexLock lock(&mu_);
  return MayClaim() ? map().ClaimImage(image, most) : std::nullopt;
}

bool AddressSpace::SettleDoubts() {
  std::vector<Doubt> doubts;
  {
    absl::MutexLock lock(&doubts_mu_);
    doubts.swap(doubts_);
  }
  if (doubts.empty() && !has_doubts()) return false;
  std::vector<Doubt> still;
  {
    absl::WriterMutexLock lock(&mu_);
    if (memory_ != nullptr) SettleMovesLocked();
    for (const Doubt& doubt : doubts) {
      if (memory_ == nullptr || gone()) return false;
      std::optional<PageMap::Location> location = map().Find(doubt.page);
      if (!location.has_value() || location->state != PageState::kRequested) {
        continue;
      }
      const PageRange page = OnePage(doubt.page);
      Registration registration = memory_->Probe(doubt.page);
      if (registration == Registration::kTargetGone) {
        MarkGone();
      } else if (registration == Registration::kRegistered) {
        map().Transition(doubt.page, PageState::kRequested,
                         PageState::kMissing);
        waiting_.DeferAll(page);
      } else if (registration == Registration::kNotRegistered &&
                 MonotonicNow() - doubt.since >= kDoubtFor) {
        LOG(Debug) << "page " << doubt.page << " is not mapped any more";
        layout_.Erase(page);
        waiting_.Forget(page);
        WakeLocked(page);
      } else {
        still.push_back(doubt);
      }
    }
    CommitLocked();
  }
  {
    absl::MutexLock lock(&doubts_mu_);
    doubts_.insert(doubts_.end(), still.begin(), still.end());
  }
  return has_doubts();
}

void AddressSpace::WakeLocked(PageRange pages) {
  absl::Status status = memory_->Wake(pages);
  if (!status.ok()) LOG(Error) << "waking " << pages << ": " << status;
}

}  // namespace pagelift
