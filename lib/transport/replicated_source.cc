#include "lib/transport/replicated_source.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/base/byte_span.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/thread_name.h"

namespace pagelift {
namespace {

// How often the thread looks: at the latest when a demand may be late by as
// much again, and while only prefetched pages are outstanding.
constexpr absl::Duration kLookSoonest = absl::Milliseconds(1);
constexpr absl::Duration kLookLatest = absl::Milliseconds(20);
// A replica that is slow is silent after so many times what is late.
constexpr int kLateTimes = 10;

using Pieces = absl::InlinedVector<ByteSpan, 8>;

Pieces CutPieces(absl::Span<const ByteSpan> pieces, size_t skip, size_t bytes) {
  Pieces cut;
  for (ByteSpan piece : pieces) {
    const size_t skipped = std::min(skip, piece.size());
    skip -= skipped;
    piece = piece.subspan(skipped, bytes);
    bytes -= piece.size();
    if (!piece.empty()) cut.push_back(piece);
  }
  return cut;
}

}  // namespace

ReplicatedSource::ReplicatedSource(std::vector<Replica> replicas)
    : ReplicatedSource(std::move(replicas), Options()) {}

ReplicatedSource::ReplicatedSource(std::vector<Replica> replicas,
                                   Options options)
    : replicas_(std::move(replicas)),
      options_(options),
      requests_(replicas_.size()),
      states_(replicas_.size()) {
  CHECK(!replicas_.empty() && replicas_.size() <= kMostReplicas);
  for (size_t i = 0; i < replicas_.size(); ++i) {
    inlets_.push_back(std::make_unique<Inlet>(*this, i));
  }
}

ReplicatedSource::~ReplicatedSource() { ReplicatedSource::Stop(); }

const ImageDescription& ReplicatedSource::description() const {
  return replicas_[0].source->description();
}

void ReplicatedSource::DeliverOn(ReadyWatcher* watcher) {
  for (const Replica& replica : replicas_) replica.source->DeliverOn(watcher);
}

void ReplicatedSource::Start(PageSink* sink) {
  sink_ = sink;
  for (size_t i = 0; i < replicas_.size(); ++i) {
    replicas_[i].source->Start(inlets_[i].get());
  }
  {
    // One that could not be reached to begin with is not the first choice.
    absl::MutexLock lock(&mu_);
    const auto well = std::find_if(
        replicas_.begin(), replicas_.end(),
        [](const Replica& r) { return r.source->trouble().empty(); });
    if (well != replicas_.end()) {
      current_ = static_cast<size_t>(well - replicas_.begin());
    }
  }
  absl::MutexLock lock(&join_mu_);
  thread_ = std::thread([this] { Run(); });
}

void ReplicatedSource::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  // Frees the thread, should it wait for room at one of them.
  for (const Replica& replica : replicas_) replica.source->Stop();
  absl::MutexLock lock(&join_mu_);
  if (thread_.joinable()) thread_.join();
}

// --- Asking ------------------------------------------------------------------

void ReplicatedSource::Fetch(ImageRange range, Urgency urgency) {
  FetchAll({range}, urgency);
}

void ReplicatedSource::FetchAll(absl::Span<const ImageRange> ranges,
                                Urgency urgency) {
  size_t replica;
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return;
    replica = current_;
    const absl::Duration now = MonotonicNow();
    for (ImageRange range : ranges) {
      requests_.Add({replica, range, urgency}, now);
    }
    if (urgency == Urgency::kDemand) timing_.NoteDemand();
    idle_ = false;
  }
  replicas_[replica].source->FetchAll(ranges, urgency);
}

void ReplicatedSource::FetchFrom(absl::Span<const Ask> asks) {
  // Those of a kind together.
  for (size_t i = 0; i < asks.size();) {
    std::vector<ImageRange> ranges;
    const Ask& first = asks[i];
    for (; i < asks.size() && asks[i].replica == first.replica &&
           asks[i].urgency == first.urgency;
         ++i) {
      ranges.push_back(asks[i].range);
    }
    replicas_[first.replica].source->FetchAll(ranges, first.urgency);
  }
}

