#ifndef PAGELIFT_DAEMON_PAGER_CONTROL_SESSION_REGISTRY_H_
#define PAGELIFT_DAEMON_PAGER_CONTROL_SESSION_REGISTRY_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/pager/event_loop/event_loop.h"
#include "daemon/pager/session/session.h"
#include "lib/source/page_source.h"
#include "pagelift/v1/control.pb.h"

namespace pagelift {

// The sessions of a daemon. A session that has ended is dropped; how it ended
// is kept for people who ask: of the latest hundred, and of any for a minute,
// so that nobody who waits misses the end of one, however many end with it.
//
// Thread-safe.
class SessionRegistry {
 public:
  using Opener = std::function<absl::StatusOr<std::unique_ptr<PageSource>>(
      const std::string& url)>;
  struct Options {
    // See Session::Options.
    bool check_invariants = false;
    absl::Duration spin = EventLoop::kDefaultSpin;
    // How long at least.
    absl::Duration ended_kept = absl::Minutes(1);
  };

  SessionRegistry(Opener opener, Options options);
  explicit SessionRegistry(Opener opener);
  // REQUIRES: WaitUntilIdle() has returned, or there never was a session.
  ~SessionRegistry();

  // See Control.OpenSession.
  absl::StatusOr<v1::OpenSessionResponse> Open(
      const v1::OpenSessionRequest& request) ABSL_LOCKS_EXCLUDED(mu_);

  // One that is named, or all, ended ones last. kNotFound if a name means none.
  absl::StatusOr<std::vector<v1::SessionStatus>> List(
      const std::string& session) ABSL_LOCKS_EXCLUDED(mu_);

  absl::Status Cancel(const std::string& session) ABSL_LOCKS_EXCLUDED(mu_);
  // See Control.TuneSession.
  absl::Status Tune(const v1::TuneSessionRequest& request)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Opens no more; sessions nobody has connected to are cancelled, and the
  // others bring all that their targets lack, whatever they were told.
  void RefuseNew() ABSL_LOCKS_EXCLUDED(mu_);
  // Returns when every session has ended: all targets have all their memory.
  void WaitUntilIdle() ABSL_LOCKS_EXCLUDED(mu_);
  bool idle() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    std::string source;
    std::shared_ptr<Session> session;
  };
  struct Ended {
    v1::SessionStatus status;
    absl::Time seen;  // Since then whoever asks is told.
  };

  absl::StatusOr<std::shared_ptr<Session>> Find(
      const std::string& session) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Turns the sessions that have ended into their last status.
  void CollectEnded() ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetOldOnes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Opener opener_;
  const Options options_;

  mutable absl::Mutex mu_;
  bool refusing_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t next_id_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<std::string, Entry> live_ ABSL_GUARDED_BY(mu_);
  std::deque<Ended> ended_ ABSL_GUARDED_BY(mu_);
  int opening_ ABSL_GUARDED_BY(mu_) = 0;
};

// What a session looks like from outside.
v1::SessionStatus DescribeSession(const std::string& name,
                                  const std::string& source,
                                  const Session& session);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_CONTROL_SESSION_REGISTRY_H_
