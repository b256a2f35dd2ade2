#include "daemon/pager/lazy_pages/serve_lazy_pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/pager/control/pulse.h"
#include "daemon/pager/journal/session_journals.h"
#include "daemon/pager/session/session.h"
#include "daemon/pager/source/source_opener.h"
#include "daemon/pager/worker_service.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/image/checkpoint_image.h"
#include "lib/process/background.h"
#include "lib/process/service.h"
#include "lib/source/gone_source.h"
#include "lib/source/image_description.h"
#include "lib/source/page_source.h"
#include "lib/transport/criu_page_server_source.h"
#include "lib/transport/source_url.h"

namespace pagelift {
namespace {

constexpr absl::Duration kConnectDeadline = absl::Seconds(10);
constexpr absl::Duration kBetweenReopens = absl::Milliseconds(500);
// A worker may stand still for so long; see Pulse.
constexpr absl::Duration kPatience = absl::Seconds(30);

// A source, and the part of it that must be told when all has arrived.
struct OpenedSource {
  std::unique_ptr<PageSource> source;
  CriuPageServerSource* transaction = nullptr;  // Owned by `source`, or null.
};

// What restore is to read decides what the source must have. A host that only
// serves need not have it, and says so by not naming it.
absl::Status CheckIsOfTheImages(const LazyPagesOptions& options,
                                const PageSource& source) {
  absl::StatusOr<std::shared_ptr<const CheckpointImage>> image =
      CheckpointImage::Open(options.images, OpenMode::kLayoutOnly);
  if (!image.ok()) {
    return options.images_named ? image.status() : absl::OkStatus();
  }
  return CheckSameCheckpoint(options.source, source.description(),
                             (*image)->description().content_id);
}

absl::StatusOr<OpenedSource> OpenLazyPagesSource(
    const LazyPagesOptions& options) {
  OpenedSource opened;
  if (!options.page_server) {
    ASSIGN_OR_RETURN(opened.source, OpenSource(options.source));
    RETURN_IF_ERROR(CheckIsOfTheImages(options, *opened.source));
    return opened;
  }
  ASSIGN_OR_RETURN(
      std::shared_ptr<const CheckpointImage> image,
      CheckpointImage::Open(options.images, OpenMode::kLayoutOnly));
  if (image->has_lazy_parent_pages()) {
    // CRIU would never answer for them, and hold the dumped processes for ever.
    return absl::FailedPreconditionError(absl::StrCat(
        options.images,
        " has parent images, whose pages CRIU's page server does not serve: "
        "dump without --prev-images-dir, or use pagelift-server and --source"));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<CriuPageServerSource> source,
                   CriuPageServerSource::Open(
                       options.address, static_cast<uint16_t>(options.port),
                       image->description(), kConnectDeadline));
  opened.transaction = source.get();
  opened.source = std::move(source);
  return opened;
}

// After a crash: the same checkpoint again, however long that takes. CRIU's
// page server takes one connection, which died with the worker before.
absl::StatusOr<OpenedSource> ReopenLazyPagesSource(
    const LazyPagesOptions& options, const SessionRecord& record) {
  OpenedSource opened;
  if (options.page_server) {
    ASSIGN_OR_RETURN(
        std::shared_ptr<const CheckpointImage> image,
        CheckpointImage::Open(options.images, OpenMode::kLayoutOnly));
    opened.source = std::make_unique<GoneSource>(
        image->description(),
        "this process has crashed, and CRIU's page server takes no second "
        "connection: what has not arrived never will");
    return opened;
  }
  while (true) {
    absl::StatusOr<std::unique_ptr<PageSource>> source =
        OpenSource(SourceUrl::LetIn(options.source));
    absl::Status usable = source.status();
    if (usable.ok()) {
      usable = CheckSameCheckpoint(options.source, (*source)->description(),
                                   record.content_id.Get());
    }
    if (usable.ok()) {
      opened.source = *std::move(source);
      return opened;
    }
    LOG(Warning) << "cannot be gone on with yet: " << usable.message();
    absl::SleepFor(kBetweenReopens);
  }
}

absl::Status WritePidFile(const std::string& path, pid_t process) {
  if (path.empty()) return absl::OkStatus();
  UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return SysError("open pid file ", path);
  const std::string pid = absl::StrCat(process);
  if (write(file.get(), pid.data(), pid.size()) !=
      static_cast<ssize_t>(pid.size())) {
    return SysError("write pid file ", path);
  }
  return absl::OkStatus();
}

// Once, whatever number of workers it takes.
absl::Status TellThatWeServe(const LazyPagesOptions& options,
                             HolderPage& page) {
  if (page.told_ready.exchange(1) != 0) return absl::OkStatus();
  RETURN_IF_ERROR(
      WritePidFile(options.InWorkDir(options.pid_file), page.holder));
  if (std::optional<Background> background = Background::Inherited()) {
    RETURN_IF_ERROR(background->Ready());
  }
  return TellReady(options.status_fd, '\0');
}

// Ends a session that nobody uses when a signal asks for it. One that has tasks
// goes on: they would lose their memory.
void ObeySignals(StopSignals& signals, Session& session) {
  while (!session.has_ended()) {
    if (!signals.Wait(absl::Milliseconds(200)).has_value()) continue;
    absl::Status status = session.Cancel();
    if (status.ok()) continue;
    LOG(Warning) << "not stopping: " << status.message();
    session.SetPrefetch({});  // So that it can soon.
  }
}

absl::StatusOr<std::unique_ptr<Session>> OpenSession(
    const LazyPagesOptions& options, Session::Options session_options,
    SessionJournals& journals, std::unique_ptr<PageSource> source) {
  ASSIGN_OR_RETURN(std::unique_ptr<SessionJournal> journal,
                   SessionJournal::Create(source->description().page_count));
  SessionRecord& record = journal->record();
  record.source.Set(options.source);
  record.work_dir.Set(options.work_dir);
  record.content_id.Set(source->description().content_id);
  RETURN_IF_ERROR(journals.Enter(*journal));
  const int descriptor = journal->fd();
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Open(
      std::move(session_options), std::move(source), std::move(journal));
  if (!session.ok()) journals.Forget(descriptor);
  return session;
}

absl::Status HowItEnded(const LazyPagesOptions& options, SessionState state,
                        uint64_t pages_lost, const std::string& trouble) {
  if (state == SessionState::kComplete && pages_lost == 0) {
    return absl::OkStatus();
  }
  return absl::AbortedError(options.page_server
                                ? trouble
                                : absl::StrCat(options.source, ": ", trouble));
}

absl::Status Serve(const LazyPagesOptions& options, HolderPage& page,
                   Journals& taken_over, StopSignals& signals) {
  SessionJournals journals(&page);
  Session::Options session_options;
  session_options.work_dir = options.work_dir;
  session_options.prefetch = options.prefetch;
  OpenedSource opened;
  std::unique_ptr<Session> session;
  if (taken_over.empty()) {
    ASSIGN_OR_RETURN(opened, OpenLazyPagesSource(options));
    ASSIGN_OR_RETURN(session, OpenSession(options, std::move(session_options),
                                          journals, std::move(opened.source)));
  } else {
    SessionRecord& record = taken_over.front()->record();
    if (record.ended_ns != 0) {  // Only its end was not told.
      const std::unique_ptr<SessionJournal> journal =
          std::move(taken_over.front());
      taken_over.clear();
      const SessionSnapshot end = SnapshotOf(*journal);
      const uint64_t lost = StatsOf(*journal).pages_lost.load();
      journals.Forget(journal->fd());
      return HowItEnded(options, end.state, lost, end.trouble);
    }
    ASSIGN_OR_RETURN(opened, ReopenLazyPagesSource(options, record));
    ASSIGN_OR_RETURN(session, Session::Resume(std::move(session_options),
                                              std::move(opened.source),
                                              std::move(taken_over.front())));
    taken_over.clear();
  }
  Pulse::Options pulse_options;
  pulse_options.last_moved = [&session] {
    return session->has_ended() ? MonotonicNow() : session->LastMoved();
  };
  pulse_options.summary = [] { return "serving one restore"; };
  pulse_options.patience = kPatience;
  ASSIGN_OR_RETURN(const std::unique_ptr<Pulse> pulse,
                   Pulse::Start(std::move(pulse_options), page));
  RETURN_IF_ERROR(TellThatWeServe(options, page));
  std::thread obeying([&] { ObeySignals(signals, *session); });
  session->WaitUntilEnded();
  obeying.join();
  const SessionSnapshot end = session->Snapshot();
  journals.Forget(session->journal().fd());
  RETURN_IF_ERROR(HowItEnded(options, end.state,
                             session->stats().pages_lost.load(), end.trouble));
  // Only now may a parked dump let go of the process that it holds.
  return opened.transaction == nullptr ? absl::OkStatus()
                                       : opened.transaction->Finish();
}

}  // namespace

int ServeLazyPages(const LazyPagesOptions& options, char* argv[],
                   HolderPage& page) {
  return RunWorkerService(
      "pagelift lazy-pages",
      {options.InWorkDir(options.log_file), options.log_level()},
      options.sandbox, argv, page,
      [&](Journals& journals, StopSignals& signals) {
        return Serve(options, page, journals, signals);
      });
}

}  // namespace pagelift
