#include <cstdio>
#include <cstring>

#include "client/cli/commands.h"

namespace {

struct Command {
  const char* name;
  int (*run)(int argc, const char* const argv[]);
  const char* summary;
};

constexpr Command kCommands[] = {
    {"restore", pagelift::RestoreCommand,
     "start a checkpoint before its memory has arrived"},
    {"migrate", pagelift::MigrateCommand,
     "move running processes to another host"},
    {"abort", pagelift::AbortCommand,
     "have processes that are being moved stay here"},
    {"serve", pagelift::ServeCommand, "serve the pages of checkpoints"},
    {"status", pagelift::StatusCommand, "how far the restores are"},
    {"complete", pagelift::CompleteCommand,
     "wait until restored processes have all their memory"},
    {"tune", pagelift::TuneCommand, "change how a restore goes on"},
    {"upgrade", pagelift::UpgradeCommand,
     "replace a running daemon by another version, under its sessions"},
    {"inspect", pagelift::InspectCommand, "what a checkpoint holds"},
    {"seal", pagelift::SealCommand,
     "note what the pages of a checkpoint hold, to notice damage later"},
    {"verify", pagelift::VerifyCommand,
     "read every page that a pager would bring, and compare copies"},
    {"adopt", pagelift::AdoptCommand,
     "make a checkpoint of a dump that a sink received"},
    {"thin", pagelift::ThinCommand,
     "make of a checkpoint what a restore host needs"},
    {"workingset", pagelift::WorkingSetCommand,
     "what earlier restores of a checkpoint touched first"},
    {"lazy-pages", pagelift::LazyPagesCommand,
     "in place of `criu lazy-pages`, with the same options"},
};

void PrintUsage(FILE* out) {
  fprintf(out,
          "Usage: pagelift COMMAND [OPTION]...\n\n"
          "Starts processes before their memory has arrived.\n\nCommands:\n");
  for (const Command& command : kCommands) {
    fprintf(out, "  %-11s %s\n", command.name, command.summary);
  }
  fprintf(out,
          "\n`pagelift COMMAND --help` tells more.\n\n"
          "Examples:\n"
          "  pagelift serve --root /checkpoints --listen 0.0.0.0:7077\n"
          "  pagelift restore --images /ckpt --source "
          "grpc://10.0.0.2:7077/redis --wait\n"
          "  pagelift migrate --pid 4711 --to 10.0.0.3:7078\n"
          "  pagelift status --watch\n");
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc < 2) {
    PrintUsage(stderr);
    return 2;
  }
  for (const Command& command : kCommands) {
    if (std::strcmp(argv[1], command.name) == 0) {
      return command.run(argc - 1, argv + 1);
    }
  }
  if (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0) {
    PrintUsage(stdout);
    return 0;
  }
  fprintf(stderr, "pagelift: there is no command \"%s\"; see pagelift --help\n",
          argv[1]);
  return 2;
}
