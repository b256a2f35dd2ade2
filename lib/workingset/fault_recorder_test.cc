#include "lib/workingset/fault_recorder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kStart = absl::Seconds(1000);
constexpr bool kWaiting = true;
constexpr bool kNotWaiting = false;

class FaultRecorderTest : public ::testing::Test {
 protected:
  FaultRecorderTest() { recorder_.Start(kStart); }

  // New faults, `count` of them, spread evenly over `time` from now on.
  void Fault(uint64_t count, absl::Duration time) {
    const absl::Duration begin = now_;
    for (uint64_t i = 0; i < count; ++i) {
      now_ = begin + time * static_cast<double>(i) / static_cast<double>(count);
      recorder_.OnFault(ImagePage(next_++ * 2), now_);
    }
    now_ = begin + time;
  }

  // Lets time pass, polling; whether the recording ended.
  bool Pass(absl::Duration time, bool waiting = kNotWaiting) {
    for (const absl::Duration end = now_ + time; now_ < end;) {
      now_ += absl::Milliseconds(50);
      recorder_.CheckSettled(now_, waiting);
    }
    return recorder_.settled();
  }

  FaultRecorder recorder_{PageCount(uint64_t{1} << 24)};
  absl::Duration now_ = kStart;
  uint64_t next_ = 0;
};

TEST_F(FaultRecorderTest, RecordsFirstTouchesInOrder) {
  for (uint64_t page : {9, 4, 5, 9, 6, 4, 1}) {
    recorder_.OnFault(ImagePage(page), now_);
  }
  EXPECT_FALSE(recorder_.settled());
  EXPECT_THAT(recorder_.Take().runs(),
              ElementsAre(ImageRange{ImagePage(9), PageCount(1)},
                          ImageRange{ImagePage(4), PageCount(3)},
                          ImageRange{ImagePage(1), PageCount(1)}));
}

TEST(FaultRecorderStartTest, RecordsNothingBeforeItIsStarted) {
  FaultRecorder recorder(PageCount(10));
  recorder.OnFault(ImagePage(1), kStart);
  recorder.Start(kStart);
  recorder.OnFault(ImagePage(2), kStart);
  EXPECT_EQ(recorder.Take().page_count(), PageCount(1));
}

TEST_F(FaultRecorderTest, RecordsNothingAfterItWasTaken) {
  Fault(10, absl::Milliseconds(1));
  EXPECT_EQ(recorder_.Take().page_count(), PageCount(10));
  Fault(10, absl::Milliseconds(1));
  EXPECT_TRUE(recorder_.settled());
  EXPECT_TRUE(recorder_.Take().empty());
}

TEST_F(FaultRecorderTest, EndsASecondAfterTheLastFault) {
  Fault(1000, absl::Milliseconds(300));
  EXPECT_FALSE(Pass(absl::Milliseconds(900)));
  EXPECT_TRUE(Pass(absl::Milliseconds(200)));
  EXPECT_EQ(recorder_.Take().page_count(), PageCount(1000));
}

TEST_F(FaultRecorderTest, EndsWhenNewFaultsAreRarerThanAHundredthOfTheirPeak) {
  Fault(1000, absl::Milliseconds(100));  // 10 000 a second.
  for (int i = 0; i < 50; ++i) {
    Fault(15, absl::Milliseconds(100));
    ASSERT_FALSE(recorder_.CheckSettled(now_, kNotWaiting)) << i;
  }
  for (int i = 0; i < 12; ++i) {
    Fault(5, absl::Milliseconds(100));
    recorder_.CheckSettled(now_, kNotWaiting);
  }
  EXPECT_TRUE(recorder_.settled());
}

TEST_F(FaultRecorderTest, APauseOfLessThanASecondIsNotTheEnd) {
  for (int i = 0; i < 5; ++i) {
    Fault(500, absl::Milliseconds(200));
    ASSERT_FALSE(Pass(absl::Milliseconds(850)));
  }
  EXPECT_EQ(recorder_.Take().page_count(), PageCount(2500));
}

TEST_F(FaultRecorderTest, OneFaultIsAPeakToo) {
  Fault(1, absl::Milliseconds(1));
  EXPECT_FALSE(Pass(absl::Milliseconds(900)));
  EXPECT_TRUE(Pass(absl::Milliseconds(200)));
}

TEST_F(FaultRecorderTest, OldFaultsDoNotKeepItGoing) {
  Fault(1, absl::Milliseconds(1));
  for (int i = 0; i < 30; ++i) {
    recorder_.OnFault(ImagePage(0), now_);
    Pass(absl::Milliseconds(50));
  }
  EXPECT_TRUE(recorder_.settled());
}

TEST_F(FaultRecorderTest, ATargetThatWaitsIsNotAtRest) {
  Fault(1000, absl::Milliseconds(100));
  EXPECT_FALSE(Pass(absl::Seconds(20), kWaiting));
  EXPECT_FALSE(Pass(absl::Milliseconds(900)));
  EXPECT_TRUE(Pass(absl::Milliseconds(150)));
}

TEST_F(FaultRecorderTest, ATargetThatTouchesNothingIsNotWaitedForForEver) {
  EXPECT_FALSE(Pass(absl::Seconds(9)));
  EXPECT_TRUE(Pass(absl::Seconds(2)));
  EXPECT_THAT(recorder_.Take().runs(), IsEmpty());
}

TEST_F(FaultRecorderTest, TheFirstFaultMayComeLate) {
  EXPECT_FALSE(Pass(absl::Seconds(9)));
  Fault(1000, absl::Milliseconds(100));
  EXPECT_FALSE(Pass(absl::Milliseconds(850)));
  EXPECT_TRUE(Pass(absl::Milliseconds(200)));
}

TEST_F(FaultRecorderTest, EndsWhenItIsFull) {
  Fault(Recording::kMostRuns, absl::Seconds(10));
  EXPECT_FALSE(recorder_.settled());
  Fault(1, absl::Milliseconds(1));
  EXPECT_TRUE(recorder_.settled());
  EXPECT_EQ(recorder_.Take().page_count(), PageCount(Recording::kMostRuns));
}

}  // namespace
}  // namespace pagelift
