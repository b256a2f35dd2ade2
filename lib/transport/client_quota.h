#ifndef PAGELIFT_LIB_TRANSPORT_CLIENT_QUOTA_H_
#define PAGELIFT_LIB_TRANSPORT_CLIENT_QUOTA_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace pagelift {

// How many connections, or streams, each client of a server has, so that none
// has all.
//
// Thread-safe.
class ClientQuota {
 public:
  // Held by a connection as long as it is there. The quota must outlive it.
  class Place {
   public:
    Place(Place&& other) noexcept
        : quota_(std::exchange(other.quota_, nullptr)),
          client_(std::move(other.client_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (quota_ != nullptr) quota_->Leave(client_);
    }

   private:
    friend class ClientQuota;
    Place(ClientQuota* quota, std::string client)
        : quota_(quota), client_(std::move(client)) {}

    ClientQuota* quota_;
    std::string client_;
  };

  // `what` there is a quota of, for the log.
  ClientQuota(size_t most, const char* what) : most_(most), what_(what) {}

  // Nothing if `client` has as many as it may have, which is told in the log
  // now and then.
  std::optional<Place> Enter(const std::string& client)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Leave(const std::string& client) ABSL_LOCKS_EXCLUDED(mu_);

  const size_t most_;
  const char* const what_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, size_t> held_ ABSL_GUARDED_BY(mu_);
  size_t refused_ ABSL_GUARDED_BY(mu_) = 0;  // Since it was told.
  absl::Duration told_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CLIENT_QUOTA_H_
