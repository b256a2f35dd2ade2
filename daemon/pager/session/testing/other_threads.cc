#include "daemon/pager/session/testing/other_threads.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/log.h"

namespace pagelift {
namespace {

bool IsAsleep(int stat_fd) {
  char text[512];
  const ssize_t size = pread(stat_fd, text, sizeof(text), 0);
  if (size <= 0) return true;  // It has ended.
  // "TID (NAME) STATE ...", where the name may hold anything.
  const std::string_view stat(text, static_cast<size_t>(size));
  return stat.substr(stat.rfind(')'), 3) == ") S";
}

}  // namespace

OtherThreads::OtherThreads() {
  const std::string self = std::to_string(gettid());
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == self) continue;
    UniqueFd stat(open((task.path() / "stat").c_str(), O_RDONLY | O_CLOEXEC));
    if (stat.valid()) stats_.push_back(std::move(stat));
  }
  CHECK(!stats_.empty());
}

bool OtherThreads::AreAsleep() const {
  return std::all_of(stats_.begin(), stats_.end(),
                     [](const UniqueFd& stat) { return IsAsleep(stat.get()); });
}

}  // namespace pagelift
