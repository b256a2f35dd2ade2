#include "daemon/migration/outgoing/host_source_work.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/migration/criu/criu_config.h"
#include "daemon/migration/hosts/hook.h"
#include "daemon/migration/outgoing/tree_needs.h"
#include "daemon/migration/parked/complete_pagemaps.h"
#include "daemon/migration/parked/frozen_tree_proto.h"
#include "daemon/migration/receiver/image_intake.h"
#include "daemon/migration/wire/shipped_images.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"
#include "lib/migration/destination_protocol.h"
#include "lib/migration/record_file.h"
#include "lib/process/child_processes.h"
#include "lib/transport/endpoint.h"
#include "lib/transport/image_access.h"

namespace pagelift {
namespace {

// How long a fence is believed in before it is put up again.
constexpr absl::Duration kFencePatience = absl::Seconds(1);
constexpr absl::Duration kParkPatience = absl::Seconds(60);
constexpr absl::Duration kFinishPatience = absl::Seconds(30);
// How often the destination is asked how far it is.
constexpr absl::Duration kLook = absl::Milliseconds(50);

}  // namespace

absl::StatusOr<std::unique_ptr<HostSourceWork>> HostSourceWork::Open(
    const v1::MigrationPlan& plan, MigrationPlace place,
    const ProcessName& guard) {
  std::shared_ptr<TlsCredentials> client_tls;
  std::shared_ptr<TlsCredentials> server_tls;
  if (plan.tls()) {
    ASSIGN_OR_RETURN(client_tls,
                     TlsCredentials::Load(plan.tls_directory(),
                                          TlsCredentials::End::kClient));
    ASSIGN_OR_RETURN(server_tls,
                     TlsCredentials::Load(plan.tls_directory(),
                                          TlsCredentials::End::kServer));
  }
  UniqueFd cancel(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!cancel.valid()) return SysError("eventfd");
  std::unique_ptr<HostSourceWork> work(
      new HostSourceWork(plan, std::move(place), guard, std::move(client_tls),
                         std::move(server_tls), std::move(cancel)));
  RETURN_IF_ERROR(work->Adopt());
  return work;
}

HostSourceWork::HostSourceWork(const v1::MigrationPlan& plan,
                               MigrationPlace place, const ProcessName& guard,
                               std::shared_ptr<TlsCredentials> client_tls,
                               std::shared_ptr<TlsCredentials> server_tls,
                               UniqueFd cancel)
    : plan_(plan),
      place_(std::move(place)),
      guard_(guard),
      server_tls_(std::move(server_tls)),
      cancel_(std::move(cancel)),
      client_(client_tls == nullptr ? Endpoint(plan.destination())
                                    : Endpoint(plan.destination(), client_tls,
                                               plan.server_name()),
              plan.id()),
      catalog_(plan.image()) {
  note_.set_leash(-1);
  note_.set_spool(-1);
}

HostSourceWork::~HostSourceWork() {
  spooling_.reset();
  server_.reset();
}

// --- Steps -------------------------------------------------------------------

absl::Status HostSourceWork::Do(SourceStep step) {
  // What was broken off before is not this.
  eventfd_t ignored;
  eventfd_read(cancel_.get(), &ignored);
  switch (step) {
    case SourceStep::kPrepare:
      return Prepare();
    case SourceStep::kPark:
      return Park();
    case SourceStep::kShip:
      return Ship();
    case SourceStep::kRestore:
      return Restore();
    case SourceStep::kFence:
      return Fence();
    case SourceStep::kCommit:
      return Commit();
    case SourceStep::kSpool:
      return SpoolAll();
    case SourceStep::kAwaitDrained:
      return AwaitDrained();
    case SourceStep::kRelease:
      return client_.Release(absl::InfiniteDuration());
    case SourceStep::kLetGo:
      return LetGo();
    case SourceStep::kAbortThere:
      return client_.Abort("the source aborted", Patience());
    default:
      return absl::InternalError(
          absl::StrCat("not to be done: ", ToString(step)));
  }
}

void HostSourceWork::Cancel() {
  eventfd_write(cancel_.get(), 1);
  client_.Cancel();
}

absl::Duration HostSourceWork::Patience() const {
  return absl::Milliseconds(plan_.give_up_after_ms());
}

absl::Status HostSourceWork::Pause(absl::Duration time) {
  pollfd waiting = {cancel_.get(), POLLIN, 0};
  const int ready =
      poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(time)));
  return ready > 0 ? absl::CancelledError("cancelled") : absl::OkStatus();
}

