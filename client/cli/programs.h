#ifndef PAGELIFT_CLIENT_CLI_PROGRAMS_H_
#define PAGELIFT_CLIENT_CLI_PROGRAMS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/workingset/working_set.h"

namespace pagelift {

// The programs that `pagelift` starts.

// `name` beside the running program if it is there, else `name` itself, to be
// searched for on the PATH.
std::string SiblingProgram(const std::string& name);

// The criu to use: `asked` if not empty, else $PAGELIFT_CRIU, else what
// tools/install_deps has installed, else the one on the PATH. kNotFound says
// what to do.
absl::StatusOr<std::string> FindCriu(const std::string& asked);

// Runs a program with no standard input and no other inherited descriptors, its
// output going where ours goes, and waits. Returns its exit code; 128 + N if
// signal N ended it. kNotFound if it cannot be started.
absl::StatusOr<int> RunProgram(const std::vector<std::string>& argv);

// Starts a pageliftd that outlives us, and returns when it serves at `socket`.
absl::Status StartPager(const std::string& socket, KeepWorkingSets keep);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_PROGRAMS_H_
