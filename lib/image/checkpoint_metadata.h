#ifndef PAGELIFT_LIB_IMAGE_CHECKPOINT_METADATA_H_
#define PAGELIFT_LIB_IMAGE_CHECKPOINT_METADATA_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/image/image_directory.h"
#include "lib/image/inventory.h"
#include "lib/image/process_tree.h"

namespace pagelift {

// What every reader of a checkpoint starts from: its directory and the
// parents', open, and of a format that we read.
//
// Thread-compatible.
struct CheckpointMetadata {
  std::vector<ImageDirectory> chain;  // The checkpoint, its parent, and so on.
  Inventory inventory;
  std::vector<TaskRecord> tasks;

  const ImageDirectory& directory() const { return chain.front(); }

  static absl::StatusOr<CheckpointMetadata> Read(const std::string& directory);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_CHECKPOINT_METADATA_H_
