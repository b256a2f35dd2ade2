#include "lib/image/inventory.h"

#include "criu/inventory.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Inventory> Decode(const criu::Inventory& message) {
  return DecodeInventory("inventory.img",
                         ImageMagic(ImageKind::kInventory) +
                             FramedRecord(message.SerializeAsString()));
}

criu::Inventory GoodInventory() {
  criu::Inventory message;
  message.set_img_version(2);
  message.set_run_id("a00fee01");
  return message;
}

TEST(InventoryTest, ReadsTheRunId) {
  ASSERT_OK_AND_ASSIGN(Inventory inventory, Decode(GoodInventory()));
  EXPECT_EQ(inventory.run_id, "a00fee01");
}

TEST(InventoryTest, IgnoresTheFieldsOfCriu42) {
  criu::Inventory message = GoodInventory();
  for (int field = 2; field <= 14; ++field) {
    if (field != 13) message.mutable_unknown_fields()->AddVarint(field, 1);
  }
  EXPECT_OK(Decode(message));
}

TEST(InventoryTest, RefusesFieldsOfANewerCriu) {
  criu::Inventory message = GoodInventory();
  message.mutable_unknown_fields()->AddVarint(15, 1);
  EXPECT_THAT(Decode(message),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("field 15, which CRIU 4.2 does not write")));
}

TEST(InventoryTest, RefusesOtherFormats) {
  criu::Inventory message = GoodInventory();
  message.set_img_version(1);
  EXPECT_THAT(Decode(message), StatusIs(absl::StatusCode::kUnimplemented,
                                        HasSubstr("image format 1")));
  message.clear_img_version();
  EXPECT_THAT(Decode(message), StatusIs(absl::StatusCode::kDataLoss,
                                        HasSubstr("no image version")));
}

}  // namespace
}  // namespace pagelift
