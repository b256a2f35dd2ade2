#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/background.h"
#include "client/cli/commands.h"
#include "client/cli/prefetch_option.h"
#include "daemon/pager/session/session.h"
#include "daemon/pager/source/source_opener.h"
#include "lib/base/command_line.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/image/checkpoint_image.h"
#include "lib/prefetch/prefetch_mode.h"
#include "lib/process/service.h"
#include "lib/source/image_description.h"
#include "lib/source/page_source.h"
#include "lib/transport/criu_page_server_source.h"
#include "lib/transport/grpc_lifetime.h"

// `criu lazy-pages`, by the same command line: one restore, in this process,
// which exits when its tasks have all their memory.
namespace pagelift {
namespace {

constexpr absl::Duration kConnectDeadline = absl::Seconds(10);

struct LazyPagesOptions {
  std::string images;
  bool images_named = false;
  std::string work_dir;
  std::string log_file;
  int verbosity = 2;
  bool daemon = false;
  std::string pid_file;
  int status_fd = -1;
  bool page_server = false;
  std::string address;
  int port = 0;
  std::string source;
  PrefetchMode prefetch;
};

// Relative names are relative to the work directory, as CRIU has it.
std::string InWorkDir(const LazyPagesOptions& options,
                      const std::string& name) {
  if (name.empty() || absl::StartsWith(name, "/")) return name;
  return absl::StrCat(options.work_dir, "/", name);
}

LogLevel LevelOf(int verbosity) {
  if (verbosity >= 4) return LogLevel::kDebug;
  if (verbosity == 3) return LogLevel::kInfo;
  return verbosity == 2 ? LogLevel::kWarning : LogLevel::kError;
}

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

absl::Status WritePidFile(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return SysError("open pid file ", path);
  const std::string pid = absl::StrCat(getpid());
  if (write(file.get(), pid.data(), pid.size()) !=
      static_cast<ssize_t>(pid.size())) {
    return SysError("write pid file ", path);
  }
  return absl::OkStatus();
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

absl::Status Serve(const LazyPagesOptions& options, StopSignals& signals,
                   std::optional<Background>& background) {
  KeepGrpcToTheEnd();
  ASSIGN_OR_RETURN(OpenedSource opened, OpenLazyPagesSource(options));
  Session::Options session_options;
  session_options.work_dir = options.work_dir;
  session_options.prefetch = options.prefetch;
  ASSIGN_OR_RETURN(
      std::unique_ptr<Session> session,
      Session::Open(std::move(session_options), std::move(opened.source)));
  RETURN_IF_ERROR(WritePidFile(InWorkDir(options, options.pid_file)));
  if (background.has_value()) RETURN_IF_ERROR(background->Ready());
  RETURN_IF_ERROR(TellReady(options.status_fd, '\0'));
  std::thread obeying([&] { ObeySignals(signals, *session); });
  session->WaitUntilEnded();
  obeying.join();
  const SessionSnapshot end = session->Snapshot();
  if (end.state != SessionState::kComplete || session->stats().pages_lost > 0) {
    return absl::AbortedError(
        options.page_server ? end.trouble
                            : absl::StrCat(options.source, ": ", end.trouble));
  }
  // Only now may a parked dump let go of the process that it holds.
  return opened.transaction == nullptr ? absl::OkStatus()
                                       : opened.transaction->Finish();
}

int RunLazyPages(LazyPagesOptions options) {
  options.images_named = !options.images.empty();
  if (!options.images_named) options.images = ".";
  if (options.work_dir.empty()) options.work_dir = options.images;
  if (options.source.empty()) {
    options.source = absl::StrCat("criu:", options.images);
  }
  std::optional<Background> background;
  if (options.daemon) {
    absl::StatusOr<Background> detached = Background::Detach();
    if (!detached.ok()) {
      fprintf(stderr, "pagelift lazy-pages: %s\n",
              detached.status().ToString().c_str());
      return 1;
    }
    background.emplace(*std::move(detached));
  }
  return RunService(
      "pagelift lazy-pages",
      {InWorkDir(options, options.log_file), LevelOf(options.verbosity)},
      [&](StopSignals& signals) {
        return Serve(options, signals, background);
      });
}

}  // namespace

int LazyPagesCommand(int argc, const char* const argv[]) {
  LazyPagesOptions options;
  CommandLine line("pagelift lazy-pages",
                   "Serves the memory of one `criu restore --lazy-pages`, in "
                   "place of `criu lazy-pages`.");
  line.Add({"images-dir", 'D', "DIR", "the checkpoint; default: .",
            &options.images});
  line.Add({"work-dir", 'W', "DIR",
            "where the socket, the log and the pid file go; default: the "
            "checkpoint's directory",
            &options.work_dir});
  line.Add({"log-file", 'o', "FILE", "append the log to FILE; default: stderr",
            &options.log_file});
  line.Add({"verbosity", 'v', "[LEVEL]",
            "1 errors, 2 warnings (default), 3 information, 4 everything",
            VerbosityInto(&options.verbosity)});
  line.Add({"daemon", 'd', "",
            "go on in the background once the socket listens",
            &options.daemon});
  line.Add({"pidfile", 0, "FILE", "write our pid to FILE", &options.pid_file});
  line.Add({"status-fd", 0, "N",
            "write a zero byte to this descriptor once the socket listens",
            &options.status_fd});
  line.Add({"page-server", 0, "",
            "take the pages from a `criu dump --lazy-pages` or `criu "
            "page-server --lazy-pages` at --address and --port",
            &options.page_server});
  line.Add(
      {"address", 0, "ADDRESS", "of CRIU's page server", &options.address});
  line.Add({"port", 0, "PORT", "of CRIU's page server", &options.port});
  line.Add({"source", 0, "URL",
            "take the pages from criu:DIR or grpc://HOST:PORT/NAME instead",
            &options.source});
  line.Add({"prefetch", 0, "MODE",
            "how much of what nobody waits for is brought: full (default), "
            "idle, rate=N in MiB a second, off",
            PrefetchModeInto(&options.prefetch)});
  line.Examples(
      "Exit codes: 0 all tasks have all their memory, 1 failed, 2 wrong "
      "usage.\nSIGTERM ends it only while no task depends on it.\n\n"
      "Examples:\n"
      "  pagelift lazy-pages -D /ckpt &\n"
      "  pagelift lazy-pages -D /ckpt -W /job --source "
      "grpc://10.0.0.2:7077/redis -v4 -o lp.log --daemon\n"
      "  pagelift lazy-pages -D /ckpt --page-server --address 10.0.0.2 --port "
      "27000\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  if (options.page_server &&
      (options.address.empty() || options.port < 1 || options.port > 65535)) {
    return line.Complain("--page-server needs --address and --port");
  }
  if (options.page_server && !options.source.empty()) {
    return line.Complain("--page-server and --source exclude each other");
  }
  return RunLazyPages(std::move(options));
}

}  // namespace pagelift
