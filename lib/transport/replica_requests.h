#ifndef PAGELIFT_LIB_TRANSPORT_REPLICA_REQUESTS_H_
#define PAGELIFT_LIB_TRANSPORT_REPLICA_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/memory/page.h"
#include "lib/source/page_source.h"

namespace pagelift {

// A set of replicas, by their numbers: there are at most kMostReplicas.
using ReplicaSet = uint32_t;
constexpr size_t kMostReplicas = 32;
constexpr ReplicaSet OnlyReplica(size_t number) {
  return ReplicaSet{1} << number;
}

// What was asked for and has not come yet, and which replicas were asked for
// it. Times are by MonotonicNow(), and given: it has no clock.
//
// Every page that is added is taken, or given up, once: whoever answers second
// takes nothing. Thread-compatible.
class ReplicaRequests {
 public:
  // A page range that is to be asked for.
  struct Ask {
    size_t replica = 0;
    ImageRange range;
    Urgency urgency = Urgency::kDemand;
  };
  struct Taken {
    ImageRange range;
    // Whom it was also asked of, because it was late.
    std::optional<size_t> hedge;
  };
  using TakenRanges = absl::InlinedVector<Taken, 2>;
  struct Lost {
    ImageRange range;
    absl::Status why;
  };
  // What to do when a replica cannot give what it was asked for.
  struct Refused {
    std::vector<Ask> ask;
    std::vector<Lost> lost;  // Nobody has it.
  };

  explicit ReplicaRequests(size_t replicas)
      : all_(static_cast<ReplicaSet>((uint64_t{1} << replicas) - 1)) {}

  // `ask.replica` is asked for it.
  void Add(const Ask& ask, absl::Duration now);

  // The parts of `range`, which was answered, that nobody had answered yet. A
  // request is answered by one answer, the oldest first.
  TakenRanges Take(Urgency urgency, ImageRange range);

  // `replica` does not give `range`, because of `why`: asks one that was not
  // asked yet, rather one of `well`. Where all have refused, it is lost:
  // kDataLoss if all of them said so.
  Refused Refuse(size_t replica, ImageRange range, const absl::Status& why,
                 ReplicaSet well, absl::Duration now);

  // Asks `to` for all that was asked of none of `well`.
  std::vector<Ask> FailOver(ReplicaSet well, size_t to, absl::Duration now);

  // Asks `to`, too, for demands that were made before `before`, of others than
  // `to` and of nobody twice; at most `most` of them.
  std::vector<Ask> Hedge(size_t to, absl::Duration before, size_t most,
                         absl::Duration now);

  // Since when `replica` owes an answer of that urgency; InfiniteDuration() if
  // it does not.
  absl::Duration OwesSince(size_t replica, Urgency urgency) const;

  bool has(Urgency urgency) const { return !of(urgency).empty(); }
  bool empty() const { return demand_.empty() && prefetch_.empty(); }

 private:
  struct Asked {
    size_t replica;
    absl::Duration at;
  };
  struct Part {
    ImageRange range;
    absl::InlinedVector<Asked, 2> asked;
    ReplicaSet refused = 0;
    absl::Status why;  // Of those who refused.
    std::optional<size_t> hedge;

    ReplicaSet WasAsked() const;
    bool WaitsFor(ReplicaSet replicas) const {
      return (WasAsked() & ~refused & replicas) != 0;
    }
  };
  using Parts = std::deque<Part>;

  Parts& of(Urgency urgency) {
    return urgency == Urgency::kDemand ? demand_ : prefetch_;
  }
  const Parts& of(Urgency urgency) const {
    return urgency == Urgency::kDemand ? demand_ : prefetch_;
  }
  using Ranges = absl::InlinedVector<ImageRange, 2>;

  // Makes of `part` one that is just `range`, which it contains, and of what is
  // left others behind it.
  static Parts::iterator CutOut(Parts& parts, Parts::iterator part,
                                ImageRange range);
  // For the oldest parts of what was `answered` for which `is` holds; takes
  // what they are off `answered`. Parts that are not to be kept are erased.
  static void ForEachIn(Parts& parts, Ranges& answered,
                        absl::FunctionRef<bool(const Part&)> is,
                        absl::FunctionRef<bool(Part&)> do_and_keep);

  const ReplicaSet all_;
  // In the order in which they were made.
  Parts demand_;
  Parts prefetch_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_REPLICA_REQUESTS_H_
