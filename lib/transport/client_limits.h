#ifndef PAGELIFT_LIB_TRANSPORT_CLIENT_LIMITS_H_
#define PAGELIFT_LIB_TRANSPORT_CLIENT_LIMITS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "lib/base/rate_budget.h"
#include "lib/transport/client_quota.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {

// What one client of a server may have of it, so that something is left for the
// others.
struct ClientLimits {
  static constexpr size_t kStreams = 1024;

  size_t streams = kStreams;       // FetchPages, at a time.
  double bytes_per_second = 0;     // Of pages; 0: no limit.
  double requests_per_second = 0;  // Of any kind; 0: no limit.
};

// What a client spends, on all its connections together.
//
// Thread-safe.
class ClientSpending {
 public:
  explicit ClientSpending(const ClientLimits& limits);

  // For an answer of so many bytes, if it may go now: of those that wait, one
  // after the other. What was not needed is given back.
  bool Take(v1::Urgency urgency, uint64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void GiveBack(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  // How long the next answer has to wait. Prefetch leaves something for demand,
  // which threads wait for.
  absl::Duration Pause(v1::Urgency urgency) const ABSL_LOCKS_EXCLUDED(mu_);

  // Take() as soon as it may be; false if that is later than after `longest`,
  // or is_cancelled() until then, at which it looks ten times a second.
  bool TakeSoon(v1::Urgency urgency, uint64_t bytes, absl::Duration longest,
                absl::FunctionRef<bool()> is_cancelled)
      ABSL_LOCKS_EXCLUDED(mu_);

  // For those that wait on a thread of somebody else's: false if there are as
  // many as there may be. Each that was let in leaves.
  bool EnterWaiting() {
    if (waiting_.fetch_add(1) < kMostWaiting) return true;
    LeaveWaiting();
    return false;
  }
  void LeaveWaiting() { waiting_.fetch_sub(1); }

 private:
  static constexpr int kMostWaiting = 8;

  absl::Duration PauseAt(absl::Duration now, v1::Urgency urgency) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::atomic<int> waiting_{0};
  mutable absl::Mutex mu_;
  RateBudget requests_ ABSL_GUARDED_BY(mu_);
  RateBudget bytes_ ABSL_GUARDED_BY(mu_);
};

// The spending of all clients that are there.
//
// Thread-safe.
class ClientLedger {
 public:
  explicit ClientLedger(const ClientLimits& limits) : limits_(limits) {}

  // Of `client`, one for as long as anybody has it. Null: there is no limit.
  std::shared_ptr<ClientSpending> Of(const std::string& client)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const ClientLimits limits_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, std::shared_ptr<ClientSpending>> clients_
      ABSL_GUARDED_BY(mu_);
  size_t forget_at_ ABSL_GUARDED_BY(mu_) = 64;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CLIENT_LIMITS_H_
