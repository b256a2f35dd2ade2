#include "lib/workingset/combine_recordings.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

KeptRecording Of(const std::vector<uint64_t>& pages) {
  KeptRecording kept;
  for (uint64_t page : pages) {
    kept.recording.Append({ImagePage(page), PageCount(1)});
  }
  return kept;
}

std::vector<uint64_t> PagesOf(const Recording& recording) {
  std::vector<uint64_t> pages;
  for (const ImageRange& run : recording.runs()) {
    for (uint64_t i = 0; i < run.count.raw(); ++i) {
      pages.push_back(run.first.raw() + i);
    }
  }
  return pages;
}

TEST(CombineRecordingsTest, NoneAreNoOrder) {
  EXPECT_THAT(CombineRecordings({}).order.runs(), IsEmpty());
}

TEST(CombineRecordingsTest, OneIsTheOrder) {
  const KeptRecording one = Of({5, 6, 2, 9});
  const CombinedRecordings combined = CombineRecordings({one});
  EXPECT_THAT(combined.order.runs(), ElementsAreArray(one.recording.runs()));
  EXPECT_EQ(combined.shared, PageCount(0));
}

TEST(CombineRecordingsTest, WhatTwoHaveComesFirstAsTheNewestHasIt) {
  const CombinedRecordings combined =
      CombineRecordings({Of({9, 1, 8, 2, 7}), Of({7, 5, 8, 9, 4})});
  EXPECT_THAT(PagesOf(combined.order), ElementsAre(9, 8, 7, 1, 2, 5, 4));
  EXPECT_EQ(combined.shared, PageCount(3));
}

TEST(CombineRecordingsTest, WhatOnlyTheOlderShareComesAfterThat) {
  const CombinedRecordings combined = CombineRecordings(
      {Of({1, 2, 3}), Of({20, 3, 21, 1, 22}), Of({22, 30, 20, 31})});
  EXPECT_THAT(PagesOf(combined.order),
              ElementsAre(1, 3, 20, 22, 2, 21, 30, 31));
  EXPECT_EQ(combined.shared, PageCount(4));
}

TEST(CombineRecordingsTest, RunsAreCutWhereTheyOverlap) {
  KeptRecording newest, older;
  newest.recording.Append({ImagePage(0), PageCount(100)});
  older.recording.Append({ImagePage(90), PageCount(20)});
  older.recording.Append({ImagePage(40), PageCount(10)});
  EXPECT_THAT(CombineRecordings({newest, older}).order.runs(),
              ElementsAre(ImageRange{ImagePage(40), PageCount(10)},
                          ImageRange{ImagePage(90), PageCount(10)},
                          ImageRange{ImagePage(0), PageCount(40)},
                          ImageRange{ImagePage(50), PageCount(40)},
                          ImageRange{ImagePage(100), PageCount(10)}));
}

TEST(CombineRecordingsTest, TheSameThriceIsThatOrderAndAllShared) {
  const KeptRecording one = Of({3, 1, 2, 8});
  const CombinedRecordings combined = CombineRecordings({one, one, one});
  EXPECT_THAT(PagesOf(combined.order), ElementsAre(3, 1, 2, 8));
  EXPECT_EQ(combined.shared, PageCount(4));
}

TEST(CombineRecordingsTest, IsCutOffWhereARecordingIsFull) {
  KeptRecording newest, older;
  newest.recording.Append({ImagePage(0), Recording::kMostPages});
  older.recording.Append({ImagePage(1), Recording::kMostPages});
  const CombinedRecordings combined = CombineRecordings({newest, older});
  EXPECT_THAT(combined.order.runs(),
              ElementsAre(ImageRange{ImagePage(1),
                                     Recording::kMostPages - PageCount(1)},
                          ImageRange{ImagePage(0), PageCount(1)}));
}

}  // namespace
}  // namespace pagelift
