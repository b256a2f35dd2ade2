#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/working_set_place.h"
#include "client/cli/working_set_report.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"
#include "lib/transport/source_flags.h"
#include "lib/transport/source_url.h"

namespace pagelift {
namespace {

constexpr char kShow[] = "pagelift workingset show";
constexpr char kDrop[] = "pagelift workingset drop";

constexpr char kUsage[] =
    "Usage: pagelift workingset show|drop SOURCE\n\n"
    "What earlier restores of a checkpoint touched first.\n\n"
    "Commands:\n"
    "  show        what is kept\n"
    "  drop        keep nothing\n\n"
    "`pagelift workingset COMMAND --help` tells more.\n\n"
    "Examples:\n"
    "  pagelift workingset show criu:/ckpt\n"
    "  pagelift workingset drop grpcs://10.0.0.2:7077/redis\n";

// What is to be told about a working set, on stdout.
// The command line's SOURCE, with its flags.
class Source {
 public:
  explicit Source(CommandLine& line) {
    flags_.AddTo(line);
    line.AddPositional({"SOURCE",
                        "criu:DIR or grpc[s]://HOST:PORT/NAME, as of a restore",
                        [this](const std::string& url) -> absl::Status {
                          url_ = url;
                          return SourceUrl::Parse(url).status();
                        }});
  }
  absl::StatusOr<SourceUrl> Parsed() const {
    return SourceUrl::Parse(flags_.AppliedTo(url_));
  }

 private:
  SourceFlags flags_;
  std::string url_;
};

absl::StatusOr<std::string> Show(const Source& source, bool json) {
  ASSIGN_OR_RETURN(const SourceUrl url, source.Parsed());
  ASSIGN_OR_RETURN(const WorkingSetPlace place, WorkingSetPlace::Open(url));
  ASSIGN_OR_RETURN(const WorkingSetSummary working_set, place.Summary());
  return json ? WorkingSetJson(working_set, place.content_id(),
                               place.image_pages())
              : WorkingSetTable(working_set, place.image_pages(),
                                absl::LocalTimeZone());
}

absl::StatusOr<std::string> Drop(const Source& source) {
  ASSIGN_OR_RETURN(const SourceUrl url, source.Parsed());
  ASSIGN_OR_RETURN(const WorkingSetPlace place, WorkingSetPlace::Open(url));
  ASSIGN_OR_RETURN(const WorkingSetSummary before, place.Summary());
  RETURN_IF_ERROR(place.Drop());
  return absl::StrCat("recordings dropped: ", before.recordings.size(), "\n");
}

// Prints what came of a command; main()'s result.
int Tell(const char* command, const absl::StatusOr<std::string>& said) {
  if (said.ok()) {
    fputs(said->c_str(), stdout);
    return 0;
  }
  fprintf(stderr, "%s: %s\n", command,
          std::string(said.status().message()).c_str());
  return 1;
}

int ShowCommand(int argc, const char* const argv[]) {
  bool json = false;
  CommandLine line(kShow, "Tells what is kept of a checkpoint's restores.");
  line.Add({"json", 0, "", "one JSON object instead of a table", &json});
  const Source source(line);
  line.Examples(
      "Examples:\n"
      "  pagelift workingset show criu:/ckpt\n"
      "  pagelift workingset show --json grpcs://10.0.0.2:7077/redis\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  return Tell(kShow, Show(source, json));
}

int DropCommand(int argc, const char* const argv[]) {
  CommandLine line(kDrop,
                   "Forgets what is kept of a checkpoint's restores, as when "
                   "the process\nwill be used in another way.");
  const Source source(line);
  line.Examples(
      "A page server does so only if it was started with "
      "--keep-working-sets.\n\n"
      "Examples:\n"
      "  pagelift workingset drop criu:/ckpt\n"
      "  pagelift workingset drop grpcs://10.0.0.2:7077/redis\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  return Tell(kDrop, Drop(source));
}

bool Is(const char* argument, const char* word) {
  return std::strcmp(argument, word) == 0;
}

}  // namespace

int WorkingSetCommand(int argc, const char* const argv[]) {
  if (argc < 2) {
    fputs(kUsage, stderr);
    return CommandLine::kUsageExitCode;
  }
  if (Is(argv[1], "show")) return ShowCommand(argc - 1, argv + 1);
  if (Is(argv[1], "drop")) return DropCommand(argc - 1, argv + 1);
  if (Is(argv[1], "--help") || Is(argv[1], "-h")) {
    fputs(kUsage, stdout);
    return 0;
  }
  fprintf(stderr,
          "pagelift workingset: there is no command \"%s\"; see pagelift "
          "workingset --help\n",
          argv[1]);
  return CommandLine::kUsageExitCode;
}

}  // namespace pagelift
