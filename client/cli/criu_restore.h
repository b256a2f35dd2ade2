#ifndef PAGELIFT_CLIENT_CLI_CRIU_RESTORE_H_
#define PAGELIFT_CLIENT_CLI_CRIU_RESTORE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace pagelift {

// One run of `criu restore --lazy-pages --restore-detached`.
struct CriuRestore {
  std::string criu;
  std::string images;
  std::string work_dir;  // Where lazy-pages.socket is, and the log goes.
  std::vector<std::string> options;  // Passed on as they are, behind ours.
};

// Returns when the tasks run. An error quotes what criu's log complains of,
// says where the log is, if criu came as far as to write one, and what to try.
absl::Status RunCriuRestore(const CriuRestore& restore);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_CRIU_RESTORE_H_
