#include "lib/image/inventory.h"

#include "absl/strings/str_cat.h"
#include "criu/inventory.pb.h"
#include "lib/base/status_macros.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

constexpr uint32_t kImageVersion = 2;
constexpr int kGreatestField = 14;

}  // namespace

absl::StatusOr<Inventory> DecodeInventory(const std::string& name,
                                          std::string_view contents) {
  ASSIGN_OR_RETURN(ImageFile file,
                   ImageFile::Parse(name, contents, ImageKind::kInventory));
  ASSIGN_OR_RETURN(ImageRecord record, file.OnlyRecord());
  criu::Inventory inventory;
  RETURN_IF_ERROR(file.Decode(record, &inventory));
  if (!inventory.has_img_version()) {
    return file.Corrupt(record, "has no image version");
  }
  if (inventory.img_version() != kImageVersion) {
    return absl::UnimplementedError(absl::StrCat(
        name, ": image format ", inventory.img_version(),
        " is not supported, only ", kImageVersion, " (CRIU 2.0 to 4.2)"));
  }
  RETURN_IF_ERROR(file.CheckNoFieldsAbove(kGreatestField, record, inventory));
  return Inventory{inventory.run_id()};
}

}  // namespace pagelift
