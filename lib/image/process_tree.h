#ifndef PAGELIFT_LIB_IMAGE_PROCESS_TREE_H_
#define PAGELIFT_LIB_IMAGE_PROCESS_TREE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace pagelift {

// A task of a checkpoint. Ids are those of the pid namespace that was dumped.
struct TaskRecord {
  int32_t pid = 0;
  int32_t ppid = 0;  // 0 for the root.
  bool zombie = false;
  std::vector<int32_t> threads;  // The first is `pid`; none for a zombie.
};

// Decodes pstree.img: at least one task, no pid twice, in the image's order.
absl::StatusOr<std::vector<TaskRecord>> DecodeProcessTree(
    const std::string& name, std::string_view contents);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_PROCESS_TREE_H_
