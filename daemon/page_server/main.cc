#include <cstring>
#include <optional>

#include "daemon/migration/incoming/run_receiver.h"
#include "daemon/migration/outgoing/run_migration.h"
#include "daemon/migration/receiver/restore_keeper.h"
#include "daemon/page_server/page_server_options.h"
#include "daemon/page_server/run_page_server.h"

int main(int argc, char* argv[]) {
  // Not for people: a receiver of migrations starts it so.
  if (std::optional<int> exit_code = pagelift::RunRestoreKeeper(argc, argv)) {
    return *exit_code;
  }
  // What `pagelift migrate` and pageliftd start: docs/migration.md.
  if (argc > 1 && std::strcmp(argv[1], "migrate") == 0) {
    return pagelift::RunMigration(argc - 1, argv + 1);
  }
  if (argc > 1 && std::strcmp(argv[1], "receive") == 0) {
    return pagelift::RunReceiver(argc - 1, argv + 1);
  }
  pagelift::PageServerOptions options;
  if (std::optional<int> exit_code =
          pagelift::ParsePageServerOptions(argc, argv, &options)) {
    return *exit_code;
  }
  return pagelift::RunPageServer(options);
}
