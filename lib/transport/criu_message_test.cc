#include "lib/transport/criu_message.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

CriuMessage FromBytes(const std::vector<int>& bytes) {
  CriuMessage message = {};
  for (size_t i = 0; i < bytes.size(); ++i) {
    message[i] = static_cast<std::byte>(bytes[i]);
  }
  return message;
}

// A reply with four pages of task 23, as CRIU 4.2 sent it.
const std::vector<int> kReply = {
    6, 0,    4,    0,    0,    0,    0, 0, 4,    0, 0, 0, 0, 0, 0, 0,
    0, 0xb0, 0x27, 0x08, 0x35, 0x7f, 0, 0, 0x17, 0, 0, 0, 0, 0, 0, 0};

CriuMessage ReplyWith(size_t at, int value) {
  std::vector<int> bytes = kReply;
  bytes[at] = value;
  return FromBytes(bytes);
}

TEST(CriuMessageTest, AGetNamesTaskAddressAndPages) {
  const CriuPages pages{0x1234,
                        {PageContaining(0x7f350827b000), PageCount(0x102)}};
  EXPECT_EQ(
      EncodeCriuGet(pages),
      FromBytes({7, 0, 0, 0, 0,    0,    0,    0,    2,    1, 0, 0,    0,
                 0, 0, 0, 0, 0xb0, 0x27, 0x08, 0x35, 0x7f, 0, 0, 0x34, 0x12}));
}

TEST(CriuMessageTest, CloseHasNoOperands) {
  EXPECT_EQ(EncodeCriuClose(), FromBytes({0x23, 0x10}));
}

TEST(CriuMessageTest, ReadsAReply) {
  const CriuPages expected{23, {PageContaining(0x7f350827b000), PageCount(4)}};
  EXPECT_THAT(DecodeCriuReply(FromBytes(kReply)), IsOkAndHolds(expected));
}

TEST(CriuMessageTest, PaddingAndOtherFlagsDoNotMatter) {
  EXPECT_THAT(DecodeCriuReply(ReplyWith(5, 99)), IsOk());
  EXPECT_THAT(DecodeCriuReply(ReplyWith(2, 6)), IsOk());
}

TEST(CriuMessageTest, RefusesWhatIsNotPages) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(DecodeCriuReply(FromBytes({})), refused);
  EXPECT_THAT(DecodeCriuReply(ReplyWith(0, 7)), refused);      // Command.
  EXPECT_THAT(DecodeCriuReply(ReplyWith(2, 2)), refused);      // No contents.
  EXPECT_THAT(DecodeCriuReply(ReplyWith(8, 0)), refused);      // No pages.
  EXPECT_THAT(DecodeCriuReply(ReplyWith(15, 1)), refused);     // Too many.
  EXPECT_THAT(DecodeCriuReply(ReplyWith(16, 1)), refused);     // In mid-page.
  EXPECT_THAT(DecodeCriuReply(ReplyWith(23, 2)), refused);     // Out of bounds.
  EXPECT_THAT(DecodeCriuReply(ReplyWith(24, 0)), refused);     // Task 0.
  EXPECT_THAT(DecodeCriuReply(ReplyWith(27, 0x80)), refused);  // Negative.
}

TEST(CriuMessageTest, TheStatusAtTheEndMayBeNegative) {
  const CriuMessage bytes = FromBytes({0xfe, 0xff, 0xff, 0xff});
  EXPECT_EQ(DecodeCriuEndStatus(absl::MakeSpan(bytes).first(4)), -2);
}

}  // namespace
}  // namespace pagelift
