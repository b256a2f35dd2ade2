#include "lib/workingset/working_set_codec.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kId[] = "c0ffee";
constexpr PageCount kPages(100);

KeptRecording Kept(ImageRange run, int64_t seconds) {
  KeptRecording kept;
  kept.recording.Append(run);
  kept.kept = absl::FromUnixSeconds(seconds);
  return kept;
}

TEST(WorkingSetCodecTest, IsTheSameAfterAJourney) {
  WorkingSet set;
  set.recordings = {Kept({ImagePage(7), PageCount(3)}, 1700000000),
                    Kept({ImagePage(0), PageCount(100)}, 5)};
  ASSERT_OK_AND_ASSIGN(
      const WorkingSet decoded,
      DecodeWorkingSet(EncodeWorkingSet(set, kId), kId, kPages));
  ASSERT_THAT(decoded.recordings, SizeIs(2));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_THAT(decoded.recordings[i].recording.runs(),
                ElementsAreArray(set.recordings[i].recording.runs()));
    EXPECT_EQ(decoded.recordings[i].kept, set.recordings[i].kept);
  }
  EXPECT_THAT(decoded.ignored, IsEmpty());
}

TEST(WorkingSetCodecTest, RefusesThatOfAnotherCheckpoint) {
  const std::string bytes = EncodeWorkingSet({}, kId);
  EXPECT_OK(DecodeWorkingSet(bytes, kId, kPages));
  for (const std::string& other : {bytes, std::string()}) {
    EXPECT_THAT(DecodeWorkingSet(other, "beef", kPages),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         "it is of another checkpoint"));
  }
}

TEST(WorkingSetCodecTest, SaysWhatIsDamaged) {
  WorkingSet set;
  set.recordings = {Kept({ImagePage(90), PageCount(10)}, 1)};
  const std::string bytes = EncodeWorkingSet(set, kId);
  EXPECT_THAT(DecodeWorkingSet(bytes.substr(0, bytes.size() - 1), kId, kPages),
              StatusIs(absl::StatusCode::kDataLoss, "it is damaged"));
  EXPECT_THAT(DecodeWorkingSet(std::string(kMostWorkingSetBytes + 1, '\0'), kId,
                               kPages),
              StatusIs(absl::StatusCode::kDataLoss, "it is damaged"));
  EXPECT_THAT(DecodeWorkingSet(bytes, kId, PageCount(99)),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("it holds a recording whose run 0")));
  set.recordings.resize(4, set.recordings[0]);
  EXPECT_THAT(DecodeWorkingSet(EncodeWorkingSet(set, kId), kId, kPages),
              StatusIs(absl::StatusCode::kDataLoss, "it holds 4 recordings"));
}

}  // namespace
}  // namespace pagelift