absl::Status HostSourceWork::Prepare() {
  ASSIGN_OR_RETURN(const ProcessName root, NameOfProcess(plan_.pid()));
  if (root.start_ticks != plan_.start_ticks()) return NotTheSame();
  // What cannot be said to CRIU is not to be found out when it stands.
  RETURN_IF_ERROR(CriuConfig(CriuCommand::kDump, {plan_.criu_options().begin(),
                                                  plan_.criu_options().end()})
                      .status());
  RETURN_IF_ERROR(
      CriuConfig(CriuCommand::kRestore, {plan_.restore_options().begin(),
                                         plan_.restore_options().end()})
          .status());
  ASSIGN_OR_RETURN(v1::PrepareRequest needs,
                   TreeNeeds(plan_.pid(), plan_.criu()));
  const std::vector<std::string> obstacles =
      ObstaclesHere(plan_.pid(), needs, plan_.keep_in_memory());
  if (!obstacles.empty()) {
    return absl::FailedPreconditionError(absl::StrJoin(obstacles, "; "));
  }
  RETURN_IF_ERROR(StartServing());
  // While the destination looks, too.
  absl::Status ready;
  std::thread prepare_dump([this, &ready] {
    NameThisThread("pl-dump");
    PrepareAnswers();
    ready = StartDump();
  });
  absl::Status prepared =
      client_.Prepare(std::move(needs), Patience()).status();
  prepare_dump.join();
  prepared.Update(ready);
  return prepared;
}

void HostSourceWork::PrepareAnswers() {
  absl::StatusOr<std::unique_ptr<MemoryAnswers>> answers =
      MemoryAnswers::Prepare();
  if (answers.ok()) {
    answers_ = *std::move(answers);
    answers_->LookAhead(TreeOf(plan_.pid()));
  } else {
    LOG(Info) << "criu looks at memory itself, which takes longer: "
              << answers.status().message();
  }
}

absl::Status HostSourceWork::NotTheSame() const {
  return absl::NotFoundError(
      absl::StrCat("process ", plan_.pid(),
                   " has ended, and its number may be another one's now"));
}

absl::Status HostSourceWork::StartServing() {
  if (server_ != nullptr) return absl::OkStatus();
  PageServer::Options options;
  options.tls = server_tls_;
  std::string address;
  {
    absl::MutexLock lock(&mu_);
    address = listens_on_.empty() ? plan_.listen() : listens_on_;
  }
  ASSIGN_OR_RETURN(server_, PageServer::Start(address, ImageAccess(catalog_),
                                              std::move(options)));
  absl::MutexLock lock(&mu_);
  listens_on_ = server_->address();
  return absl::OkStatus();
}

absl::Status HostSourceWork::StartDump() {
  if (mkdir(place_.images().c_str(), 0700) != 0) {
    return SysError("make ", place_.images());
  }
  ASSIGN_OR_RETURN(CriuLeash::Pair pair, CriuLeash::Make());
  leash_.emplace(std::move(pair.leash));
  note_.set_leash(leash_->fd());
  RETURN_IF_ERROR(Note());
  ASSIGN_OR_RETURN(ParkedDump dump,
                   ParkedDump::Start({plan_.criu(),
                                      plan_.pid(),
                                      place_.images(),
                                      {plan_.criu_options().begin(),
                                       plan_.criu_options().end()},
                                      answers_.get()},
                                     *leash_, std::move(pair.for_criu)));
  dump_.emplace(std::move(dump));
  *note_.mutable_criu() = ToProto(dump_->criu());
  RETURN_IF_ERROR(Note());
  return dump_->WaitUntilReady(*leash_, kParkPatience, cancel_.get());
}

