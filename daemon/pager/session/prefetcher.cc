#include "daemon/pager/session/prefetcher.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/thread_name.h"

namespace pagelift {
namespace {

// What a policy has not been told of in so many faults matters no more.
constexpr size_t kMostFaults = 1024;

}  // namespace

Prefetcher::Prefetcher(Options options)
    : options_(std::move(options)), window_(options_.first_window) {
  SetMode(options_.mode);
  thread_ = std::thread([this] { Run(); });
}

Prefetcher::~Prefetcher() { Stop(); }

void Prefetcher::Start() {
  absl::MutexLock lock(&mu_);
  started_ = true;
  called_ = true;
}

void Prefetcher::SetMode(PrefetchMode mode) {
  absl::MutexLock lock(&mu_);
  pace_.SetMode(mode, MonotonicNow());
  called_ = true;
}

PrefetchMode Prefetcher::mode() const {
  absl::MutexLock lock(&mu_);
  return pace_.mode();
}

void Prefetcher::Pause() {
  absl::MutexLock lock(&mu_);
  paused_ = true;
}

void Prefetcher::Nudge() {
  absl::MutexLock lock(&mu_);
  something_left_ = true;
  paused_ = false;
  called_ = true;
}

void Prefetcher::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

// --- What is asked for and answered ------------------------------------------

void Prefetcher::OnFault(const AddressSpace& space, const DemandFault& fault,
                         PageCount requested) {
  absl::MutexLock lock(&mu_);
  in_flight_ = in_flight_ + requested;
  pace_.OnDemand(MonotonicNow());
  if (faults_.size() == kMostFaults) faults_.pop_front();
  faults_.emplace_back(&space, fault);
}

void Prefetcher::NoteRequested(PageCount pages) {
  absl::MutexLock lock(&mu_);
  in_flight_ = in_flight_ + pages;
}

bool Prefetcher::Settle(PageCount pages) {
  // A source that reconnects may answer a page twice.
  in_flight_ = in_flight_ - std::min(in_flight_, pages);
  if (in_flight_ != PageCount(0)) return false;
  // Where nobody sweeps, faults alone may have brought everything.
  return swept_ || pace_.mode().kind != PrefetchMode::Kind::kFull;
}

bool Prefetcher::OnUnavailable(PageCount pages) {
  absl::MutexLock lock(&mu_);
  called_ = true;
  return Settle(pages);
}

bool Prefetcher::OnAnswer(const PageBatch& batch, bool may_ask) {
  const absl::Duration now = MonotonicNow();
  absl::MutexLock lock(&mu_);
  const bool had_room = HasRoom();
  const bool settled = Settle(batch.range.count);
  if (batch.round_trip != absl::InfiniteDuration()) {
    if (batch.urgency == Urgency::kDemand) {
      window_.OnDemand(batch.round_trip, now);
    } else {
      window_.OnArrived(batch.range.count, batch.round_trip, now,
                        batch.compressed);
    }
  }
  if (may_ask) {
    // After a pause it is the thread's turn.
    if (Ask() != absl::InfiniteDuration()) called_ = true;
  } else if (!had_room && HasRoom()) {
    called_ = true;
  }
  return settled;
}

// --- Asking ------------------------------------------------------------------

bool Prefetcher::HasRoom() const {
  // For a whole request: what arrives in small pieces is not to be asked for in
  // small pieces again.
  const PageCount request = std::min(window_.request(), window_.size());
  return !(window_.size() < in_flight_ + request);
}

absl::Duration Prefetcher::Wait() const {
  if (stopping_ || !started_ || paused_ || !HasRoom()) {
    return absl::InfiniteDuration();
  }
  return pace_.Pause(MonotonicNow());
}

absl::Duration Prefetcher::UntilNext() const {
  return something_left_ ? Wait() : absl::InfiniteDuration();
}

void Prefetcher::Run() {
  NameThisThread("pl-prefetch");
  absl::MutexLock lock(&mu_);
  auto called = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return called_ || stopping_;
  };
  while (!stopping_) {
    called_ = false;
    mu_.AwaitWithTimeout(absl::Condition(&called), Ask());
  }
}

absl::Duration Prefetcher::Ask() {
  // Who asks goes on by himself, and then calls.
  if (asking_) return absl::InfiniteDuration();
  asking_ = true;
  absl::Duration pause;
  while ((pause = UntilNext()) == absl::ZeroDuration()) {
    // Before looking: a nudge during the round is not lost.
    something_left_ = false;
    mu_.Unlock();
    const bool found = Round();
    mu_.Lock();
    // Before saying so: the last answer may be coming right now.
    swept_ = !found;
    if (found) {
      something_left_ = true;
      continue;
    }
    mu_.Unlock();
    options_.on_nothing_left();
    mu_.Lock();
  }
  asking_ = false;
  return pause;
}

bool Prefetcher::Round() {
  bool found = false;
  for (const auto& [space, policy] : Live()) {
    const PageCount most = TellFaults();
    // Perhaps, if nothing may be asked for: the next round looks.
    if (most == PageCount(0) || AskFor(*space, *policy, most)) found = true;
  }
  return found;
}

std::vector<Prefetcher::Target> Prefetcher::Live() {
  std::vector<Target> live;
  ++round_;
  for (size_t task = 0; task < options_.lineages.size(); ++task) {
    const Lineage& lineage = *options_.lineages[task];
    for (size_t i = 0;
         std::shared_ptr<AddressSpace> space = lineage.NextFrom(i); ++i) {
      if (space->closed() || space->gone()) continue;
      Known& known = known_[space.get()];
      if (known.policy == nullptr) known.policy = options_.policy(task, i);
      known.met_in = round_;
      live.push_back({std::move(space), known.policy.get()});
    }
  }
  if (live.size() < known_.size()) {
    absl::erase_if(known_, [this](const auto& entry) {
      return entry.second.met_in != round_;
    });
  }
  return live;
}

PageCount Prefetcher::TellFaults() {
  absl::MutexLock lock(&mu_);
  for (const auto& [space, fault] : faults_) {
    auto known = known_.find(space);
    if (known != known_.end()) known->second.policy->OnFault(fault);
  }
  faults_.clear();
  return Wait() == absl::ZeroDuration() ? window_.request() : PageCount(0);
}

bool Prefetcher::AskFor(AddressSpace& space, PrefetchPolicy& policy,
                        PageCount most) {
  // Pieces may be short, and a request by itself costs more than its pages.
  std::vector<ImageRange> ranges;
  PageCount asked;
  while (asked < most) {
    const std::optional<PageMap::Piece> piece =
        policy.Next(space, most - asked);
    if (!piece.has_value()) break;
    ranges.push_back(piece->image_range());
    asked = asked + piece->pages.count;
  }
  if (ranges.empty()) return false;
  {
    absl::MutexLock lock(&mu_);
    in_flight_ = in_flight_ + asked;
    pace_.OnAsked(asked, MonotonicNow());
  }
  options_.fetch(ranges);
  return true;
}

}  // namespace pagelift
