#include "daemon/migration/criu/criu_config.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// Of which a file has only the long ones.
constexpr std::pair<absl::string_view, absl::string_view> kShort[] = {
    {"-j", "shell-job"},
    {"-l", "file-locks"},
    {"-x", "ext-unix-sk"},
};

// With which it would not be told what to do, or not be heard of.
constexpr absl::string_view kRefused[] = {
    "action-script",     "config",  "daemon",    "images-dir", "log-file",
    "no-default-config", "pidfile", "status-fd", "tree",       "work-dir"};
// With which it would not be parked, or go on.
constexpr absl::string_view kRefusedInDumps[] = {
    "address",     "lazy-pages", "leave-running", "leave-stopped",
    "page-server", "port",       "ps-socket",     "tls"};
// With which it would not be held.
constexpr absl::string_view kRefusedInRestores[] = {
    "exec-cmd", "leave-stopped", "restore-detached", "restore-sibling"};

bool IsAmong(absl::string_view name, absl::Span<const absl::string_view> all) {
  return std::find(all.begin(), all.end(), name) != all.end();
}

bool IsRefused(CriuCommand command, absl::string_view name) {
  return IsAmong(name, kRefused) ||
         (command == CriuCommand::kDump ? IsAmong(name, kRefusedInDumps)
                                        : IsAmong(name, kRefusedInRestores));
}

absl::Status Refused(CriuCommand command, absl::string_view option,
                     absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("a migration cannot give ", option, " to criu ",
                   command == CriuCommand::kDump ? "dump" : "restore", why));
}

// A word as the file has it: in quotes, whatever is in it.
std::string Quoted(absl::string_view value) {
  std::string quoted = "\"";
  for (char c : value) {
    if (c == '"') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

absl::StatusOr<std::string> LongName(CriuCommand command,
                                     absl::string_view option) {
  for (const auto& [name, long_name] : kShort) {
    if (option == name) return std::string(long_name);
  }
  if (absl::ConsumePrefix(&option, "-v")) {
    const bool has_level =
        option.size() == 1 && option[0] >= '0' && option[0] <= '4';
    if (option.empty() || has_level) {
      return absl::StrCat("verbosity=", has_level ? option : "4");
    }
  }
  return Refused(command, option, ": its long name is wanted");
}

}  // namespace

absl::StatusOr<std::string> CriuConfig(
    CriuCommand command, const std::vector<std::string>& options) {
  std::string config;
  bool wants_value = false;  // The one before may have one.
  for (absl::string_view option : options) {
    if (absl::StrContains(option, '\n')) {
      return Refused(command, option, ": it has a line break");
    }
    if (!absl::StartsWith(option, "-")) {
      if (!wants_value) return Refused(command, option, ": it is no option");
      absl::StrAppend(&config, " ", Quoted(option));
      wants_value = false;
      continue;
    }
    std::string word(option);
    if (!absl::ConsumePrefix(&option, "--")) {
      ASSIGN_OR_RETURN(word, LongName(command, option));
      option = word;
    }
    const size_t equals = option.find('=');
    const absl::string_view name = option.substr(0, equals);
    if (IsRefused(command, name)) {
      return Refused(command, absl::StrCat("--", name), "");
    }
    absl::StrAppend(&config, config.empty() ? "" : "\n", name);
    wants_value = equals == absl::string_view::npos;
    if (!wants_value) {
      absl::StrAppend(&config, " ", Quoted(option.substr(equals + 1)));
    }
  }
  return config.empty() ? config : config + "\n";
}

}  // namespace pagelift
