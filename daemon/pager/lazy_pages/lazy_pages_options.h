#ifndef PAGELIFT_DAEMON_PAGER_LAZY_PAGES_LAZY_PAGES_OPTIONS_H_
#define PAGELIFT_DAEMON_PAGER_LAZY_PAGES_LAZY_PAGES_OPTIONS_H_

#include <optional>
#include <string>

#include "lib/base/log.h"
#include "lib/prefetch/prefetch_mode.h"
#include "lib/process/sandbox_mode.h"

namespace pagelift {

// The command line of `criu lazy-pages`, and what we have beyond it. `pagelift
// lazy-pages` looks at it first, `pageliftd lazy-pages` obeys it.
struct LazyPagesOptions {
  std::string images;
  bool images_named = false;
  std::string work_dir;
  std::string log_file;
  int verbosity = 2;
  bool daemon = false;
  std::string pid_file;
  int status_fd = -1;
  bool page_server = false;
  std::string address;
  int port = 0;
  std::string source;
  PrefetchMode prefetch;
  SandboxMode sandbox = SandboxMode::kOn;

  // Relative names are relative to the work directory, as CRIU has it.
  std::string InWorkDir(const std::string& name) const;
  LogLevel log_level() const;
};

// Empty: go on, and every default is filled in. Otherwise main()'s result; the
// user has been told.
std::optional<int> ParseLazyPagesOptions(int argc, const char* const argv[],
                                         LazyPagesOptions* options);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_LAZY_PAGES_LAZY_PAGES_OPTIONS_H_