absl::Status HostSourceWork::Park() {
  absl::Status parked = ParkOnce();
  if (!absl::IsUnimplemented(parked)) return parked;
  LOG(Warning) << "criu looks at memory itself, which takes longer: "
               << parked.message();
  dump_.reset();
  answers_.reset();
  std::error_code error;
  std::filesystem::remove_all(place_.images(), error);
  if (error) return SysErrorOf(error.value(), "remove ", place_.images());
  tree_.reset();
  RETURN_IF_ERROR(StartDump());
  return ParkOnce();
}

absl::Status HostSourceWork::ParkOnce() {
  // It may have ended while we asked.
  ASSIGN_OR_RETURN(const ProcessName root, NameOfProcess(plan_.pid()));
  if (root.start_ticks != plan_.start_ticks()) return NotTheSame();
  RETURN_IF_ERROR(
      dump_->WaitUntilParked(*leash_, kParkPatience, cancel_.get()));
  ASSIGN_OR_RETURN(FrozenTree tree,
                   FrozenTree::Open(place_.images(), plan_.pid()));
  tree_ = std::make_shared<FrozenTree>(std::move(tree));
  const bool has_root = std::any_of(
      tree_->tasks().begin(), tree_->tasks().end(),
      [&root](const FrozenTask& task) { return task.name().process == root; });
  if (!has_root) return NotTheSame();
  *note_.mutable_tasks() = ToProto(*tree_);
  RETURN_IF_ERROR(Note());
  if (dump_->answered()) {
    const absl::Status completed =
        CompletePagemaps(place_.images(), *tree_, *answers_);
    if (!completed.ok()) {
      dump_->Abandon(*leash_);
      return absl::UnimplementedError(completed.message());
    }
  }
  return OpenImages();
}

absl::Status HostSourceWork::Ship() {
  return client_.ShipImages(
      [this] { return PartsOfImages(WhatToRestore(), place_.images()); },
      Patience());
}

absl::Status HostSourceWork::Restore() {
  return client_.Restore(WhatToRestore(), Patience());
}

v1::RestoreRequest HostSourceWork::WhatToRestore() {
  v1::RestoreRequest request;
  request.set_id(plan_.id());
  {
    absl::MutexLock lock(&mu_);
    // Where we are as the destination sees it, unless we are told.
    const size_t colon = listens_on_.rfind(':');
    const bool anywhere = plan_.listen().empty() ||
                          listens_on_.substr(0, colon) == "0.0.0.0" ||
                          listens_on_.substr(0, colon) == "[::]";
    request.set_page_server(anywhere ? listens_on_.substr(colon) : listens_on_);
    request.set_content_id(content_id_);
  }
  request.set_image(plan_.image());
  request.set_certified_as(plan_.certified_as());
  request.set_prefetch(plan_.prefetch());
  request.set_when_unavailable(plan_.when_unavailable());
  request.set_unavailable_after_ms(plan_.unavailable_after_ms());
  *request.mutable_criu_options() = plan_.restore_options();
  return request;
}

absl::Status HostSourceWork::Fence() {
  note_.set_fenced(true);
  RETURN_IF_ERROR(Note());
  RETURN_IF_ERROR(tree_->Fence());
  return RunHook(plan_.hook(), "commit", plan_.id());
}

absl::Status HostSourceWork::Commit() {
  RETURN_IF_ERROR(StartServing());
  KeepFenced();
  return client_.Commit(kFencePatience);
}

absl::StatusOr<v1::GetMigrationResponse> HostSourceWork::Ask() {
  ASSIGN_OR_RETURN(v1::GetMigrationResponse response, client_.GetMigration());
  absl::MutexLock lock(&mu_);
  destination_ = response;
  return response;
}

absl::StatusOr<bool> HostSourceWork::IsDrained() {
  const absl::StatusOr<v1::GetMigrationResponse> response = Ask();
  if (absl::IsUnavailable(response.status())) return false;
  RETURN_IF_ERROR(response.status());
  if (response->state() == ToString(DestinationRecorded::kReleased)) {
    return true;
  }
  if (response->pages_lost() > 0) {
    // Not for us to say that nobody needs what we have.
    LOG(Error) << "migration " << plan_.id() << ": " << response->pages_lost()
               << " pages are lost at the destination";
  }
  // One whose process has ended, or was given up, needs none either.
  const std::string& session = response->session_state();
  return response->state() == ToString(DestinationRecorded::kRunning) &&
         (session == "complete" || session == "failed" || session == "gone");
}

