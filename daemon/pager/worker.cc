// What pageliftd's holder loads into its worker.

#include <cstring>
#include <optional>

#include "daemon/pager/control/upgrade.h"
#include "daemon/pager/holder/holder_page.h"
#include "daemon/pager/lazy_pages/lazy_pages_options.h"
#include "daemon/pager/lazy_pages/serve_lazy_pages.h"
#include "daemon/pager/pager_options.h"
#include "daemon/pager/run_pager.h"

extern "C" __attribute__((visibility("default"))) int pageliftd_worker(
    int argc, char* argv[], pagelift::HolderPage* page) {
  if (argc > 1 && std::strcmp(argv[1], "lazy-pages") == 0) {
    pagelift::LazyPagesOptions options;
    if (std::optional<int> exit_code =
            pagelift::ParseLazyPagesOptions(argc - 1, argv + 1, &options)) {
      return *exit_code;
    }
    return pagelift::ServeLazyPages(options, argv, *page);
  }
  pagelift::PagerOptions options;
  if (std::optional<int> exit_code =
          pagelift::ParsePagerOptions(argc, argv, &options)) {
    return *exit_code;
  }
  if (!options.can_replace.empty()) {
    return options.can_replace == pagelift::VersionsWeLeave() ? 0 : 1;
  }
  return pagelift::RunPager(options, argv, page);
}
