#include <optional>

#include "daemon/page_server/page_server_options.h"
#include "daemon/page_server/run_page_server.h"

int main(int argc, char* argv[]) {
  pagelift::PageServerOptions options;
  if (std::optional<int> exit_code =
          pagelift::ParsePageServerOptions(argc, argv, &options)) {
    return *exit_code;
  }
  return pagelift::RunPageServer(options);
}
