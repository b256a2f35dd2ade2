#include "lib/base/command_line.h"

#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

constexpr size_t kHelpColumn = 30;
constexpr size_t kLineWidth = 79;

// getopt_long's codes: characters below, kFirstLong + index for
// options_[index].
constexpr int kWord = 1;
constexpr int kFirstLong = 256;
constexpr int kHelpCode = kFirstLong - 1;

// optind and its friends.
ABSL_CONST_INIT absl::Mutex getopt_mu(absl::kConstInit);

bool IsOptional(absl::string_view metavar) {
  return absl::StartsWith(metavar, "[");
}

bool Repeats(absl::string_view metavar) {
  return absl::EndsWith(metavar, "...");
}

absl::Status Wrong(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

struct Store {
  const std::string& value;

  absl::Status operator()(bool* target) const {
    *target = true;
    return absl::OkStatus();
  }
  absl::Status operator()(int* target) const {
    return absl::SimpleAtoi(value, target)
               ? absl::OkStatus()
               : Wrong(absl::StrCat("'", value, "' is not a number"));
  }
  absl::Status operator()(uint64_t* target) const {
    return absl::SimpleAtoi(value, target)
               ? absl::OkStatus()
               : Wrong(absl::StrCat("'", value, "' is not a number from 0 up"));
  }
  absl::Status operator()(absl::Duration* target) const {
    return absl::ParseDuration(value, target)
               ? absl::OkStatus()
               : Wrong(absl::StrCat("'", value,
                                    "' is not a duration like 1.5s or 2m"));
  }
  absl::Status operator()(std::string* target) const {
    *target = value;
    return absl::OkStatus();
  }
  absl::Status operator()(std::vector<std::string>* target) const {
    target->push_back(value);
    return absl::OkStatus();
  }
  absl::Status operator()(
      const std::function<absl::Status(const std::string&)>& target) const {
    return target(value);
  }
};

absl::Status StoreAs(absl::string_view name, const std::string& value,
                     const ArgumentTarget& target) {
  absl::Status status = std::visit(Store{value}, target);
  if (status.ok()) return status;
  return Wrong(absl::StrCat(name, ": ", status.message()));
}

int HasArg(const Option& option) {
  if (option.metavar.empty()) return no_argument;
  return IsOptional(option.metavar) ? optional_argument : required_argument;
}

// "  -l, --listen=HOST:PORT", "  -v, --verbosity[=LEVEL]".
std::string Synopsis(const Option& option) {
  std::string text =
      option.letter == 0
          ? std::string(6, ' ')
          : absl::StrCat("  -", std::string(1, option.letter), ", ");
  absl::StrAppend(&text, "--", option.name);
  if (IsOptional(option.metavar)) {
    absl::StrAppend(&text, "[=", option.metavar.substr(1));
  } else if (!option.metavar.empty()) {
    absl::StrAppend(&text, "=", option.metavar);
  }
  return text;
}

// `synopsis`, and `help` broken into lines in its own column.
std::string Entry(std::string synopsis, absl::string_view help) {
  std::string out = std::move(synopsis);
  size_t column = out.size();
  bool first = true;
  for (absl::string_view word : absl::StrSplit(help, ' ', absl::SkipEmpty())) {
    const bool breaks = first ? column + 2 > kHelpColumn
                              : column + 1 + word.size() > kLineWidth;
    if (breaks) {
      out += '\n';
      column = 0;
    }
    if (first || breaks) {
      out.append(kHelpColumn - column, ' ');
      column = kHelpColumn;
    } else {
      out += ' ';
      ++column;
    }
    absl::StrAppend(&out, word);
    column += word.size();
    first = false;
  }
  return out + "\n";
}

}  // namespace

CommandLine::CommandLine(std::string program, std::string summary)
    : program_(std::move(program)), summary_(std::move(summary)) {}

CommandLine& CommandLine::Add(Option option) {
  CHECK(std::holds_alternative<bool*>(option.target)
            ? option.metavar.empty()
            : !option.metavar.empty() ||
                  std::holds_alternative<
                      std::function<absl::Status(const std::string&)>>(
                      option.target))
      << "--" << option.name << ": a flag has no metavar, a value has one";
  options_.push_back(std::move(option));
  return *this;
}

