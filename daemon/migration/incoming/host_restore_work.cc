#include "daemon/migration/incoming/host_restore_work.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/migration/hosts/hook.h"
#include "daemon/migration/receiver/image_intake.h"
#include "lib/base/log.h"
#include "lib/base/open_directory.h"
#include "lib/base/read_file.h"
#include "lib/base/replace_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

constexpr char kImages[] = "images";
constexpr char kHold[] = "hold";
constexpr char kWork[] = "work";
constexpr char kSession[] = "session";

// How often we look whether that is still wanted.
constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr absl::Duration kRestorePatience = absl::Seconds(120);
constexpr absl::Duration kLetGoPatience = absl::Seconds(10);
// How long criu may take to take back what it has done, before it is killed:
// it need not be able to, where pages do not come.
constexpr absl::Duration kTakeBackPatience = absl::Seconds(2);
constexpr absl::Duration kCleanUpPatience = absl::Seconds(30);
// It ends when criu has, which need not be waited for elsewhere.
constexpr absl::Duration kReapPatience = absl::Seconds(1);

absl::Status Remove(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return SysErrorOf(error.value(), "remove ", path);
  return absl::OkStatus();
}

// Nobody has met it yet.
bool AwaitsHandoff(const v1::SessionStatus& session) {
  return session.state() == "awaiting_handoff";
}

}  // namespace

HeldRestore::Options HostRestoreWork::HoldOptions() const {
  HeldRestore::Options options;
  options.criu = options_.criu;
  options.images = In(kImages);
  options.work_dir = In(kWork);
  options.patience = kTakeBackPatience;
  return options;
}

absl::StatusOr<HeldRestore> HostRestoreWork::Adopt() const {
  return HeldRestore::Adopt(In(kHold), HoldOptions());
}

absl::StatusOr<DaemonClient*> HostRestoreWork::Daemon() {
  if (!daemon_.has_value()) {
    ASSIGN_OR_RETURN(DaemonClient client,
                     DaemonClient::Connect(options_.control));
    daemon_.emplace(std::move(client));
  }
  return &*daemon_;
}

absl::Status HostRestoreWork::GetReady() {
  absl::Status ready = HeldRestore::MakeReady(In(kHold), HoldOptions());
  absl::MutexLock lock(&mu_);
  ready.Update(Daemon().status());
  return ready;
}

absl::Status HostRestoreWork::Expect(const v1::RestoreRequest& request) {
  RETURN_IF_ERROR(OpenSession(request));
  has_session_for_ = request.SerializeAsString();
  return absl::OkStatus();
}

absl::Status HostRestoreWork::OpenSession(const v1::RestoreRequest& request) {
  // CRIU's log of an earlier try would explain nothing, and neither would a
  // session that was expected to be of use for something else.
  has_session_for_.clear();
  CancelSessionIf(AwaitsHandoff);
  RETURN_IF_ERROR(Remove(In(kWork)));
  if (mkdir(In(kWork).c_str(), 0700) != 0) return SysError("make ", In(kWork));
  v1::OpenSessionRequest open;
  const bool tls = !options_.tls.empty();
  std::string source =
      absl::StrCat(tls ? "grpcs://" : "grpc://", request.page_server(), "/",
                   request.image(), "?");
  if (tls) {
    absl::StrAppend(&source, "tls=", options_.tls);
    if (!request.certified_as().empty()) {
      absl::StrAppend(&source, "&name=", request.certified_as());
    }
  } else {
    absl::StrAppend(&source, "insecure");
  }
  open.set_source(source);
  open.set_work_dir(In(kWork));
  open.set_expected_content_id(request.content_id());
  open.set_prefetch(request.prefetch());
  open.set_when_unavailable(request.when_unavailable());
  open.set_unavailable_after_ms(request.unavailable_after_ms());
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(DaemonClient * daemon, Daemon());
  ASSIGN_OR_RETURN(const v1::OpenSessionResponse opened,
                   daemon->OpenSession(open));
  ASSIGN_OR_RETURN(const UniqueFd directory, OpenDirectory(directory_));
  return ReplaceUnsynced(directory.get(), kSession, opened.session());
}

void HostRestoreWork::CancelSessionIf(
    absl::FunctionRef<bool(const v1::SessionStatus& session)> is) {
  const absl::StatusOr<v1::SessionStatus> session = Session();
  if (!session.ok() || !is(*session)) return;
  absl::MutexLock lock(&mu_);
  const absl::StatusOr<DaemonClient*> daemon = Daemon();
  if (daemon.ok()) (*daemon)->CancelSession(session->session()).IgnoreError();
}

absl::StatusOr<v1::SessionStatus> HostRestoreWork::Session() {
  const absl::StatusOr<std::string> name = ReadFile(In(kSession));
  if (!name.ok()) return absl::UnavailableError("there is no session yet");
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(DaemonClient * daemon, Daemon());
  ASSIGN_OR_RETURN(v1::SessionStatus status, daemon->GetSession(*name));
  // A daemon that was started anew begins its names anew.
  if (status.work_dir() != In(kWork)) {
    return absl::NotFoundError("another session has its name");
  }
  return status;
}

