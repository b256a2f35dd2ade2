#ifndef PAGELIFT_LIB_BASE_COMMAND_LINE_H_
#define PAGELIFT_LIB_BASE_COMMAND_LINE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace pagelift {

// Where an argument goes. A vector takes every one, the others the last one; a
// function judges for itself, and is given "" for a flag and for an optional
// value that is not there.
using ArgumentTarget =
    std::variant<bool*, int*, uint64_t*, absl::Duration*, std::string*,
                 std::vector<std::string>*,
                 std::function<absl::Status(const std::string& value)>>;

// `metavar` says what the option takes: "DIR" a value, "[LEVEL]" perhaps one
// (-v, -v4, --verbosity=4, but never the next word), "" none.
struct Option {
  std::string name;  // Without the dashes.
  char letter;       // 0: long form only.
  std::string metavar;
  std::string help;
  ArgumentTarget target;
};

// "DIR" one, "[DIR]" none or one, "DIR..." one or more, "[DIR]..." any number.
struct Positional {
  std::string metavar;
  std::string help;
  ArgumentTarget target;
};

// What a program, or one of its subcommands, takes on its command line; parsed
// by getopt_long(3), with a generated --help.
//
//   ServerOptions options;
//   CommandLine line("pagelift-server", "Serves the pages of checkpoints.");
//   line.Add({"listen", 'l', "HOST:PORT", "where to listen", &options.listen});
//   line.Add({"image", 0, "NAME=DIR", "a checkpoint", &options.images});
//   if (std::optional<int> exit = line.ParseOrExitCode(argc, argv)) return
//   *exit;
//
// Targets hold the defaults, and outlive Parse(). Thread-compatible; parsing is
// serialised process-wide, as getopt keeps its state in globals.
class CommandLine {
 public:
  enum class Outcome { kRun, kHelp };
  static constexpr int kUsageExitCode = 2;

  // `program` as the user typed it, e.g. "pagelift restore".
  CommandLine(std::string program, std::string summary);

  CommandLine& Add(Option option);
  // REQUIRES: only the last one repeats, and none that must be there follows
  // one that need not.
  CommandLine& AddPositional(Positional positional);
  // What follows `--` goes here; without it, those are ordinary arguments.
  CommandLine& PassThrough(std::string metavar, std::string help,
                           std::vector<std::string>* target);
  // Lines that end the help, as they are.
  CommandLine& Examples(std::string text);

  // kInvalidArgument names the argument that is wrong. argv[0] is skipped; argv
  // is left as it is.
  absl::StatusOr<Outcome> Parse(int argc, const char* const argv[]);

  // Empty: go on. Otherwise main()'s result, after the help went to stdout or
  // the complaint to stderr.
  std::optional<int> ParseOrExitCode(int argc, const char* const argv[]);

  // For what is wrong with the arguments taken together: prints
  // "PROGRAM: message" and where to find help. Returns kUsageExitCode.
  int Complain(absl::string_view message) const;

  std::string Help() const;

 private:
  absl::Status Scan(std::vector<char*>& argv, bool* help,
                    std::vector<std::string>* words);
  absl::Status ScanError(int code, const std::vector<char*>& argv) const;
  absl::Status TakeWords(const std::vector<std::string>& words);
  std::string UsageLine() const;

  const std::string program_;
  const std::string summary_;
  std::string examples_;
  std::vector<Option> options_;
  std::vector<Positional> positionals_;
  std::optional<Positional> rest_;
};

// A target for `-v`, `-vvv`, `-v4`: each v counts, a number is the level
// itself.
ArgumentTarget VerbosityInto(int* level);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_COMMAND_LINE_H_
