#include "daemon/pager/control/session_registry.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/prefetch/prefetch_mode.h"
#include "lib/transport/source_url.h"

namespace pagelift {
namespace {

constexpr absl::Duration kSlowestReopen = absl::Seconds(5);
constexpr size_t kEndedKept = 100;  // However long ago they ended.

uint64_t Us(absl::Duration d) {
  return static_cast<uint64_t>(absl::ToInt64Microseconds(d));
}

LostSource LostSourceOf(const SessionRecord& record) {
  LostSource lost;
  lost.action = static_cast<WhenUnavailable>(record.when_unavailable);
  if (record.unavailable_after_ms > 0) {
    lost.after = absl::Milliseconds(record.unavailable_after_ms);
  }
  return lost;
}

absl::Status Stopping() {
  return absl::UnavailableError(
      "the daemon is stopping and takes no new sessions");
}

}  // namespace

namespace {

v1::SessionStatus Describe(const SessionSnapshot& snapshot,
                           const SessionStats& stats) {
  v1::SessionStatus status;
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
  status.set_forks(stats.forks.load());
  status.set_remaps(stats.remaps.load());
  status.set_removes(stats.removes.load());
  status.set_unmaps(stats.unmaps.load());
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

}  // namespace

v1::SessionStatus DescribeSession(const std::string& name,
                                  const std::string& source,
                                  const Session& session) {
  v1::SessionStatus status = Describe(session.Snapshot(), session.stats());
  status.set_session(name);
  status.set_source(source);
  status.set_work_dir(session.work_dir());
  status.set_bytes_received(session.source().bytes_received());
  status.set_checksum_failures(session.source().checksum_failures());
  status.set_reconnects(session.source().reconnects());
  const ReplicaCounts replicas = session.source().replica_counts();
  status.set_hedges(replicas.hedges);
  status.set_hedges_won(replicas.hedges_won);
  status.set_failovers(replicas.failovers);
  return status;
}

v1::SessionStatus DescribeJournal(SessionJournal& journal) {
  v1::SessionStatus status = Describe(SnapshotOf(journal), StatsOf(journal));
  const SessionRecord& record = journal.record();
  status.set_session(record.name.Get());
  status.set_source(record.source.Get());
  status.set_work_dir(record.work_dir.Get());
  return status;
}

SessionRegistry::SessionRegistry(Opener opener, Options options)
    : opener_(std::move(opener)), options_(options), journals_(options.page) {}

SessionRegistry::SessionRegistry(Opener opener)
    : SessionRegistry(std::move(opener), Options()) {}

SessionRegistry::~SessionRegistry() {
  CollectEnded();
  absl::MutexLock lock(&mu_);
  for (Ended& ended : ended_) Forget(std::move(ended.journal));
}

void SessionRegistry::Forget(std::unique_ptr<SessionJournal> journal) {
  if (journal != nullptr) journals_.Forget(journal->fd());
}

Session::Options SessionRegistry::OptionsOf(
    const std::string& work_dir, PrefetchMode prefetch,
    const LostSource& lost_source) const {
  Session::Options options;
  options.lost_source = lost_source;
  options.work_dir = work_dir;
  options.prefetch = prefetch;
  options.check_invariants = options_.check_invariants;
  options.spin = options_.spin;
  options.limits = options_.limits;
  // Ended sessions are collected by whoever asks next, never by their own
  // thread.
  return options;
}

void SessionRegistry::GoOn(
    std::vector<std::unique_ptr<SessionJournal>> journals) {
  absl::MutexLock lock(&mu_);
  for (std::unique_ptr<SessionJournal>& journal : journals) {
    const SessionRecord& record = journal->record();
    const std::string name = record.name.Get();
    if (record.ended_ns != 0) {
      v1::SessionStatus status = DescribeJournal(*journal);
      ended_.push_front({std::move(status), absl::Now(), std::move(journal)});
    } else if (record.opened_ns == 0) {
      Forget(std::move(journal));  // Whoever opened it was told of no success.
    } else {
      Orphan& orphan = orphans_[name];
      orphan.status = DescribeJournal(*journal);
      orphan.request_id = record.request_id.Get();
      orphan.content_id = record.content_id.Get();
      orphan.journal = std::move(journal);
      orphan.waiter = std::thread([this, name] { GoOnWith(name); });
    }
  }
}

absl::StatusOr<std::unique_ptr<PageSource>> SessionRegistry::Reopen(
    SessionRecord& record) {
  ASSIGN_OR_RETURN(std::unique_ptr<PageSource> source,
                   opener_(SourceUrl::LetIn(record.source.Get())));
  RETURN_IF_ERROR(CheckSameCheckpoint(
      record.source.Get(), source->description(), record.content_id.Get()));
  return source;
}

void SessionRegistry::GoOnWith(const std::string& name) {
  std::unique_ptr<SessionJournal> journal;
  {
    absl::MutexLock lock(&mu_);
    journal = std::move(orphans_.at(name).journal);
  }
  SessionRecord& record = journal->record();
  absl::Duration pause = options_.first_reopen;
  absl::StatusOr<std::unique_ptr<PageSource>> source = Reopen(record);
  while (!source.ok()) {
    LOG(Warning) << "session " << name << " cannot be gone on with yet: "
                 << source.status().message();
    {
      absl::MutexLock lock(&mu_);
      orphans_.at(name).status.set_trouble(absl::StrCat(
          "cannot be gone on with after a crash: ", source.status().message()));
    }
    absl::SleepFor(pause);
    pause = std::min(2 * pause, kSlowestReopen);
    source = Reopen(record);
  }
  const absl::StatusOr<PrefetchMode> prefetch =
      PrefetchMode::Parse(record.prefetch.Get());
  const std::string url = record.source.Get();
  Session::Options options = OptionsOf(
      record.work_dir.Get(), prefetch.ok() ? *prefetch : PrefetchMode(),
      LostSourceOf(record));
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Resume(
      std::move(options), *std::move(source), std::move(journal));
  CHECK(session.ok()) << "session " << name << ": " << session.status();
  absl::MutexLock lock(&mu_);
  if (refusing_ && !(*session)->Cancel().ok()) (*session)->SetPrefetch({});
  live_[name] = {url, *std::move(session)};
  joinable_.push_back(std::move(orphans_.at(name).waiter));
  orphans_.erase(name);
}

absl::StatusOr<v1::OpenSessionResponse> SessionRegistry::Open(
    const v1::OpenSessionRequest& request) {
  if (!absl::StartsWith(request.work_dir(), "/")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "work directory \"", request.work_dir(), "\" is not an absolute path"));
  }
  std::string name;
  {
    absl::MutexLock lock(&mu_);
    if (std::optional<v1::OpenSessionResponse> opened =
            FindRequest(request.request_id())) {
      return *opened;
    }
    if (refusing_) {
      return Stopping();
    }
    name = absl::StrCat("s", journals_.NextNumber());
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
  PrefetchMode prefetch;
  if (!request.prefetch().empty()) {
    ASSIGN_OR_RETURN(prefetch, PrefetchMode::Parse(request.prefetch()));
  }
  ASSIGN_OR_RETURN(const WhenUnavailable action,
                   ParseWhenUnavailable(request.when_unavailable()));
  if (action != WhenUnavailable::kFreeze &&
      request.unavailable_after_ms() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToString(action), " after how long?"));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<SessionJournal> journal,
                   SessionJournal::Create(source->description().page_count));
  SessionRecord& record = journal->record();
  if (!record.request_id.Fits(request.request_id())) {
    return absl::InvalidArgumentError("the request id is too long");
  }
  if (!record.source.Fits(request.source()) ||
      !record.work_dir.Fits(request.work_dir())) {
    return absl::InvalidArgumentError(
        "the source, or the work directory, is longer than 4095 bytes");
  }
  record.when_unavailable = static_cast<uint32_t>(action);
  record.unavailable_after_ms = request.unavailable_after_ms();
  Session::Options options =
      OptionsOf(request.work_dir(), prefetch, LostSourceOf(record));
  options.record = request.record();
  record.name.Set(name);
  record.request_id.Set(request.request_id());
  record.source.Set(request.source());
  record.work_dir.Set(request.work_dir());
  record.content_id.Set(source->description().content_id);
  const int descriptor = journal->fd();
  RETURN_IF_ERROR(journals_.Enter(*journal));
  absl::Cleanup failed = [this, descriptor] { journals_.Forget(descriptor); };
  ASSIGN_OR_RETURN(
      std::unique_ptr<Session> session,
      Session::Open(std::move(options), std::move(source), std::move(journal)));
  std::move(failed).Cancel();
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

