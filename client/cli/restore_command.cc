#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/criu_restore.h"
#include "client/cli/daemon_client.h"
#include "client/cli/phase_line.h"
#include "client/cli/restore_options.h"
#include "client/cli/session_report.h"
#include "client/cli/session_wait.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/image/checkpoint_image.h"
#include "lib/image/restore_view.h"
#include "lib/process/find_program.h"
#include "lib/transport/source_url.h"

namespace pagelift {
namespace {

// A directory of ours that is removed with all that is in it, unless it is
// kept.
class ScratchDirectory {
 public:
  static absl::StatusOr<ScratchDirectory> Make() {
    std::string path = "/tmp/pagelift-restore.XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return SysError("make ", path);
    return ScratchDirectory(std::move(path));
  }
  ScratchDirectory(ScratchDirectory&& other) noexcept
      : path_(std::exchange(other.path_, "")) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  void Keep() { path_.clear(); }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) {
    return SysError("directory ", path);
  }
  return std::string(resolved);
}

// What the command needs before anything is started.
struct Plan {
  std::string criu;
  std::string images;  // For criu: perhaps a view of them.
  std::string work_dir;
  std::string source;
  std::string content_id;
  std::optional<ScratchDirectory> scratch;
};

// Where progress is shown; -1: nowhere.
int Terminal(const RestoreOptions& options) {
  return !options.json && isatty(STDERR_FILENO) ? STDERR_FILENO : -1;
}

absl::StatusOr<Plan> MakePlan(const RestoreOptions& options) {
  const PhaseLine phase(Terminal(options), "reading the checkpoint");
  Plan plan;
  ASSIGN_OR_RETURN(plan.criu, FindCriu(options.criu));
  ASSIGN_OR_RETURN(plan.images, AbsolutePath(options.images));
  plan.source = options.source;
  if (plan.source.empty()) plan.source = absl::StrCat("criu:", plan.images);
  ASSIGN_OR_RETURN(SourceUrl url, SourceUrl::Parse(plan.source));
  if (url.kind == SourceUrl::Kind::kCriuDirectory) {
    // The daemon has a working directory of its own.
    ASSIGN_OR_RETURN(std::string directory, AbsolutePath(url.directory));
    plan.source = absl::StrCat("criu:", directory);
  }
  // Pages may be with the server alone; the layout must be here, and be the
  // same.
  ASSIGN_OR_RETURN(std::shared_ptr<const CheckpointImage> image,
                   CheckpointImage::Open(plan.images, OpenMode::kLayoutOnly));
  plan.content_id = image->description().content_id;
  const bool needs_view = NeedsRestoreView(*image);
  if (options.work_dir.empty() || needs_view) {
    ASSIGN_OR_RETURN(ScratchDirectory scratch, ScratchDirectory::Make());
    plan.scratch.emplace(std::move(scratch));
  }
  if (needs_view) {
    const std::string view = absl::StrCat(plan.scratch->path(), "/images");
    RETURN_IF_ERROR(WriteRestoreView(plan.images, view));
    plan.images = view;
  }
  plan.work_dir = options.work_dir;
  if (plan.work_dir.empty()) {
    plan.work_dir = absl::StrCat(plan.scratch->path(), "/work");
    if (mkdir(plan.work_dir.c_str(), 0700) != 0) {
      return SysError("make ", plan.work_dir);
    }
  } else {
    ASSIGN_OR_RETURN(plan.work_dir, AbsolutePath(plan.work_dir));
  }
  return plan;
}

struct Restored {
  v1::SessionStatus status;
  uint64_t time_to_running_ms = 0;
};

absl::StatusOr<Restored> Restore(const RestoreOptions& options, Plan& plan) {
  const int terminal = Terminal(options);
  std::optional<PhaseLine> phase;
  phase.emplace(terminal, "asking for pageliftd");
  ASSIGN_OR_RETURN(DaemonClient client,
                   DaemonClient::ConnectOrStart(
                       options.control, options.record ? KeepWorkingSets::kYes
                                                       : KeepWorkingSets::kNo));
  const absl::Time started = absl::Now();
  v1::OpenSessionRequest request;
  request.set_source(plan.source);
  request.set_work_dir(plan.work_dir);
  request.set_expected_content_id(plan.content_id);
  request.set_prefetch(ToString(options.prefetch));
  request.set_record(options.record);
  request.set_when_unavailable(ToString(options.when_unavailable));
  request.set_unavailable_after_ms(static_cast<uint64_t>(
      absl::ToInt64Milliseconds(options.unavailable_after)));
  phase.emplace(terminal, absl::StrCat("opening ", plan.source));
  ASSIGN_OR_RETURN(v1::OpenSessionResponse opened, client.OpenSession(request));
  phase.emplace(terminal, "criu restores");
  absl::Status run = RunCriuRestore(
      {plan.criu, plan.images, plan.work_dir, options.criu_options});
  phase.reset();
  Restored restored;
  restored.time_to_running_ms =
      static_cast<uint64_t>(absl::ToInt64Milliseconds(absl::Now() - started));
  if (!run.ok()) {
    // What the pager had against it explains more than criu's broken pipe.
    absl::StatusOr<v1::SessionStatus> status =
        client.GetSession(opened.session());
    absl::Status ignored = client.CancelSession(opened.session());
    if (plan.scratch.has_value()) plan.scratch->Keep();
    if (status.ok() && !status->trouble().empty()) {
      return Annotate(run, absl::StrCat("the pager: ", plan.source, ": ",
                                        status->trouble()));
    }
    return run;
  }
  if (!options.json) {
    fprintf(stderr, "running after %lu ms (session %s)\n",
            static_cast<unsigned long>(restored.time_to_running_ms),
            opened.session().c_str());
  }
  if (options.wait) {
    ASSIGN_OR_RETURN(restored.status,
                     WaitUntilEnded(client, opened.session(),
                                    absl::InfiniteFuture(), terminal >= 0));
  } else {
    ASSIGN_OR_RETURN(restored.status, client.GetSession(opened.session()));
  }
  return restored;
}

int RunRestore(const RestoreOptions& options) {
  absl::StatusOr<Plan> plan = MakePlan(options);
  absl::StatusOr<Restored> restored =
      plan.ok() ? Restore(options, *plan) : plan.status();
  if (!restored.ok()) {
    fprintf(stderr, "pagelift restore: %s\n",
            std::string(restored.status().message()).c_str());
    return 1;
  }
  if (options.json) {
    printf("%s\n",
           SessionJson(restored->status, restored->time_to_running_ms).c_str());
  } else if (options.wait) {
    fputs(SessionSummary(restored->status).c_str(), stdout);
  }
  if (restored->status.pages_lost() > 0) {
    fprintf(stderr,
            "pagelift restore: %s: %lu pages are lost; whoever touches them "
            "gets SIGBUS. %s\n",
            restored->status.source().c_str(),
            static_cast<unsigned long>(restored->status.pages_lost()),
            restored->status.trouble().c_str());
    return 1;
  }
  return restored->status.state() == "failed" ? 1 : 0;
}

}  // namespace

int RestoreCommand(int argc, const char* const argv[]) {
  RestoreOptions options;
  if (std::optional<int> exit_code =
          ParseRestoreOptions(argc, argv, &options)) {
    return *exit_code;
  }
  return RunRestore(options);
}

}  // namespace pagelift
