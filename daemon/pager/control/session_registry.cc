#include "daemon/pager/control/session_registry.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/prefetch/prefetch_mode.h"

namespace pagelift {
namespace {

constexpr size_t kEndedKept = 100;  // However long ago they ended.

uint64_t Us(absl::Duration d) {
  return static_cast<uint64_t>(absl::ToInt64Microseconds(d));
}

absl::Status Stopping() {
  return absl::UnavailableError(
      "the daemon is stopping and takes no new sessions");
}

}  // namespace

v1::SessionStatus DescribeSession(const std::string& name,
                                  const std::string& source,
                                  const Session& session) {
  const SessionSnapshot snapshot = session.Snapshot();
  const SessionStats& stats = session.stats();
  v1::SessionStatus status;
  status.set_session(name);
  status.set_source(source);
  status.set_work_dir(session.work_dir());
  status.set_state(ToString(snapshot.state));
  status.set_trouble(snapshot.trouble);
  status.set_age_ms(
      static_cast<uint64_t>(absl::ToInt64Milliseconds(snapshot.age)));
  status.set_address_spaces(snapshot.address_spaces);
  status.set_pages_total(snapshot.pages_total.raw());
  status.set_pages_missing(snapshot.pages_missing.raw());
  status.set_pages_installed(stats.pages_installed.load());
  status.set_pages_zeroed(stats.pages_zeroed.load());
  status.set_pages_lost(stats.pages_lost.load());
  status.set_faults(stats.faults.load());
  status.set_demand_fetches(stats.demand_fetches.load());
  status.set_bytes_received(session.source().bytes_received());
  status.set_forks(stats.forks.load());
  status.set_remaps(stats.remaps.load());
  status.set_removes(stats.removes.load());
  status.set_unmaps(stats.unmaps.load());
  status.set_checksum_failures(session.source().checksum_failures());
  status.set_reconnects(session.source().reconnects());
  status.set_time_to_complete_ms(static_cast<uint64_t>(
      absl::ToInt64Milliseconds(snapshot.time_to_complete)));
  status.set_late_faults(stats.late_faults.load());
  status.set_prefetch(ToString(snapshot.prefetch));
  const LatencyHistogram::Summary summary = stats.fault_latency.Summarize();
  v1::LatencySummary* latency = status.mutable_fault_latency();
  latency->set_count(summary.count);
  latency->set_p50_us(Us(summary.p50));
  latency->set_p90_us(Us(summary.p90));
  latency->set_p99_us(Us(summary.p99));
  latency->set_p999_us(Us(summary.p999));
  latency->set_max_us(Us(summary.max));
  return status;
}

SessionRegistry::SessionRegistry(Opener opener, Options options)
    : opener_(std::move(opener)), options_(options) {}

SessionRegistry::SessionRegistry(Opener opener)
    : SessionRegistry(std::move(opener), Options()) {}

SessionRegistry::~SessionRegistry() { CollectEnded(); }

absl::StatusOr<v1::OpenSessionResponse> SessionRegistry::Open(
    const v1::OpenSessionRequest& request) {
  if (!absl::StartsWith(request.work_dir(), "/")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "work directory \"", request.work_dir(), "\" is not an absolute path"));
  }
  std::string name;
  {
    absl::MutexLock lock(&mu_);
    if (refusing_) {
      return Stopping();
    }
    name = absl::StrCat("s", next_id_++);
    ++opening_;
  }
  absl::Cleanup opened = [this] {
    absl::MutexLock lock(&mu_);
    --opening_;
  };
  ASSIGN_OR_RETURN(std::unique_ptr<PageSource> source,
                   opener_(request.source()));
  v1::OpenSessionResponse response;
  response.set_session(name);
  response.set_content_id(source->description().content_id);
  if (!request.expected_content_id().empty()) {
    RETURN_IF_ERROR(CheckSameCheckpoint(request.source(), source->description(),
                                        request.expected_content_id()));
  }
  Session::Options options;
  if (!request.prefetch().empty()) {
    ASSIGN_OR_RETURN(options.prefetch, PrefetchMode::Parse(request.prefetch()));
  }
  options.record = request.record();
  options.work_dir = request.work_dir();
  options.check_invariants = options_.check_invariants;
  options.spin = options_.spin;
  // Ended sessions are collected by whoever asks next, never by their own
  // thread.
  ASSIGN_OR_RETURN(std::unique_ptr<Session> session,
                   Session::Open(std::move(options), std::move(source)));
  LOG(Info) << "session " << name << " of " << request.source()
            << " listens in " << request.work_dir();
  absl::MutexLock lock(&mu_);
  Entry& entry = live_[name];
  entry = {request.source(), std::move(session)};
  // RefuseNew() came while it was being opened, and did not see it. If somebody
  // has connected already, it is waited for as the others are.
  if (refusing_) {
    if (entry.session->Cancel().ok()) return Stopping();
    entry.session->SetPrefetch({});
  }
  return response;
}

