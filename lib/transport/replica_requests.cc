#include "lib/transport/replica_requests.h"

#include <algorithm>
#include <utility>

namespace pagelift {
namespace {

size_t FirstOf(ReplicaSet replicas) {
  return static_cast<size_t>(__builtin_ctz(replicas));
}

// What all that was said of a page comes to: as long as one may have it yet, it
// is not lost.
absl::Status Worse(const absl::Status& before, const absl::Status& now) {
  return before.ok() || absl::IsDataLoss(before) ? now : before;
}

}  // namespace

ReplicaSet ReplicaRequests::Part::WasAsked() const {
  ReplicaSet replicas = 0;
  for (const Asked& one : asked) replicas |= OnlyReplica(one.replica);
  return replicas;
}

void ReplicaRequests::Add(const Ask& ask, absl::Duration now) {
  Part& part = of(ask.urgency).emplace_back();
  part.range = ask.range;
  part.asked.push_back({ask.replica, now});
}

ReplicaRequests::Parts::iterator ReplicaRequests::CutOut(Parts& parts,
                                                         Parts::iterator part,
                                                         ImageRange range) {
  const ImageRange all = part->range;
  for (ImageRange rest : {ImageRange::Between(range.limit(), all.limit()),
                          ImageRange::Between(all.first, range.first)}) {
    if (rest.empty()) continue;
    Part copy = *part;
    copy.range = rest;
    part = parts.insert(part + 1, std::move(copy)) - 1;
  }
  part->range = range;
  return part;
}

void ReplicaRequests::ForEachIn(Parts& parts, Ranges& answered,
                                absl::FunctionRef<bool(const Part&)> is,
                                absl::FunctionRef<bool(Part&)> do_and_keep) {
  for (auto part = parts.begin(); part != parts.end() && !answered.empty();) {
    const auto overlapping = std::find_if(
        answered.begin(), answered.end(),
        [&](ImageRange range) { return range.Overlaps(part->range); });
    if (overlapping == answered.end() || !is(*part)) {
      ++part;
      continue;
    }
    const ImageRange range = *overlapping;
    answered.erase(overlapping);
    const ImageRange both = part->range.Intersect(range);
    for (ImageRange rest : {ImageRange::Between(range.first, both.first),
                            ImageRange::Between(both.limit(), range.limit())}) {
      if (!rest.empty()) answered.push_back(rest);
    }
    part = CutOut(parts, part, both);
    part = do_and_keep(*part) ? part + 1 : parts.erase(part);
  }
}

ReplicaRequests::TakenRanges ReplicaRequests::Take(Urgency urgency,
                                                   ImageRange range) {
  TakenRanges taken;
  Ranges answered = {range};
  ForEachIn(
      of(urgency), answered, [](const Part&) { return true; },
      [&](Part& part) {
        taken.push_back({part.range, part.hedge});
        return false;
      });
  return taken;
}

ReplicaRequests::Refused ReplicaRequests::Refuse(size_t replica,
                                                 ImageRange range,
                                                 const absl::Status& why,
                                                 ReplicaSet well,
                                                 absl::Duration now) {
  Refused refused;
  Ranges answered = {range};
  // Nobody says for which urgency; who waits comes first.
  for (Urgency urgency : {Urgency::kDemand, Urgency::kPrefetch}) {
    ForEachIn(
        of(urgency), answered,
        [&](const Part& part) { return part.WaitsFor(OnlyReplica(replica)); },
        [&](Part& part) {
          part.refused |= OnlyReplica(replica);
          part.why = Worse(part.why, why);
          const ReplicaSet unasked = all_ & ~part.WasAsked();
          if (unasked != 0) {
            const ReplicaSet better = unasked & well;
            const size_t next = FirstOf(better != 0 ? better : unasked);
            part.asked.push_back({next, now});
            refused.ask.push_back({next, part.range, urgency});
          } else if (!part.WaitsFor(all_)) {
            refused.lost.push_back({part.range, part.why});
            return false;
          }
          return true;
        });
  }
  return refused;
}

std::vector<ReplicaRequests::Ask> ReplicaRequests::FailOver(
    ReplicaSet well, size_t to, absl::Duration now) {
  std::vector<Ask> asks;
  for (Urgency urgency : {Urgency::kDemand, Urgency::kPrefetch}) {
    for (Part& part : of(urgency)) {
      if (part.WaitsFor(well) || (part.WasAsked() & OnlyReplica(to)) != 0) {
        continue;
      }
      part.asked.push_back({to, now});
      asks.push_back({to, part.range, urgency});
    }
  }
  return asks;
}

std::vector<ReplicaRequests::Ask> ReplicaRequests::Hedge(size_t to,
                                                         absl::Duration before,
                                                         size_t most,
                                                         absl::Duration now) {
  std::vector<Ask> asks;
  for (Part& part : demand_) {
    if (asks.size() == most || before <= part.asked.front().at) break;
    if (part.asked.size() != 1 || part.asked.front().replica == to) continue;
    part.asked.push_back({to, now});
    part.hedge = to;
    asks.push_back({to, part.range, Urgency::kDemand});
  }
  return asks;
}

absl::Duration ReplicaRequests::OwesSince(size_t replica,
                                          Urgency urgency) const {
  absl::Duration since = absl::InfiniteDuration();
  for (const Part& part : of(urgency)) {
    if (!part.WaitsFor(OnlyReplica(replica))) continue;
    for (const Asked& asked : part.asked) {
      if (asked.replica == replica) since = std::min(since, asked.at);
    }
  }
  return since;
}

}  // namespace pagelift
