#include <optional>

#include "daemon/migration/receiver/restore_keeper.h"
#include "daemon/page_server/page_server_options.h"
#include "daemon/page_server/run_page_server.h"

int main(int argc, char* argv[]) {
  // Not for people: a receiver of migrations starts it so.
  if (std::optional<int> exit_code = pagelift::RunRestoreKeeper(argc, argv)) {
    return *exit_code;
  }
  pagelift::PageServerOptions options;
  if (std::optional<int> exit_code =
          pagelift::ParsePageServerOptions(argc, argv, &options)) {
    return *exit_code;
  }
  return pagelift::RunPageServer(options);
}