absl::Status HostSourceWork::EndTree() {
  if (leash_.has_value() && dump_.has_value()) {
    // CRIU does more than kill: it takes away what it has made for the dump.
    const absl::Status told = leash_->Finish(dump_->process(), kFinishPatience);
    if (told.ok()) {
      dump_->WaitUntilEnded(kFinishPatience).status().IgnoreError();
    } else {
      LOG(Warning) << "criu dump: " << told.message();
    }
    leash_->Reset();
    leash_.reset();
  }
  return tree_->Kill(kKillPatience);
}

absl::Status HostSourceWork::GoOnSpooling() {
  if (spooling_ == nullptr) {
    spooling_ =
        std::make_unique<Spooling>(*pages_, *spool_, [this](absl::Status done) {
          absl::MutexLock lock(&mu_);
          spooled_ = std::move(done);
        });
  }
  std::optional<absl::Status> spooled;
  {
    absl::MutexLock lock(&mu_);
    spooled = std::exchange(spooled_, std::nullopt);
  }
  if (!spooled.has_value()) return absl::OkStatus();
  spooling_.reset();
  return *spooled;
}

absl::Status HostSourceWork::SpoolAll() {
  if (spool_ == nullptr) {
    // The images are lost, and the tree with them: see Adopt().
    RETURN_IF_ERROR(AwaitDrained());
    return EndTree();
  }
  RETURN_IF_ERROR(StartServing());
  absl::Status failed;
  const absl::Duration start =
      MonotonicNow() + absl::Milliseconds(plan_.spool_after_ms());
  while (!spool_->complete()) {
    KeepFenced();
    if (WantsSpool() && start <= MonotonicNow()) failed = GoOnSpooling();
    ASSIGN_OR_RETURN(const bool is_drained, IsDrained());
    if (is_drained) break;
    RETURN_IF_ERROR(failed);
    if (!spool_->complete()) RETURN_IF_ERROR(Pause(kLook));
  }
  spooling_.reset();
  if (plan_.keep_in_memory() && note_.spool() < 0) {
    // Nobody's but the guard's.
    note_.set_spool(fcntl(spool_->fd(), F_DUPFD_CLOEXEC, 3));
  }
  RETURN_IF_ERROR(Note());
  // Whoever goes on after this host was down needs them to read the spool by.
  RETURN_IF_ERROR(SyncImages(place_.directory));
  return EndTree();
}

absl::Status HostSourceWork::AwaitDrained() {
  RETURN_IF_ERROR(StartServing());
  while (true) {
    ASSIGN_OR_RETURN(const bool is_drained, IsDrained());
    if (is_drained) return absl::OkStatus();
    RETURN_IF_ERROR(Pause(kLook));
  }
}

absl::Status HostSourceWork::LetGo() {
  if (leash_.has_value()) leash_->Reset();
  leash_.reset();
  if (dump_.has_value()) dump_->WaitOrKill();
  dump_.reset();
  if (note_.fenced() && tree_ != nullptr) {
    // CRIU has done that, unless it was killed.
    const absl::Status repaired = tree_->EndRepairOfSockets();
    if (!repaired.ok()) LOG(Error) << repaired.message();
    // Before it runs again, whether or not this works.
    const absl::Status hook = RunHook(plan_.hook(), "rollback", plan_.id());
    if (!hook.ok()) LOG(Error) << hook.message();
    RETURN_IF_ERROR(tree_->Unfence());
    note_.set_fenced(false);
  }
  note_.set_leash(-1);
  if (const absl::Status noted = Note(); !noted.ok()) {
    // All is done that it was for.
    LOG(Warning) << "migration " << plan_.id() << ": " << noted.message();
  }
  return absl::OkStatus();
}

void HostSourceWork::Describe(v1::MigrationProgress* progress) {
  absl::MutexLock lock(&mu_);
  progress->set_pages_total(page_count_.raw());
  if (spool_to_tell_of_ != nullptr) {
    progress->set_pages_spooled(spool_to_tell_of_->has().raw());
  }
  *progress->mutable_destination() = destination_;
}

}  // namespace pagelift
