#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "client/cli/commands.h"
#include "lib/process/find_program.h"

namespace pagelift {

// `pagelift serve` is pagelift-server, by a name that is easier to remember.
int ServeCommand(int argc, const char* const argv[]) {
  const std::string program = SiblingProgram("pagelift-server");
  std::vector<char*> arguments = {const_cast<char*>(program.c_str())};
  for (int i = 1; i < argc; ++i) {
    arguments.push_back(const_cast<char*>(argv[i]));
  }
  arguments.push_back(nullptr);
  execvp(program.c_str(), arguments.data());
  fprintf(stderr, "pagelift serve: cannot start %s: %s\n", program.c_str(),
          strerror(errno));
  return 1;
}

}  // namespace pagelift
