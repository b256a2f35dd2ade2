#ifndef PAGELIFT_LIB_TRANSPORT_PAGE_DOOR_H_
#define PAGELIFT_LIB_TRANSPORT_PAGE_DOOR_H_

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/client_quota.h"
#include "lib/transport/fetch_connection.h"
#include "lib/transport/socket_address.h"
#include "lib/transport/stream_admission.h"

namespace pagelift {

// Accepts a page server's connections and sorts them by their first bytes:
// those that carry one FetchPages call are served here, each by a thread of its
// own; gRPC's server gets the others. Over TLS they are told apart before the
// handshake, which is left to whoever has the connection.
//
// Thread-safe.
class PageDoor {
 public:
  // A connection that is not for us, with what has been read off it. It does
  // not block.
  using Others = std::function<void(UniqueFd socket, std::string first_bytes)>;

  // Of each client; see ClientOf().
  static constexpr size_t kMostOfAClient = 1024;

  // Accepts from now on, not more than `most` at a time of each client, over
  // TLS unless `tls`, a server's, is null. `others` is called on the door's
  // thread; `streams` must outlive it.
  PageDoor(Listener listener, StreamAdmission& streams, Others others,
           std::shared_ptr<TlsCredentials> tls = nullptr,
           size_t most = kMostOfAClient);
  // As Stop() with no time to lose.
  ~PageDoor();
  PageDoor(const PageDoor&) = delete;
  PageDoor& operator=(const PageDoor&) = delete;

  // With the port that was chosen.
  const std::string& address() const { return address_; }

  // Accepts no more, lets streams answer what they were asked, and breaks off
  // after `deadline` what is then left. Idempotent.
  void Stop(absl::Duration deadline) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // A connection whose first bytes do not tell yet.
  struct Newcomer {
    UniqueFd socket;
    std::string bytes;
    absl::Duration since;
    ClientQuota::Place place;
  };
  // One that is served here.
  struct Served {
    ClientQuota::Place place;
    std::unique_ptr<FetchConnection> connection;
  };
  // One that others have, as long as it is there.
  struct Guest {
    UniqueFd socket;
    ClientQuota::Place place;
  };

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // False if none was accepted for want of descriptors.
  bool Accept(int listener) ABSL_LOCKS_EXCLUDED(mu_);
  // Whose it is, by the bytes that came.
  enum class Verdict { kTooFew, kOurs, kOthers, kNobodys };
  Verdict JudgeBytes(const Newcomer& newcomer) const;
  // Reads on; false if `newcomer` is decided, or gone.
  bool Judge(Newcomer& newcomer) ABSL_LOCKS_EXCLUDED(mu_);
  void Serve(Newcomer& newcomer) ABSL_LOCKS_EXCLUDED(mu_);
  void GiveAway(Newcomer& newcomer);
  void ForgetThoseThatAreOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string address_;
  StreamAdmission& streams_;
  const Others others_;
  const std::shared_ptr<TlsCredentials> tls_;
  ClientQuota quota_;
  UniqueFd stop_;  // An eventfd.

  // Of the thread.
  std::optional<Listener> listener_;
  std::list<Newcomer> newcomers_;
  std::list<Guest> guests_;

  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::list<Served> connections_ ABSL_GUARDED_BY(mu_);

  absl::Mutex join_mu_ ABSL_ACQUIRED_BEFORE(mu_);  // Held to join thread_.
  std::thread thread_;  // Last: uses all of the above.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_PAGE_DOOR_H_
