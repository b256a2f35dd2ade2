#include "client/cli/criu_restore.h"

#include <unistd.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/process/child_program.h"
#include "lib/process/criu_log.h"

namespace pagelift {
namespace {

constexpr char kLogName[] = "restore.log";

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
  return absl::AbortedError(
      absl::StrCat("criu restore failed (exit code ", exit_code, ")",
                   ExplainCriuFailure(restore.criu, log)));
}

}  // namespace pagelift