absl::Status HostRestoreWork::Restore(const v1::RestoreRequest& request,
                                      const std::atomic<bool>& is_cancelled) {
  RETURN_IF_ERROR(TellHook("restore"));
  // Of use once: CRIU may have met it.
  const bool has_session =
      std::exchange(has_session_for_, "") == request.SerializeAsString();
  if (!has_session) RETURN_IF_ERROR(OpenSession(request));
  // Before we agree to anything they have to be there for good; criu need not
  // wait for that, while the process stands still.
  absl::Status synced;
  std::thread sync([&] { synced = SyncImages(directory_); });
  absl::Status restored = RestoreInto(request, is_cancelled);
  sync.join();
  restored.Update(synced);
  if (restored.ok()) return restored;
  // What the pager had against it explains more than criu's broken pipe.
  const absl::StatusOr<v1::SessionStatus> session = Session();
  if (!session.ok() || session->trouble().empty()) return restored;
  return absl::Status(restored.code(),
                      absl::StrCat("the pager: ", session->trouble(), "; ",
                                   restored.message()));
}

absl::Status HostRestoreWork::RestoreInto(
    const v1::RestoreRequest& request, const std::atomic<bool>& is_cancelled) {
  HeldRestore::Options options = HoldOptions();
  options.criu_options.assign(request.criu_options().begin(),
                              request.criu_options().end());
  ASSIGN_OR_RETURN(HeldRestore hold,
                   HeldRestore::Start(In(kHold), std::move(options)));
  const absl::Time give_up = absl::Now() + kRestorePatience;
  while (true) {
    const absl::Status held = hold.WaitHeld(absl::Now() + kLook);
    if (!absl::IsDeadlineExceeded(held) || give_up < absl::Now()) return held;
    if (is_cancelled) {
      return absl::CancelledError("nobody wants it here any more");
    }
  }
}

absl::Status HostRestoreWork::TellHook(const char* event) const {
  return RunHook(options_.hook, event,
                 std::filesystem::path(directory_).filename().string());
}

absl::Status HostRestoreWork::LetGo() {
  ASSIGN_OR_RETURN(HeldRestore hold, Adopt());
  // It is to run here in any case.
  const absl::Status told = TellHook("resume");
  if (!told.ok()) LOG(Error) << told.message();
  RETURN_IF_ERROR(hold.LetGo());
  const absl::Status running = hold.WaitRunning(absl::Now() + kLetGoPatience);
  if (absl::IsDeadlineExceeded(running)) {
    // A task has been killed, and criu waits for it. What can be said of the
    // others can be said once it has ended.
    hold.EndCriu(absl::Now() + kLetGoPatience).IgnoreError();
  }
  return running;
}

absl::StatusOr<RestoreFound> HostRestoreWork::Look() {
  ASSIGN_OR_RETURN(const HeldRestore hold, Adopt());
  switch (hold.state()) {
    case HeldRestoreState::kStarting:
      return RestoreFound::kNoneHasRun;
    case HeldRestoreState::kHeld:
    case HeldRestoreState::kLetGo:
      return RestoreFound::kHeld;
    case HeldRestoreState::kRunning:
      return RestoreFound::kRuns;
    case HeldRestoreState::kGone:
      break;
  }
  return hold.NothingHasRun() ? RestoreFound::kNoneHasRun
                              : RestoreFound::kNothing;
}

absl::Status HostRestoreWork::CleanUp() {
  ASSIGN_OR_RETURN(HeldRestore hold, Adopt());
  RETURN_IF_ERROR(hold.Abort(absl::Now() + kCleanUpPatience));
  const absl::Status told = TellHook("cleanup");
  if (!told.ok()) LOG(Error) << told.message();
  // One whose targets have ended fails by itself, and is not to be cancelled.
  CancelSessionIf([](const v1::SessionStatus&) { return true; });
  hold.ReapKeeper(kReapPatience);
  return Remove(In(kHold));
}

absl::Status HostRestoreWork::Forget() {
  CancelSessionIf(AwaitsHandoff);
  if (absl::StatusOr<HeldRestore> hold = Adopt(); hold.ok()) {
    // One that is ready, and was never needed.
    if (hold->NothingHasRun()) {
      RETURN_IF_ERROR(hold->Abort(absl::Now() + kCleanUpPatience));
    }
    hold->ReapKeeper(kReapPatience);
  }
  for (const char* name : {kImages, kWork, kHold}) {
    RETURN_IF_ERROR(Remove(In(name)));
  }
  return absl::OkStatus();
}

bool HostRestoreWork::MayBeLost() {
  const absl::StatusOr<HeldRestore> hold = Adopt();
  return !hold.ok() || hold->state() != HeldRestoreState::kHeld;
}

void HostRestoreWork::Describe(v1::GetMigrationResponse* response) {
  const absl::StatusOr<v1::SessionStatus> session = Session();
  if (absl::IsNotFound(session.status())) response->set_session_state("gone");
  if (!session.ok()) return;
  response->set_session_state(session->state());
  response->set_pages_total(session->pages_total());
  response->set_pages_missing(session->pages_missing());
  response->set_pages_lost(session->pages_lost());
  response->set_faults(session->faults());
  response->set_bytes_received(session->bytes_received());
  response->set_fault_p50_us(session->fault_latency().p50_us());
  response->set_fault_p99_us(session->fault_latency().p99_us());
}

}  // namespace pagelift
