#include "lib/http2/first_bytes.h"

#include <string>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

const std::string kMagic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string Setting(unsigned id, unsigned value) {
  std::string out;
  for (int shift : {8, 0}) out.push_back(static_cast<char>(id >> shift));
  for (int shift : {24, 16, 8, 0}) {
    out.push_back(static_cast<char>(value >> shift));
  }
  return out;
}

std::string Frame(const std::string& payload, char type = 4, char flags = 0) {
  std::string out;
  for (int shift : {16, 8, 0}) {
    out.push_back(static_cast<char>(payload.size() >> shift));
  }
  return out + type + flags + std::string(4, '\0') + payload;
}

FirstBytes Judge(const std::string& bytes) {
  return JudgeFirstBytes(BytesOf(bytes));
}

TEST(FirstBytesTest, FindsTheSettingWhereverItStands) {
  const std::string mark = Setting(kSingleCallSetting, 1);
  const std::string other = Setting(4, 1 << 20);
  EXPECT_EQ(Judge(kMagic + Frame(mark)), FirstBytes::kSingleCall);
  EXPECT_EQ(Judge(kMagic + Frame(other + mark + other) + "more"),
            FirstBytes::kSingleCall);
}

TEST(FirstBytesTest, HasASettingOfOtherValuesForNone) {
  EXPECT_EQ(Judge(kMagic + Frame(Setting(kSingleCallSetting, 0))),
            FirstBytes::kOther);
  EXPECT_EQ(Judge(kMagic + Frame(Setting(kSingleCallSetting, 257))),
            FirstBytes::kOther);
  EXPECT_EQ(Judge(kMagic + Frame(Setting(0xfe03, 1))), FirstBytes::kOther);
  EXPECT_EQ(Judge(kMagic + Frame("")), FirstBytes::kOther);
}

TEST(FirstBytesTest, WaitsForEveryByteItNeeds) {
  const std::string all =
      kMagic + Frame(Setting(1, 1) + Setting(kSingleCallSetting, 1));
  for (size_t size = 0; size < all.size(); ++size) {
    EXPECT_EQ(Judge(all.substr(0, size)), FirstBytes::kTooFew) << size;
  }
  EXPECT_EQ(Judge(all), FirstBytes::kSingleCall);
}

TEST(FirstBytesTest, SortsOutWhatIsNotHttp2AtOnce) {
  EXPECT_EQ(Judge("G"), FirstBytes::kOther);
  EXPECT_EQ(Judge("PRI * HTTP/1"), FirstBytes::kOther);
  EXPECT_EQ(Judge("\x16\x03\x01"), FirstBytes::kOther);  // TLS.
}

TEST(FirstBytesTest, SortsOutOtherFirstFrames) {
  const std::string mark = Setting(kSingleCallSetting, 1);
  EXPECT_EQ(Judge(kMagic + Frame(mark, 6)), FirstBytes::kOther);
  EXPECT_EQ(Judge(kMagic + Frame(mark, 4, 1)), FirstBytes::kOther);
  EXPECT_EQ(Judge(kMagic + Frame(mark + "x").substr(0, 9)), FirstBytes::kOther);
}

TEST(FirstBytesTest, DecidesByItsLimitWhateverTheLengthSays) {
  std::string long_frame;
  for (int i = 0; i < 64; ++i) long_frame += Setting(9, 9);
  const std::string at_limit = kMagic + Frame(long_frame);
  ASSERT_EQ(at_limit.size(), kMostFirstBytes);
  EXPECT_EQ(Judge(at_limit), FirstBytes::kOther);
  const std::string over = kMagic + Frame(long_frame + Setting(9, 9));
  EXPECT_EQ(Judge(over.substr(0, 33)), FirstBytes::kOther);
}

}  // namespace
}  // namespace pagelift
