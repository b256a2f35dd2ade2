#include "lib/process/criu_log.h"

#include <cstddef>
#include <deque>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace pagelift {
namespace {

constexpr size_t kErrorsQuoted = 3;

}  // namespace

std::optional<std::string> CriuComplaints(const std::string& log_path) {
  std::ifstream log(log_path);
  if (!log) return std::nullopt;
  std::deque<std::string> errors;
  for (std::string line; std::getline(log, line);) {
    if (!absl::StrContains(line, "Error (")) continue;
    errors.push_back(line);
    if (errors.size() > kErrorsQuoted) errors.pop_front();
  }
  return absl::StrJoin(errors, "; ");
}

std::string ExplainCriuFailure(const std::string& criu,
                               const std::string& log_path) {
  const std::string advice = absl::StrCat(
      "; if this criu does not fit the kernel (`", criu,
      " check --feature uffd-noncoop`), tools/install_deps installs one that "
      "does");
  const std::optional<std::string> errors = CriuComplaints(log_path);
  if (!errors.has_value()) {
    return absl::StrCat(" and wrote no ",
                        log_path.substr(log_path.rfind('/') + 1), advice);
  }
  if (errors->empty()) {
    return absl::StrCat("; its log, ", log_path, ", has no error", advice);
  }
  return absl::StrCat(": ", *errors, "; its log: ", log_path, advice);
}

}  // namespace pagelift