std::optional<v1::OpenSessionResponse> SessionRegistry::FindRequest(
    const std::string& request_id) {
  std::optional<v1::OpenSessionResponse> found;
  if (request_id.empty()) return found;
  auto look_at = [&](const std::string& id, const std::string& session,
                     const std::string& content_id) {
    if (id != request_id) return;
    found.emplace();
    found->set_session(session);
    found->set_content_id(content_id);
  };
  auto look_into = [&](SessionJournal& journal) {
    const SessionRecord& record = journal.record();
    look_at(record.request_id.Get(), record.name.Get(),
            record.content_id.Get());
  };
  for (auto& [name, entry] : live_) look_into(entry.session->journal());
  for (auto& [name, orphan] : orphans_) {
    look_at(orphan.request_id, name, orphan.content_id);
  }
  for (Ended& ended : ended_) look_into(*ended.journal);
  return found;
}

void SessionRegistry::CollectEnded() {
  std::vector<std::shared_ptr<Session>> gone;  // Destroyed without the lock.
  std::vector<std::thread> waiters;
  absl::Cleanup join = [&waiters] {
    for (std::thread& waiter : waiters) waiter.join();
  };
  absl::MutexLock lock(&mu_);
  waiters.swap(joinable_);
  for (auto it = live_.begin(); it != live_.end();) {
    if (!it->second.session->has_ended()) {
      ++it;
      continue;
    }
    Session& session = *it->second.session;
    v1::SessionStatus status =
        DescribeSession(it->first, it->second.source, session);
    ended_.push_front({std::move(status), absl::Now(), session.TakeJournal()});
    gone.push_back(std::move(it->second.session));
    it = live_.erase(it);
  }
  ForgetOldOnes();
  journals_.CloseLeftovers();
}

