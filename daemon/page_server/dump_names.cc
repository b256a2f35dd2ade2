#include "daemon/page_server/dump_names.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace pagelift {

DumpNames::DumpNames(std::string directory)
    : directory_(std::move(directory)) {}

std::string DumpNames::Next(absl::Time now) {
  std::string second =
      absl::FormatTime(absl::StrCat(directory_, "/", kPrefix, "%Y%m%d-%H%M%S"),
                       now, absl::UTCTimeZone());
  absl::MutexLock lock(&mu_);
  number_ = second == second_ ? number_ + 1 : 1;
  second_ = std::move(second);
  while (true) {
    std::string path =
        number_ == 1 ? second_ : absl::StrCat(second_, "-", number_);
    struct stat ignored;
    if (lstat(path.c_str(), &ignored) != 0) return path;
    ++number_;
  }
}

}  // namespace pagelift
