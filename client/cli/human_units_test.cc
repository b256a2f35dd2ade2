#include "client/cli/human_units.h"

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(HumanUnitsTest, Bytes) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(4096), "4.0 KiB");
  EXPECT_EQ(HumanBytes(uint64_t{3} << 29), "1.5 GiB");
  EXPECT_EQ(HumanBytes(~uint64_t{0}), "16384.0 PiB");
}

TEST(HumanUnitsTest, Counts) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(5321), "5,321");
  EXPECT_EQ(HumanCount(1234567890), "1,234,567,890");
}

TEST(HumanUnitsTest, Times) {
  EXPECT_EQ(HumanMicroseconds(850), "850 us");
  EXPECT_EQ(HumanMicroseconds(12300), "12.3 ms");
  EXPECT_EQ(HumanMicroseconds(4560000), "4.56 s");
  EXPECT_EQ(HumanMicroseconds(125000000), "2 min 5 s");
}

}  // namespace
}  // namespace pagelift
