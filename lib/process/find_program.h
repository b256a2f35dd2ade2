#ifndef PAGELIFT_LIB_PROCESS_FIND_PROGRAM_H_
#define PAGELIFT_LIB_PROCESS_FIND_PROGRAM_H_

#include <string>

#include "absl/status/statusor.h"

namespace pagelift {

// `name` beside the running program if it is there, else `name` itself, to be
// searched for on the PATH.
std::string SiblingProgram(const std::string& name);

// The criu to use: `asked` if not empty, else $PAGELIFT_CRIU, else what
// tools/install_deps has installed, else the one on the PATH. kNotFound says
// what to do.
absl::StatusOr<std::string> FindCriu(const std::string& asked);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_FIND_PROGRAM_H_
