#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/commands.h"
#include "daemon/pager/lazy_pages/lazy_pages_options.h"
#include "lib/process/background.h"
#include "lib/process/find_program.h"

// `criu lazy-pages`, by the same command line: this process becomes a pageliftd
// that serves one restore and ends when its tasks have all their memory.
namespace pagelift {

int LazyPagesCommand(int argc, const char* const argv[]) {
  LazyPagesOptions options;
  if (std::optional<int> exit_code =
          ParseLazyPagesOptions(argc, argv, &options)) {
    return *exit_code;
  }
  const std::string program = SiblingProgram("pageliftd");
  std::vector<const char*> arguments = {"pageliftd", "lazy-pages"};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  arguments.push_back(nullptr);
  if (options.daemon) {
    absl::StatusOr<Background> detached = Background::Detach();
    if (!detached.ok()) {
      fprintf(stderr, "pagelift lazy-pages: %s\n",
              detached.status().ToString().c_str());
      return 1;
    }
    (*std::move(detached)).PassOn();
  }
  execvp(program.c_str(), const_cast<char* const*>(arguments.data()));
  fprintf(stderr,
          "pagelift lazy-pages: %s, which serves for it and belongs beside it: "
          "%s\n",
          program.c_str(), strerror(errno));
  return 1;
}

}  // namespace pagelift
