#ifndef PAGELIFT_CLIENT_CLI_COMMANDS_H_
#define PAGELIFT_CLIENT_CLI_COMMANDS_H_

namespace pagelift {

// The subcommands of `pagelift`. Each gets its own arguments, argv[0] being its
// name, and returns main()'s result: 0 done, 1 failed, 2 wrong usage.
int AbortCommand(int argc, const char* const argv[]);
int AdoptCommand(int argc, const char* const argv[]);
int CompleteCommand(int argc, const char* const argv[]);
int InspectCommand(int argc, const char* const argv[]);
int LazyPagesCommand(int argc, const char* const argv[]);
int MigrateCommand(int argc, const char* const argv[]);
int RestoreCommand(int argc, const char* const argv[]);
int SealCommand(int argc, const char* const argv[]);
int ServeCommand(int argc, const char* const argv[]);
int StatusCommand(int argc, const char* const argv[]);
int ThinCommand(int argc, const char* const argv[]);
int TuneCommand(int argc, const char* const argv[]);
int UpgradeCommand(int argc, const char* const argv[]);
int VerifyCommand(int argc, const char* const argv[]);
int WorkingSetCommand(int argc, const char* const argv[]);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_COMMANDS_H_
