#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_USERFAULTFDS_HERE_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_USERFAULTFDS_HERE_H_

#include <filesystem>
#include <string>
#include <system_error>

namespace pagelift {

// How many userfaultfds this process holds.
inline int UserfaultFdsHere() {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code closed;
    const std::string target =
        std::filesystem::read_symlink(entry.path(), closed).string();
    if (target.find("userfaultfd") != std::string::npos) ++count;
  }
  return count;
}

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_USERFAULTFDS_HERE_H_
