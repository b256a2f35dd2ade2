#ifndef PAGELIFT_LIB_TRANSPORT_STREAM_ADMISSION_H_
#define PAGELIFT_LIB_TRANSPORT_STREAM_ADMISSION_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "lib/transport/batch_writer.h"
#include "lib/transport/client_identity.h"
#include "lib/transport/client_limits.h"
#include "lib/transport/client_quota.h"
#include "lib/transport/fetch_queue.h"
#include "lib/transport/image_access.h"
#include "lib/transport/served_stream.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {

// Judges the first message of FetchPages streams, and knows those that are
// open, over whatever connection.
//
// Thread-safe.
class StreamAdmission {
 public:
  explicit StreamAdmission(ImageAccess images,
                           const ClientLimits& limits = ClientLimits())
      : images_(images), quota_(limits.streams, "streams"), ledger_(limits) {}

  // What a stream needs to be served.
  struct Admitted {
    BatchWriter writer;
    FetchQueue queue;
    v1::Urgency urgency;
    std::string image;
    ClientQuota::Place place;
    std::shared_ptr<ClientSpending> spending;  // Null: there is no limit.
  };
  // The error is the stream's status.
  absl::StatusOr<Admitted> Admit(const v1::FetchRequest& first,
                                 const ClientIdentity& client);
  // What `client` spends; null: there is no limit.
  std::shared_ptr<ClientSpending> SpendingOf(const ClientIdentity& client) {
    return ledger_.Of(client.Account());
  }

  // `stream` is served from now until Leave(). kUnavailable: no more are.
  absl::Status Enter(ServedStream* stream) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(ServedStream* stream) ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t open_streams() const ABSL_LOCKS_EXCLUDED(mu_);

  // Drains all streams, and admits no more.
  void Drain() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const ImageAccess images_;
  ClientQuota quota_;
  ClientLedger ledger_;
  mutable absl::Mutex mu_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_set<ServedStream*> streams_ ABSL_GUARDED_BY(mu_);
};

// How a stream ends that is drained.
absl::Status ShuttingDownError();

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_STREAM_ADMISSION_H_