absl::Duration ReplicatedSource::ArrivesIn(ImagePage page) const {
  size_t replica;
  {
    absl::MutexLock lock(&mu_);
    replica = current_;
  }
  return replicas_[replica].source->ArrivesIn(page);
}

// --- Answers -----------------------------------------------------------------

void ReplicatedSource::NoteArrival(size_t number) {
  states_[number].last_arrival = MonotonicNow();
  states_[number].silent = false;
}

void ReplicatedSource::OnPages(size_t number, const PageBatch& batch) {
  ReplicaRequests::TakenRanges taken;
  {
    absl::MutexLock lock(&mu_);
    NoteArrival(number);
    if (batch.urgency == Urgency::kDemand &&
        batch.round_trip != absl::InfiniteDuration()) {
      timing_.NoteRoundTrip(batch.round_trip);
    }
    taken = requests_.Take(batch.urgency, batch.range);
    for (const ReplicaRequests::Taken& part : taken) {
      if (part.hedge == number) ++counts_.hedges_won;
    }
  }
  for (const ReplicaRequests::Taken& part : taken) {
    DeliverPart(part.range, batch);
  }
}

void ReplicatedSource::DeliverPart(ImageRange part, const PageBatch& batch) {
  if (part == batch.range) return sink_->OnPages(batch);
  PageBatch cut = batch;
  cut.range = part;
  const Pieces pieces =
      CutPieces(batch.pieces, (part.first - batch.range.first).bytes(),
                part.count.bytes());
  cut.pieces = pieces;
  sink_->OnPages(cut);
}

void ReplicatedSource::OnUnavailable(size_t number, ImageRange range,
                                     const absl::Status& status) {
  ReplicaRequests::Refused refused;
  {
    absl::MutexLock lock(&mu_);
    NoteArrival(number);
    refused = requests_.Refuse(number, range, status,
                               Well() & ~OnlyReplica(number), MonotonicNow());
  }
  LOG(Warning) << "replica " << replicas_[number].name
               << " does not give pages " << range << ": " << status.message();
  FetchFrom(refused.ask);
  for (const ReplicaRequests::Lost& lost : refused.lost) {
    sink_->OnUnavailable(lost.range, lost.why);
  }
}

// --- Looking -----------------------------------------------------------------

void ReplicatedSource::Run() {
  NameThisThread("pl-replicas");
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || !idle_;
  };
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (requests_.empty()) {
        idle_ = true;
        mu_.Await(absl::Condition(&has_work));
      }
      absl::Duration wait = kLookLatest;
      if (requests_.has(Urgency::kDemand)) {
        wait = std::clamp(timing_.late_after() / 2, kLookSoonest, kLookLatest);
      }
      if (mu_.AwaitWithTimeout(absl::Condition(&stopping_), wait)) return;
    }
    Look();
  }
}

void ReplicatedSource::Look() {
  std::vector<bool> troubled;
  for (const Replica& replica : replicas_) {
    troubled.push_back(!replica.source->trouble().empty());
  }
  std::vector<Ask> asks;
  {
    absl::MutexLock lock(&mu_);
    const absl::Duration now = MonotonicNow();
    LookAtHealth(troubled, now);
    const ReplicaSet well = Well();
    if (well == 0) return;
    if ((well & OnlyReplica(current_)) == 0) {
      const auto next = static_cast<size_t>(__builtin_ctz(well));
      LOG(Warning) << "replica " << replicas_[current_].name
                   << (states_[current_].troubled ? " fails" : " is silent")
                   << ", going on with " << replicas_[next].name;
      current_ = next;
      ++counts_.failovers;
    }
    asks = requests_.FailOver(well, current_, now);
    const ReplicaSet others = well & ~OnlyReplica(current_);
    if (others != 0) {
      const std::vector<Ask> hedges =
          requests_.Hedge(static_cast<size_t>(__builtin_ctz(others)),
                          now - timing_.late_after(), timing_.budget(), now);
      timing_.NoteHedges(hedges.size());
      counts_.hedges += hedges.size();
      asks.insert(asks.end(), hedges.begin(), hedges.end());
    }
  }
  FetchFrom(asks);
}

