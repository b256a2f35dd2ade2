#ifndef PAGELIFT_DAEMON_PAGER_CONTROL_SESSION_REGISTRY_H_
#define PAGELIFT_DAEMON_PAGER_CONTROL_SESSION_REGISTRY_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/pager/event_loop/event_loop.h"
#include "daemon/pager/holder/holder_page.h"
#include "daemon/pager/journal/session_journal.h"
#include "daemon/pager/journal/session_journals.h"
#include "daemon/pager/session/lost_source.h"
#include "daemon/pager/session/session.h"
#include "lib/prefetch/prefetch_mode.h"
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
    SessionLimits limits;
    // How long at least.
    absl::Duration ended_kept = absl::Minutes(1);
    // Shared with the holder; null: there is none.
    HolderPage* page = nullptr;
    // How soon a source is asked again that cannot be opened, of a session that
    // is to be gone on with.
    absl::Duration first_reopen = absl::Milliseconds(100);
  };

  SessionRegistry(Opener opener, Options options);
  explicit SessionRegistry(Opener opener);
  // REQUIRES: WaitUntilIdle() has returned, or there never was a session.
  ~SessionRegistry();

  // Goes on with the sessions of a worker that has died, as soon as their
  // sources can be opened; until then they are there, and their targets wait.
  void GoOn(std::vector<std::unique_ptr<SessionJournal>> journals)
      ABSL_LOCKS_EXCLUDED(mu_);

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

  // When the event thread that has stood still the longest last moved: just now
  // if there is no session. By MonotonicNow(). Whoever asks again and again
  // learns whether all of them move.
  absl::Duration LastMoved() ABSL_LOCKS_EXCLUDED(mu_);
  // For people, in some words.
  std::string Summary() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    std::string source;
    std::shared_ptr<Session> session;
  };
  // One that is to be gone on with.
  struct Orphan {
    std::unique_ptr<SessionJournal> journal;  // Its waiter's.
    v1::SessionStatus status;  // With why not yet, if that is known.
    std::string request_id;
    std::string content_id;
    std::thread waiter;
  };
  struct Ended {
    v1::SessionStatus status;
    absl::Time seen;  // Since then whoever asks is told.
    std::unique_ptr<SessionJournal> journal;  // So the next worker tells, too.
  };

  absl::StatusOr<std::shared_ptr<Session>> Find(
      const std::string& session) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The session that was opened for it.
  std::optional<v1::OpenSessionResponse> FindRequest(
      const std::string& request_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Session::Options OptionsOf(const std::string& work_dir, PrefetchMode prefetch,
                             const LostSource& lost_source) const;
  // Until the session `name` is gone on with.
  void GoOnWith(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::unique_ptr<PageSource>> Reopen(SessionRecord& record);
  // Turns the sessions that have ended into their last status.
  void CollectEnded() ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetOldOnes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Forget(std::unique_ptr<SessionJournal> journal);

  const Opener opener_;
  const Options options_;
  SessionJournals journals_;

  mutable absl::Mutex mu_;
  bool refusing_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, Entry> live_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Orphan> orphans_ ABSL_GUARDED_BY(mu_);
  std::deque<Ended> ended_ ABSL_GUARDED_BY(mu_);
  int opening_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::thread> joinable_ ABSL_GUARDED_BY(mu_);  // Have ended.
};

// What a session looks like from outside.
v1::SessionStatus DescribeSession(const std::string& name,
                                  const std::string& source,
                                  const Session& session);
// What its journal tells of it, if that is all there is.
v1::SessionStatus DescribeJournal(SessionJournal& journal);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_CONTROL_SESSION_REGISTRY_H_