CommandLine& CommandLine::AddPositional(Positional positional) {
  CHECK(positionals_.empty() || (!Repeats(positionals_.back().metavar) &&
                                 (!IsOptional(positionals_.back().metavar) ||
                                  IsOptional(positional.metavar))))
      << positional.metavar << " cannot follow " << positionals_.back().metavar;
  positionals_.push_back(std::move(positional));
  return *this;
}

CommandLine& CommandLine::PassThrough(std::string metavar, std::string help,
                                      std::vector<std::string>* target) {
  rest_ = {std::move(metavar), std::move(help), target};
  return *this;
}

CommandLine& CommandLine::Examples(std::string text) {
  examples_ = std::move(text);
  return *this;
}

absl::StatusOr<CommandLine::Outcome> CommandLine::Parse(
    int argc, const char* const argv[]) {
  // getopt wants strings that it may reorder; it does not change them.
  std::vector<char*> copy;
  for (int i = 0; i < argc; ++i) copy.push_back(const_cast<char*>(argv[i]));
  copy.push_back(nullptr);
  bool help = false;
  std::vector<std::string> words;
  RETURN_IF_ERROR(Scan(copy, &help, &words));
  if (help) return Outcome::kHelp;
  RETURN_IF_ERROR(TakeWords(words));
  return Outcome::kRun;
}

absl::Status CommandLine::Scan(std::vector<char*>& argv, bool* help,
                               std::vector<std::string>* words) {
  // '-': words come in their order, whatever POSIXLY_CORRECT says. ':': a
  // missing value is told from an unknown option.
  std::string letters = "-:";
  std::vector<option> table;
  bool h_is_help = true;
  for (size_t i = 0; i < options_.size(); ++i) {
    const Option& entry = options_[i];
    table.push_back({entry.name.c_str(), HasArg(entry), nullptr,
                     kFirstLong + static_cast<int>(i)});
    if (entry.letter == 0) continue;
    letters += entry.letter;
    letters.append(static_cast<size_t>(HasArg(entry)), ':');
    if (entry.letter == 'h') h_is_help = false;
  }
  table.push_back({"help", no_argument, nullptr, kHelpCode});
  table.push_back({nullptr, 0, nullptr, 0});
  if (h_is_help) letters += 'h';

  absl::MutexLock lock(&getopt_mu);
  optind = 0;  // glibc: begin anew, whatever was parsed before.
  opterr = 0;
  const int argc = static_cast<int>(argv.size()) - 1;
  int code;
  while ((code = getopt_long(argc, argv.data(), letters.c_str(), table.data(),
                             nullptr)) != -1) {
    const std::string value = optarg == nullptr ? "" : optarg;
    if (code == kWord) {
      words->push_back(value);
      continue;
    }
    if (code == '?' || code == ':') return ScanError(code, argv);
    if (code == kHelpCode || (code == 'h' && h_is_help)) {
      *help = true;
      return absl::OkStatus();
    }
    auto entry = code >= kFirstLong
                     ? options_.begin() + (code - kFirstLong)
                     : std::find_if(options_.begin(), options_.end(),
                                    [code](const Option& candidate) {
                                      return candidate.letter == code;
                                    });
    RETURN_IF_ERROR(
        StoreAs(absl::StrCat("--", entry->name), value, entry->target));
  }
  // Behind `--`.
  for (int i = optind; i < argc; ++i) {
    if (rest_.has_value()) {
      RETURN_IF_ERROR(StoreAs(rest_->metavar, argv[i], rest_->target));
    } else {
      words->push_back(argv[i]);
    }
  }
  return absl::OkStatus();
}

