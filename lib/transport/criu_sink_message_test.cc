#include "lib/transport/criu_sink_message.h"

#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kTask1000 = 1000 << 8 | 1;
constexpr uint64_t kAddress = 0x5583b4da6000;
constexpr CriuObject kObject = {CriuObject::Kind::kTask, 1000};

absl::StatusOr<CriuSinkMessage> Decode(const CriuFields& fields) {
  return DecodeCriuSinkMessage(EncodeCriuFields(fields));
}

TEST(CriuSinkMessageTest, OpensTasksAndSharedMemory) {
  ASSERT_OK_AND_ASSIGN(auto task, Decode({4, 0, 0, 0, kTask1000}));
  EXPECT_EQ(std::get<CriuOpen>(task).object, kObject);
  EXPECT_TRUE(std::get<CriuOpen>(task).wants_answer);
  ASSERT_OK_AND_ASSIGN(auto shared, Decode({4, 0, 0, 0, 2}));
  EXPECT_EQ(std::get<CriuOpen>(shared).object,
            (CriuObject{CriuObject::Kind::kSharedMemory, 0}));
}

TEST(CriuSinkMessageTest, KnowsWhatOldOnesSay) {
  ASSERT_OK_AND_ASSIGN(auto open, Decode({3, 0, 0, 0, 1000 << 8 | 17}));
  EXPECT_EQ(std::get<CriuOpen>(open).object, kObject);
  EXPECT_FALSE(std::get<CriuOpen>(open).wants_answer);
  ASSERT_OK_AND_ASSIGN(auto add, Decode({1, 0, 2, kAddress, kTask1000}));
  EXPECT_FALSE(std::get<CriuAdd>(add).lazy);
}

TEST(CriuSinkMessageTest, AddsPages) {
  ASSERT_OK_AND_ASSIGN(auto lazy, Decode({6, 6, 1024, kAddress, kTask1000}));
  const auto& add = std::get<CriuAdd>(lazy);
  EXPECT_EQ(add.object, kObject);
  EXPECT_EQ(add.pages, (PageRange{PageContaining(kAddress), PageCount(1024)}));
  EXPECT_TRUE(add.lazy);
  ASSERT_OK_AND_ASSIGN(auto eager, Decode({6, 4, 1, kAddress, kTask1000}));
  EXPECT_FALSE(std::get<CriuAdd>(eager).lazy);
}

TEST(CriuSinkMessageTest, AsksAndCloses) {
  ASSERT_OK_AND_ASSIGN(auto ask, Decode({5, 0, 0, 0, kTask1000}));
  EXPECT_EQ(std::get<CriuAskParent>(ask).object, kObject);
  for (uint16_t command : {0x1023, 0x1024}) {
    ASSERT_OK_AND_ASSIGN(auto close, Decode({command, 0, 0, 0, 0}));
    EXPECT_TRUE(std::holds_alternative<CriuClose>(close));
  }
}

TEST(CriuSinkMessageTest, RefusesWhatADumpDoesNotSend) {
  const auto refused = [](const char* why) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why));
  };
  EXPECT_THAT(Decode({}), refused("none of a dump"));
  EXPECT_THAT(Decode({7, 0, 1, kAddress, 1000}), refused("asks for pages"));
  EXPECT_THAT(Decode({2, 0, 1, kAddress, kTask1000}), refused("parent"));
  EXPECT_THAT(Decode({6, 1, 1, kAddress, kTask1000}), refused("flags 1"));
  EXPECT_THAT(Decode({6, 2, 1, kAddress, kTask1000}), refused("flags 2"));
  EXPECT_THAT(Decode({6, 12, 1, kAddress, kTask1000}), refused("flags 12"));
  EXPECT_THAT(Decode({6, 4, 0, kAddress, kTask1000}), refused("0 pages"));
  EXPECT_THAT(Decode({6, 4, 1, kAddress + 1, kTask1000}), refused("1 pages"));
  EXPECT_THAT(Decode({6, 4, uint64_t{1} << 52, kAddress, kTask1000}),
              refused("pages at address"));
  EXPECT_THAT(Decode({4, 0, 0, 0, 1000 << 8 | 3}), refused("neither"));
  EXPECT_THAT(Decode({4, 0, 0, 0, 1}), refused("neither"));
  EXPECT_THAT(Decode({4, 0, 0, 0, ~uint64_t{0} << 8 | 1}), refused("neither"));
}

}  // namespace
}  // namespace pagelift
