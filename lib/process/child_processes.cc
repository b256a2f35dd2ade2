#include "lib/process/child_processes.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace pagelift {

std::vector<pid_t> ChildrenOf(pid_t parent) {
  // Listed before any is opened: one free descriptor is enough.
  std::vector<std::string> threads;
  std::error_code ended;
  for (const auto& thread : std::filesystem::directory_iterator(
           absl::StrCat("/proc/", parent, "/task"), ended)) {
    threads.push_back(thread.path());
  }
  std::vector<pid_t> children;
  for (const std::string& thread : threads) {
    std::ifstream file(absl::StrCat(thread, "/children"));
    for (pid_t child; file >> child;) children.push_back(child);
  }
  std::sort(children.begin(), children.end());
  // A thread that ends meanwhile leaves its children to another one's list.
  children.erase(std::unique(children.begin(), children.end()), children.end());
  return children;
}

std::vector<pid_t> TreeOf(pid_t root) {
  std::vector<pid_t> tree = {root};
  for (size_t i = 0; i < tree.size(); ++i) {
    const std::vector<pid_t> children = ChildrenOf(tree[i]);
    tree.insert(tree.end(), children.begin(), children.end());
  }
  return tree;
}

bool ShareMemory(pid_t one, pid_t other) {
  return syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0;
}

}  // namespace pagelift