// REQUIRES: getopt's variables are as the error left them.
absl::Status CommandLine::ScanError(int code,
                                    const std::vector<char*>& argv) const {
  if (optopt == 0) {
    const std::string word = argv[static_cast<size_t>(optind) - 1];
    std::vector<std::string> parts = absl::StrSplit(word, '=');
    std::string candidates;
    for (const Option& entry : options_) {
      if (!absl::StartsWith(absl::StrCat("--", entry.name), parts[0])) continue;
      absl::StrAppend(&candidates, candidates.empty() ? "" : ", ", "--",
                      entry.name);
    }
    return Wrong(candidates.empty()
                     ? absl::StrCat("unknown option ", parts[0])
                     : absl::StrCat("option ", parts[0], " may mean each of ",
                                    candidates));
  }
  std::string name = "--help";
  std::string metavar;
  if (optopt >= kFirstLong) {
    const Option& entry = options_[static_cast<size_t>(optopt - kFirstLong)];
    name = absl::StrCat("--", entry.name);
    metavar = entry.metavar;
  } else if (optopt != kHelpCode) {
    name = absl::StrCat("-", std::string(1, static_cast<char>(optopt)));
    for (const Option& entry : options_) {
      if (entry.letter == optopt) metavar = entry.metavar;
    }
  }
  if (code == ':') {
    return Wrong(absl::StrCat("option ", name, " needs a value: ", metavar));
  }
  return Wrong(absl::StartsWith(name, "--")
                   ? absl::StrCat("option ", name, " takes no value")
                   : absl::StrCat("unknown option ", name));
}

absl::Status CommandLine::TakeWords(const std::vector<std::string>& words) {
  size_t next = 0;
  for (const Positional& positional : positionals_) {
    if (next == words.size()) {
      if (IsOptional(positional.metavar)) break;
      return Wrong(absl::StrCat("missing argument ", positional.metavar));
    }
    do {
      RETURN_IF_ERROR(
          StoreAs(positional.metavar, words[next++], positional.target));
    } while (Repeats(positional.metavar) && next < words.size());
  }
  if (next < words.size()) {
    return Wrong(absl::StrCat("unexpected argument '", words[next], "'"));
  }
  return absl::OkStatus();
}

std::optional<int> CommandLine::ParseOrExitCode(int argc,
                                                const char* const argv[]) {
  absl::StatusOr<Outcome> outcome = Parse(argc, argv);
  if (!outcome.ok()) return Complain(outcome.status().message());
  if (*outcome == Outcome::kRun) return std::nullopt;
  fputs(Help().c_str(), stdout);
  return 0;
}

int CommandLine::Complain(absl::string_view message) const {
  fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program_.c_str(),
          std::string(message).c_str(), program_.c_str());
  return kUsageExitCode;
}

std::string CommandLine::UsageLine() const {
  std::string usage = absl::StrCat("Usage: ", program_, " [OPTION]...");
  for (const Positional& positional : positionals_) {
    absl::StrAppend(&usage, " ", positional.metavar);
  }
  if (rest_.has_value()) absl::StrAppend(&usage, " [-- ", rest_->metavar, "]");
  return usage + "\n";
}

std::string CommandLine::Help() const {
  std::string help = absl::StrCat(UsageLine(), summary_, "\n");
  if (!positionals_.empty() || rest_.has_value()) {
    help += "\nArguments:\n";
    for (const Positional& positional : positionals_) {
      help += Entry(absl::StrCat("  ", positional.metavar), positional.help);
    }
    if (rest_.has_value()) {
      help += Entry(absl::StrCat("  ", rest_->metavar), rest_->help);
    }
  }
  help += "\nOptions:\n";
  bool h_is_help = true;
  for (const Option& entry : options_) {
    help += Entry(Synopsis(entry), entry.help);
    if (entry.letter == 'h') h_is_help = false;
  }
  help += Entry(h_is_help ? "  -h, --help" : "      --help", "print this text");
  if (!examples_.empty()) absl::StrAppend(&help, "\n", examples_);
  if (help.back() != '\n') help += '\n';
  return help;
}

ArgumentTarget VerbosityInto(int* level) {
  return [level](const std::string& value) {
    int number;
    if (absl::SimpleAtoi(value, &number)) {
      *level = number;
      return absl::OkStatus();
    }
    if (value.find_first_not_of('v') != std::string::npos) {
      return Wrong(absl::StrCat("'", value, "' is not a level"));
    }
    *level += static_cast<int>(value.size()) + 1;
    return absl::OkStatus();
  };
}

}  // namespace pagelift