void SessionRegistry::ForgetOldOnes() {
  const absl::Time old = absl::Now() - options_.ended_kept;
  while (ended_.size() > kEndedKept && ended_.back().seen < old) {
    Forget(std::move(ended_.back().journal));
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
  for (const auto& [name, orphan] : orphans_) {
    if (!session.empty() && session != name) continue;
    all.push_back(orphan.status);
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
  if (orphans_.count(session) > 0) {
    return absl::UnavailableError(absl::StrCat(
        "session ", session, " is being taken over after a crash: try again"));
  }
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
  if (opening_ > 0 || !orphans_.empty()) return false;
  for (const auto& [name, entry] : live_) {
    if (!entry.session->has_ended()) return false;
  }
  return true;
}

absl::Duration SessionRegistry::LastMoved() {
  absl::Duration last = MonotonicNow();
  absl::MutexLock lock(&mu_);
  for (const auto& [name, entry] : live_) {
    if (entry.session->has_ended()) continue;
    last = std::min(last, entry.session->LastMoved());
  }
  return last;
}

std::string SessionRegistry::Summary() const {
  absl::MutexLock lock(&mu_);
  const auto serving = std::count_if(
      live_.begin(), live_.end(),
      [](const auto& entry) { return !entry.second.session->has_ended(); });
  std::string summary =
      absl::StrCat(refusing_ ? "stopping when all memory is there: " : "",
                   serving, serving == 1 ? " session" : " sessions");
  if (!orphans_.empty()) {
    absl::StrAppend(&summary, ", ", orphans_.size(),
                    " waiting for their sources");
  }
  return summary;
}

void SessionRegistry::WaitUntilIdle() {
  while (true) {
    std::shared_ptr<Session> next;
    {
      absl::MutexLock lock(&mu_);
      auto none_opening = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return opening_ == 0 && orphans_.empty();
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
