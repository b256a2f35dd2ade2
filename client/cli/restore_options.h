#ifndef PAGELIFT_CLIENT_CLI_RESTORE_OPTIONS_H_
#define PAGELIFT_CLIENT_CLI_RESTORE_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/pager/pager_options.h"
#include "daemon/pager/session/lost_source.h"
#include "lib/prefetch/prefetch_mode.h"

namespace pagelift {

// What `pagelift restore` is told on its command line.
struct RestoreOptions {
  std::string images;
  std::string source;    // Empty: the images.
  std::string work_dir;  // Empty: a fresh one.
  std::string criu;      // Empty: FindCriu() looks for it.
  std::string control = kDefaultControlSocket;
  PrefetchMode prefetch;
  bool record = false;
  WhenUnavailable when_unavailable = WhenUnavailable::kFreeze;
  absl::Duration unavailable_after;  // Zero: never.
  bool wait = false;
  bool json = false;
  std::vector<std::string> criu_options;
};

// Empty: go on. Otherwise main()'s result; the user has been told.
std::optional<int> ParseRestoreOptions(int argc, const char* const argv[],
                                       RestoreOptions* options);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_RESTORE_OPTIONS_H_