void ReplicatedSource::LookAtHealth(const std::vector<bool>& troubled,
                                    absl::Duration now) {
  for (size_t i = 0; i < states_.size(); ++i) {
    states_[i].troubled = troubled[i];
    if (IsSilent(i, now)) states_[i].silent = true;
  }
}

bool ReplicatedSource::IsSilent(size_t number, absl::Duration now) const {
  const auto is = [&](Urgency urgency, absl::Duration patience)
                      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
                        const absl::Duration since =
                            std::max(requests_.OwesSince(number, urgency),
                                     states_[number].last_arrival);
                        return patience < now - since;
                      };
  return is(Urgency::kDemand, std::max(options_.demand_patience,
                                       kLateTimes * timing_.late_after())) ||
         is(Urgency::kPrefetch, options_.prefetch_patience);
}

ReplicaSet ReplicatedSource::Well() const {
  ReplicaSet well = 0;
  for (size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].well()) well |= OnlyReplica(i);
  }
  return well;
}

// --- All of them -------------------------------------------------------------

std::vector<size_t> ReplicatedSource::InOrder() const {
  std::vector<size_t> order;
  {
    absl::MutexLock lock(&mu_);
    order.push_back(current_);
  }
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (i != order[0]) order.push_back(i);
  }
  return order;
}

std::string ReplicatedSource::trouble() const {
  std::vector<std::string> troubles;
  for (const Replica& replica : replicas_) {
    const std::string trouble = replica.source->trouble();
    if (trouble.empty()) continue;
    troubles.push_back(absl::StrCat(replica.name, ": ", trouble));
  }
  if (troubles.empty()) return "";
  return absl::StrCat(troubles.size(), " of ", replicas_.size(),
                      " replicas failed: ", absl::StrJoin(troubles, "; "));
}

absl::StatusOr<Recording> ReplicatedSource::WorkingSet() const {
  absl::StatusOr<Recording> recording =
      absl::NotFoundError("no replica keeps recordings");
  for (size_t i : InOrder()) {
    if (!replicas_[i].source->trouble().empty()) continue;
    recording = replicas_[i].source->WorkingSet();
    if (recording.ok()) break;
  }
  return recording;
}

absl::Status ReplicatedSource::KeepRecording(const Recording& recording) {
  std::optional<absl::Status> kept;
  for (size_t i : InOrder()) {
    if (!replicas_[i].source->trouble().empty()) continue;
    const absl::Status status = replicas_[i].source->KeepRecording(recording);
    if (!kept.has_value() || status.ok()) kept = status;
  }
  return kept.value_or(absl::UnavailableError("no replica can be reached"));
}

uint64_t ReplicatedSource::SumOf(uint64_t (PageSource::*count)() const) const {
  uint64_t sum = 0;
  for (const Replica& replica : replicas_) sum += (*replica.source.*count)();
  return sum;
}

uint64_t ReplicatedSource::bytes_received() const {
  return SumOf(&PageSource::bytes_received);
}

uint64_t ReplicatedSource::checksum_failures() const {
  return SumOf(&PageSource::checksum_failures);
}

uint64_t ReplicatedSource::reconnects() const {
  return SumOf(&PageSource::reconnects);
}

ReplicaCounts ReplicatedSource::replica_counts() const {
  absl::MutexLock lock(&mu_);
  return counts_;
}

}  // namespace pagelift
