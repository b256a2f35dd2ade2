#include "lib/process/criu_log.h"

#include <cstddef>
#include <deque>
#include <fstream>

#include "absl/strings/match.h"
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

}  // namespace pagelift
