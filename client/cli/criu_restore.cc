#include "client/cli/criu_restore.h"

#include <deque>
#include <fstream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/programs.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

constexpr char kLogName[] = "restore.log";
constexpr size_t kErrorsQuoted = 3;

// The last complaints in a log of CRIU's.
std::string ErrorsIn(const std::string& path) {
  std::ifstream log(path);
  std::deque<std::string> errors;
  for (std::string line; std::getline(log, line);) {
    if (!absl::StrContains(line, "Error (")) continue;
    errors.push_back(line);
    if (errors.size() > kErrorsQuoted) errors.pop_front();
  }
  return absl::StrJoin(errors, "; ");
}

}  // namespace

absl::Status RunCriuRestore(const CriuRestore& restore) {
  std::vector<std::string> argv = {
      restore.criu,   "restore",      "--lazy-pages", "--restore-detached",
      "--images-dir", restore.images, "--work-dir",   restore.work_dir,
      "--log-file",   kLogName};
  argv.insert(argv.end(), restore.options.begin(), restore.options.end());
  ASSIGN_OR_RETURN(int exit_code, RunProgram(argv));
  if (exit_code == 0) return absl::OkStatus();
  const std::string log = absl::StrCat(restore.work_dir, "/", kLogName);
  std::string errors = ErrorsIn(log);
  return absl::AbortedError(
      absl::StrCat("criu restore failed (exit code ", exit_code, ")",
                   errors.empty() ? "" : ": ", errors, "; its log: ", log));
}

}  // namespace pagelift
