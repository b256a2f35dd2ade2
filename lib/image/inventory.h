#ifndef PAGELIFT_LIB_IMAGE_INVENTORY_H_
#define PAGELIFT_LIB_IMAGE_INVENTORY_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace pagelift {

// inventory.img: a checkpoint as a whole.
struct Inventory {
  // New with each dump; empty before CRIU 4.1. Untrusted bytes.
  std::string run_id;
};

// Refuses image formats that we do not read.
absl::StatusOr<Inventory> DecodeInventory(const std::string& name,
                                          std::string_view contents);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_INVENTORY_H_
