#include "client/cli/criu_restore.h"

#include <unistd.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/process/child_program.h"
#include "lib/process/criu_log.h"

namespace pagelift {
namespace {

constexpr char kLogName[] = "restore.log";

// What criu's log has to say, and what can be done about it.
std::string Explanation(const std::string& criu, const std::string& log_path) {
  const std::string advice = absl::StrCat(
      "; if this criu does not fit the kernel (`", criu,
      " check --feature uffd-noncoop`), tools/install_deps installs one that "
      "does");
  const std::optional<std::string> errors = CriuComplaints(log_path);
  if (!errors.has_value()) {
    return absl::StrCat(" and wrote no ", kLogName, advice);
  }
  if (errors->empty()) {
    return absl::StrCat("; its log, ", log_path, ", has no error", advice);
  }
  return absl::StrCat(": ", *errors, "; its log: ", log_path, advice);
}

}  // namespace

absl::Status RunCriuRestore(const CriuRestore& restore) {
  const std::string log = absl::StrCat(restore.work_dir, "/", kLogName);
  // Of an earlier run, it would explain nothing.
  unlink(log.c_str());
  std::vector<std::string> argv = {
      restore.criu,   "restore",      "--lazy-pages", "--restore-detached",
      "--images-dir", restore.images, "--work-dir",   restore.work_dir,
      "--log-file",   kLogName};
  argv.insert(argv.end(), restore.options.begin(), restore.options.end());
  ASSIGN_OR_RETURN(int exit_code, RunProgram({argv}));
  if (exit_code == 0) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("criu restore failed (exit code ",
                                         exit_code, ")",
                                         Explanation(restore.criu, log)));
}

}  // namespace pagelift
