#include "lib/workingset/recording_proto.h"

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr PageCount kPages(1000);

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

v1::Recording Message(std::vector<std::pair<int64_t, uint32_t>> runs) {
  v1::Recording message;
  for (const auto& [step, count] : runs) {
    message.add_steps(step);
    message.add_page_counts(count);
  }
  return message;
}

TEST(RecordingProtoTest, IsTheSameAfterAJourney) {
  Recording recording;
  for (ImageRange run : {Pages(500, 3), Pages(0, 500), Pages(999, 1)}) {
    recording.Append(run);
  }
  const v1::Recording message = EncodeRecording(recording);
  EXPECT_THAT(message.steps(), ElementsAre(500, -503, 499));
  ASSERT_OK_AND_ASSIGN(const Recording decoded,
                       DecodeRecording(message, kPages));
  EXPECT_THAT(decoded.runs(), ElementsAreArray(recording.runs()));
  ASSERT_OK_AND_ASSIGN(const Recording none,
                       DecodeRecording(v1::Recording(), kPages));
  EXPECT_THAT(none.runs(), IsEmpty());
}

TEST(RecordingProtoTest, TheLargestFitsTheDefaultLimitOfAMessage) {
  Recording recording;
  // Far apart, and half of them backwards, in an image of 64 TiB.
  const uint64_t image = uint64_t{1} << 34;
  for (uint64_t i = 0; i < Recording::kMostRuns; ++i) {
    const uint64_t page = i % 2 == 0 ? 4 * i : image - 4 * i;
    ASSERT_TRUE(recording.Append(Pages(page, 2)));
  }
  EXPECT_EQ(recording.page_count(), Recording::kMostPages);
  EXPECT_LT(EncodeRecording(recording).ByteSizeLong(), size_t{7} << 19);
}

TEST(RecordingProtoTest, SaysWhatIsWrong) {
  struct Case {
    v1::Recording message;
    const char* error;
  };
  const int64_t least = std::numeric_limits<int64_t>::min();
  const int64_t greatest = std::numeric_limits<int64_t>::max();
  v1::Recording uneven = Message({{0, 1}});
  uneven.add_steps(1);
  for (const Case& c :
       {Case{uneven, "2 runs with 1 lengths"},
        Case{Message({{5, 0}}), "run 0 is empty"},
        Case{Message({{0, 1001}}), "outside of an image of 1000 pages"},
        Case{Message({{1000, 1}}), "outside of"},
        Case{Message({{1000, 0}}), "outside of"},
        Case{Message({{-1, 1}}), "run 0, of 1 pages, -1 from page 0, is out"},
        Case{Message({{10, 1}, {-12, 1}}), "run 1, of 1 pages, -12 from page"},
        Case{Message({{10, 1}, {greatest, 1}}), "outside of"},
        Case{Message({{10, 1}, {least, 1}}), "outside of"},
        Case{Message({{10, 1}, {-1, 1}}), "names page 10 twice"},
        Case{Message({{10, 5}, {80, 3}, {-90, 5}}), "names page 10 twice"}}) {
    EXPECT_THAT(
        DecodeRecording(c.message, kPages),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.error)));
  }
}

TEST(RecordingProtoTest, RefusesWhatIsTooLarge) {
  const PageCount huge(uint64_t{1} << 40);
  v1::Recording runs;
  for (size_t i = 0; i <= Recording::kMostRuns; ++i) {
    runs.add_steps(1);
    runs.add_page_counts(1);
  }
  EXPECT_THAT(DecodeRecording(runs, huge),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("524289 runs; at most 524288")));
  EXPECT_THAT(DecodeRecording(Message({{0, 1 << 20}, {1, 1}}), huge),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("1048577 pages; at most 1048576")));
  EXPECT_THAT(
      DecodeRecording(Message({{0, 0xffffffff}, {1, 0xffffffff}}), huge),
      StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace pagelift
