#include "daemon/pager/session/sweeper.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace pagelift {
namespace {

// One request: large enough that a message's own cost does not show.
constexpr PageCount kChunk{64};
// 4 MiB: more than bandwidth times round trip of a 10 Gb/s link at 3 ms.
constexpr PageCount kMostInFlight{1024};

}  // namespace

Sweeper::Sweeper(std::vector<Lineage*> lineages, Fetch fetch,
                 std::function<void()> on_nothing_left)
    : lineages_(std::move(lineages)),
      fetch_(std::move(fetch)),
      on_nothing_left_(std::move(on_nothing_left)),
      thread_([this] { Run(); }) {}

Sweeper::~Sweeper() { Stop(); }

void Sweeper::Start() {
  absl::MutexLock lock(&mu_);
  started_ = true;
}

void Sweeper::Pause() {
  absl::MutexLock lock(&mu_);
  paused_ = true;
}

void Sweeper::Nudge() {
  absl::MutexLock lock(&mu_);
  something_left_ = true;
  paused_ = false;
}

void Sweeper::NoteRequested(PageCount pages) {
  absl::MutexLock lock(&mu_);
  in_flight_ = in_flight_ + pages;
}

bool Sweeper::NoteAnswered(PageCount pages) {
  absl::MutexLock lock(&mu_);
  // A source that reconnects may answer a page twice.
  in_flight_ = in_flight_ - std::min(in_flight_, pages);
  return swept_ && in_flight_ == PageCount(0);
}

void Sweeper::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

bool Sweeper::WaitForRoom() {
  absl::MutexLock lock(&mu_);
  auto room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || (started_ && something_left_ && MayAsk());
  };
  mu_.Await(absl::Condition(&room));
  // Set before looking: a nudge during the round is not lost.
  something_left_ = false;
  return !stopping_;
}

bool Sweeper::MayAsk() const { return !paused_ && in_flight_ < kMostInFlight; }

bool Sweeper::HasRoom() const {
  absl::MutexLock lock(&mu_);
  return !stopping_ && MayAsk();
}

void Sweeper::Run() {
  while (WaitForRoom()) {
    const bool found = Round();
    {
      absl::MutexLock lock(&mu_);
      swept_ = !found;
      if (found) something_left_ = true;
    }
    if (!found) on_nothing_left_();
  }
}

bool Sweeper::Round() {
  bool found = false;
  Positions met;
  for (Lineage* lineage : lineages_) {
    for (size_t i = 0;
         std::shared_ptr<AddressSpace> space = lineage->NextFrom(i); ++i) {
      if (space->closed() || space->gone()) continue;
      Position& position = met[space.get()];
      position = positions_[space.get()];
      if (!HasRoom()) {
        found = true;  // Perhaps: the next round looks.
      } else if (SweepOne(*space, position)) {
        found = true;
      }
    }
  }
  positions_ = std::move(met);
  return found;
}

bool Sweeper::SweepOne(AddressSpace& space, Position& position) {
  if (position.fault_seen != space.last_fault()) {
    position.fault_seen = space.last_fault();
    position.cursor = position.fault_seen;
  }
  std::optional<PageMap::Piece> piece =
      space.ClaimMissing(position.cursor, kChunk);
  if (!piece.has_value() && position.cursor != PageId(0)) {
    piece = space.ClaimMissing(PageId(0), kChunk);
  }
  if (!piece.has_value()) return false;
  position.cursor = piece->pages.limit();
  NoteRequested(piece->pages.count);
  fetch_(piece->image_range());
  return true;
}

}  // namespace pagelift
