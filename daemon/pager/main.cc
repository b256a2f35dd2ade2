#include <optional>

#include "daemon/pager/pager_options.h"
#include "daemon/pager/run_pager.h"

int main(int argc, char* argv[]) {
  pagelift::PagerOptions options;
  if (std::optional<int> exit_code =
          pagelift::ParsePagerOptions(argc, argv, &options)) {
    return *exit_code;
  }
  return pagelift::RunPager(options);
}
