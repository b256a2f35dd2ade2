#include "daemon/migration/parked/dump_advice.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace pagelift {
namespace {

struct Advice {
  absl::string_view complaint;  // A part of it.
  absl::string_view what_to_do;
};

// As CRIU 3.17 to 4.2 word it.
constexpr Advice kAdvice[] = {
    {"dangling tty",
     "it uses a terminal from outside the tree: add --shell-job to the options "
     "of the dump and of the restore, or start it by setsid(1) without one"},
    {"without correspond master peer",
     "the other end of its terminal is outside the tree: add --shell-job to "
     "the "
     "options of the dump and of the restore, or start it by setsid(1) without "
     "a terminal"},
    {"not a session leader",
     "its session is that of a shell outside the tree: add --shell-job to the "
     "options of the dump and of the restore, or start it by setsid(1)"},
    {"tcp-established",
     "it has TCP connections: add --tcp-established to the options of the dump "
     "and of the restore if its address moves along, else --tcp-close"},
    {"--tcp-close", "add --tcp-close to the options of the dump"},
    {"ext-unix-sk",
     "it is connected to a Unix socket of somebody outside the tree: add "
     "--ext-unix-sk to the options of the dump and of the restore"},
    {"file-locks",
     "it holds file locks: add --file-locks to the options of the dump and of "
     "the restore"},
    {"link-remap",
     "it has an open file that was removed and has other names: add "
     "--link-remap to the options of the dump"},
    {"ghost file",
     "it has a large open file that was removed: add --ghost-limit SIZE to the "
     "options of the dump"},
    {"unsupported stop signal",
     "it was stopped from a terminal (Ctrl-Z): continue it, or stop it by kill "
     "-STOP"},
    {"traced", "is a debugger attached to it?"},
    {"pipe size",
     "raise the sysctl fs.pipe-max-size to 67108864: CRIU keeps memory in "
     "pipes"},
    {"nested pid namespace",
     "it starts containers of its own, which CRIU does not dump"},
    {"without the process init",
     "it is inside a container: name the container's first process"},
    {"external mount",
     "a directory is mounted into its container from outside: add --external "
     "mnt[...] to the options of the dump and of the restore"},
    {"kerndat",
     "this CRIU does not fit the running kernel: tools/install_deps installs "
     "one that does; `criu check` tells more"},
    {"doesn't support",
     "this CRIU does not fit the running kernel: tools/install_deps installs "
     "one that does; `criu check` tells more"},
};

}  // namespace

std::string AdviceOnDump(absl::string_view complaints) {
  for (const Advice& advice : kAdvice) {
    if (absl::StrContains(complaints, advice.complaint)) {
      return std::string(advice.what_to_do);
    }
  }
  return "";
}

}  // namespace pagelift