void SessionRegistry::CollectEnded() {
  std::vector<std::shared_ptr<Session>> gone;  // Destroyed without the lock.
  absl::MutexLock lock(&mu_);
  for (auto it = live_.begin(); it != live_.end();) {
    if (!it->second.session->has_ended()) {
      ++it;
      continue;
    }
    ended_.push_front(
        {DescribeSession(it->first, it->second.source, *it->second.session),
         absl::Now()});
    gone.push_back(std::move(it->second.session));
    it = live_.erase(it);
  }
  ForgetOldOnes();
}

void SessionRegistry::ForgetOldOnes() {
  const absl::Time old = absl::Now() - options_.ended_kept;
  while (ended_.size() > kEndedKept && ended_.back().seen < old) {
    ended_.pop_back();
  }
}

absl::StatusOr<std::vector<v1::SessionStatus>> SessionRegistry::List(
    const std::string& session) {
  CollectEnded();
  std::vector<v1::SessionStatus> all;
  absl::MutexLock lock(&mu_);
  for (const auto& [name, entry] : live_) {
    if (session.empty() || session == name) {
      all.push_back(DescribeSession(name, entry.source, *entry.session));
    }
  }
  for (const Ended& ended : ended_) {
    if (session.empty() || session == ended.status.session()) {
      all.push_back(ended.status);
    }
  }
  if (!session.empty() && all.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no session ", session));
  }
  return all;
}

absl::Status SessionRegistry::Cancel(const std::string& session) {
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(std::shared_ptr<Session> found, Find(session));
  return found->Cancel();
}

absl::Status SessionRegistry::Tune(const v1::TuneSessionRequest& request) {
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(std::shared_ptr<Session> session, Find(request.session()));
  if (request.prefetch().empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(PrefetchMode mode, PrefetchMode::Parse(request.prefetch()));
  if (refusing_) return Stopping();
  session->SetPrefetch(mode);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Session>> SessionRegistry::Find(
    const std::string& session) const {
  auto it = live_.find(session);
  if (it != live_.end()) return it->second.session;
  return absl::NotFoundError(
      absl::StrCat("there is no session ", session, " that is open"));
}

void SessionRegistry::RefuseNew() {
  absl::MutexLock lock(&mu_);
  refusing_ = true;
  for (auto& [name, entry] : live_) {
    // Fails for sessions that have targets: those are waited for.
    if (!entry.session->Cancel().ok()) entry.session->SetPrefetch({});
  }
}

bool SessionRegistry::idle() const {
  absl::MutexLock lock(&mu_);
  if (opening_ > 0) return false;
  for (const auto& [name, entry] : live_) {
    if (!entry.session->has_ended()) return false;
  }
  return true;
}

void SessionRegistry::WaitUntilIdle() {
  while (true) {
    std::shared_ptr<Session> next;
    {
      absl::MutexLock lock(&mu_);
      auto none_opening = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return opening_ == 0;
      };
      mu_.Await(absl::Condition(&none_opening));
      for (const auto& [name, entry] : live_) {
        if (!entry.session->has_ended()) next = entry.session;
      }
    }
    if (next == nullptr) break;
    next->WaitUntilEnded();
  }
  CollectEnded();
}

}  // namespace pagelift
