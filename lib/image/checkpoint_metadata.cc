#include "lib/image/checkpoint_metadata.h"

#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr char kInventory[] = "inventory.img";
constexpr char kProcessTree[] = "pstree.img";

absl::StatusOr<Inventory> ReadInventory(const ImageDirectory& directory) {
  ASSIGN_OR_RETURN(std::string contents, directory.ReadFile(kInventory));
  return DecodeInventory(directory.PathOf(kInventory), contents);
}

}  // namespace

absl::StatusOr<CheckpointMetadata> CheckpointMetadata::Read(
    const std::string& directory) {
  CheckpointMetadata metadata;
  ASSIGN_OR_RETURN(metadata.chain, OpenImageChain(directory));
  for (const ImageDirectory& image : metadata.chain) {
    bool newest = &image == &metadata.chain.front();
    // Old pre-dumps have no inventory.
    if (!newest && !image.Has(kInventory)) continue;
    absl::StatusOr<Inventory> inventory = ReadInventory(image);
    if (absl::IsNotFound(inventory.status())) {
      return Annotate(inventory.status(),
                      "not a CRIU image directory, or of a dump that failed");
    }
    RETURN_IF_ERROR(inventory.status());
    if (newest) metadata.inventory = *std::move(inventory);
  }
  ASSIGN_OR_RETURN(std::string contents,
                   metadata.directory().ReadFile(kProcessTree));
  ASSIGN_OR_RETURN(
      metadata.tasks,
      DecodeProcessTree(metadata.directory().PathOf(kProcessTree), contents));
  return metadata;
}

}  // namespace pagelift
