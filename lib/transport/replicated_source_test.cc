#include "lib/transport/replicated_source.h"

#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/source/testing/fake_page_source.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/testing/waiting_sink.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr PageCount kPages(256);
constexpr size_t kReplicas = 3;

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

class ReplicatedSourceTest : public ::testing::Test {
 protected:
  // One that answers at once, unless the test says otherwise.
  void SetUp() override { Build(ReplicatedSource::Options()); }

  void Build(ReplicatedSource::Options options) {
    source_.reset();
    replicas_.clear();
    std::vector<ReplicatedSource::Replica> replicas;
    for (size_t i = 0; i < kReplicas; ++i) {
      auto replica = std::make_unique<FakePageSource>(
          OneTaskImage(23, {PageId(100), kPages}));
      replicas_.push_back(replica.get());
      replicas.push_back(
          {std::string(1, static_cast<char>('a' + i)), std::move(replica)});
    }
    source_ = std::make_unique<ReplicatedSource>(std::move(replicas), options);
  }
  // Only what is said, not what is silent, makes a replica unwell.
  void BuildPatient() {
    ReplicatedSource::Options options;
    options.demand_patience = absl::Hours(1);
    options.prefetch_patience = absl::Hours(1);
    Build(options);
  }

  FakePageSource& replica(size_t i) { return *replicas_[i]; }
  size_t Asked(size_t i) { return replica(i).requests().size(); }

  WaitingSink sink_;
  std::unique_ptr<ReplicatedSource> source_;
  std::vector<FakePageSource*> replicas_;  // source_'s.
};

TEST_F(ReplicatedSourceTest, TheFirstIsAskedAndNobodyElse) {
  source_->Start(&sink_);
  source_->Fetch(Pages(3, 1), Urgency::kDemand);
  source_->Fetch(Pages(8, 16), Urgency::kPrefetch);
  ASSERT_TRUE(sink_.WaitForPages(17));
  ExpectPattern(sink_, Pages(3, 1));
  ExpectPattern(sink_, Pages(8, 16));
  EXPECT_EQ(Asked(0), 2u);
  EXPECT_EQ(Asked(1) + Asked(2), 0u);
  EXPECT_EQ(source_->replica_counts().failovers, 0u);
  EXPECT_THAT(source_->trouble(), IsEmpty());
}

TEST_F(ReplicatedSourceTest, ALateDemandIsHedgedAndTheSecondAnswerDropped) {
  BuildPatient();
  replica(0).HoldReplies();
  source_->Start(&sink_);
  source_->Fetch(Pages(40, 8), Urgency::kPrefetch);
  source_->Fetch(Pages(3, 1), Urgency::kDemand);
  ASSERT_TRUE(sink_.WaitForPages(1));
  ExpectPattern(sink_, Pages(3, 1));
  EXPECT_EQ(Asked(1), 1u);
  EXPECT_EQ(Asked(2), 0u);
  EXPECT_EQ(source_->replica_counts().hedges, 1u);
  EXPECT_EQ(source_->replica_counts().hedges_won, 1u);
  replica(0).StopHolding();
  ASSERT_TRUE(sink_.WaitForPages(9));
  ExpectPattern(sink_, Pages(3, 1));  // Once.
  ExpectPattern(sink_, Pages(40, 8));
}

TEST_F(ReplicatedSourceTest, AHedgeThatLosesIsNotCountedAsWon) {
  BuildPatient();
  replica(0).HoldReplies();
  replica(1).HoldReplies();
  source_->Start(&sink_);
  source_->Fetch(Pages(3, 1), Urgency::kDemand);
  ASSERT_TRUE(replica(1).WaitForRequests(1, kSoon));
  replica(0).StopHolding();
  ASSERT_TRUE(sink_.WaitForPages(1));
  replica(1).StopHolding();
  EXPECT_EQ(source_->replica_counts().hedges, 1u);
  EXPECT_EQ(source_->replica_counts().hedges_won, 0u);
  ExpectPattern(sink_, Pages(3, 1));
}

TEST_F(ReplicatedSourceTest, NoMoreIsHedgedThanTheBudgetHas) {
  BuildPatient();
  replica(0).HoldReplies();
  source_->Start(&sink_);
  for (uint64_t page = 0; page < 40; ++page) {
    source_->Fetch(Pages(page, 1), Urgency::kDemand);
  }
  // Ten were saved up, and 40 demands earn nothing on top of that.
  ASSERT_TRUE(sink_.WaitForPages(10));
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_EQ(source_->replica_counts().hedges, 10u);
  replica(0).StopHolding();
  ASSERT_TRUE(sink_.WaitForPages(40));
  ExpectPattern(sink_, Pages(0, 40));
}

TEST_F(ReplicatedSourceTest, WhatWasAskedOfOneThatFailsGoesToTheNext) {
  BuildPatient();
  replica(0).HoldReplies();
  source_->Start(&sink_);
  source_->Fetch(Pages(40, 8), Urgency::kPrefetch);
  source_->Fetch(Pages(3, 1), Urgency::kDemand);
  replica(0).SetTrouble("the server is gone");
  replica(0).DropHeld();
  ASSERT_TRUE(sink_.WaitForPages(9));
  EXPECT_EQ(source_->replica_counts().failovers, 1u);
  EXPECT_THAT(source_->trouble(), HasSubstr("1 of 3"));
  EXPECT_THAT(source_->trouble(), HasSubstr("a: the server is gone"));
  // What comes next goes there, too, though the first is back.
  replica(0).SetTrouble("");
  source_->Fetch(Pages(100, 1), Urgency::kDemand);
  EXPECT_EQ(Asked(0), 2u);
  replica(1).SetTrouble("so is this one");
  ASSERT_TRUE(Eventually([this] {
    source_->Fetch(Pages(101, 1), Urgency::kDemand);
    return source_->replica_counts().failovers == 2;
  }));
  ExpectPattern(sink_, Pages(3, 1));
  ExpectPattern(sink_, Pages(40, 8));
}

TEST_F(ReplicatedSourceTest, ASilentOneIsNotWaitedFor) {
  for (Urgency urgency : {Urgency::kDemand, Urgency::kPrefetch}) {
    ReplicatedSource::Options options;
    options.prefetch_patience = absl::Milliseconds(300);
    Build(options);
    WaitingSink sink;
    replica(0).HoldReplies();
    replica(1).HoldReplies();
    source_->Start(&sink);
    source_->Fetch(Pages(0, 1), urgency);
    ASSERT_TRUE(sink.WaitForPages(1));
    EXPECT_EQ(replica(2).requests().size(), 1u);
    EXPECT_EQ(source_->replica_counts().failovers, 2u);
    ExpectPattern(sink, Pages(0, 1));
    source_->Stop();
  }
}

TEST_F(ReplicatedSourceTest, WhenNoneIsWellTheFirstToComeBackAnswers) {
  for (size_t back = 0; back < kReplicas; ++back) {
    BuildPatient();
    WaitingSink sink;
    for (size_t i = 0; i < kReplicas; ++i) {
      replica(i).SetTrouble("gone");
      replica(i).HoldReplies();
    }
    source_->Start(&sink);
    source_->Fetch(Pages(1, 1), Urgency::kDemand);
    EXPECT_THAT(source_->trouble(), HasSubstr("3 of 3"));
    replica(back).SetTrouble("");
    replica(back).StopHolding();
    ASSERT_TRUE(sink.WaitForPages(1)) << back;
    source_->Stop();
  }
}

TEST_F(ReplicatedSourceTest, WhatOneDoesNotHaveIntactComesFromAnother) {
  replica(0).FailFrom(ImagePage(4), absl::DataLossError("its disk"));
  replica(1).FailFrom(ImagePage(6), absl::DataLossError("its disk"));
  source_->Start(&sink_);
  source_->Fetch(Pages(0, 8), Urgency::kDemand);
  ASSERT_TRUE(sink_.WaitForPages(8));
  ExpectPattern(sink_, Pages(0, 8));
  EXPECT_EQ(Asked(2), 1u);
  EXPECT_EQ(source_->replica_counts().failovers, 0u);
}

TEST_F(ReplicatedSourceTest, WhatNobodyHasIsLost) {
  for (size_t i = 0; i < kReplicas; ++i) {
    replica(i).FailFrom(ImagePage(1), absl::DataLossError("its disk"));
  }
  source_->Start(&sink_);
  source_->Fetch(Pages(0, 2), Urgency::kPrefetch);
  ASSERT_TRUE(sink_.WaitForPages(2));
  ExpectPattern(sink_, Pages(0, 1));
  const WaitingSink::Answer lost = sink_.answers().at(1);
  EXPECT_TRUE(absl::IsDataLoss(lost.status)) << lost.status;
  EXPECT_EQ(lost.times, 1);
}

TEST_F(ReplicatedSourceTest, WhatOneMayHaveThatIsAwayIsWaitedFor) {
  BuildPatient();
  replica(0).FailFrom(ImagePage(1), absl::DataLossError("its disk"));
  replica(1).FailFrom(ImagePage(1), absl::DataLossError("its disk"));
  replica(2).SetTrouble("away");
  replica(2).HoldReplies();
  source_->Start(&sink_);
  source_->Fetch(Pages(1, 1), Urgency::kDemand);
  ASSERT_TRUE(replica(2).WaitForRequests(1, kSoon));
  EXPECT_THAT(sink_.answers(), IsEmpty());
  replica(2).StopHolding();
  ASSERT_TRUE(sink_.WaitForPages(1));
  ExpectPattern(sink_, Pages(1, 1));
}

TEST_F(ReplicatedSourceTest, NothingIsDeliveredAfterTheStop) {
  replica(0).HoldReplies();
  source_->Start(&sink_);
  source_->Fetch(Pages(1, 1), Urgency::kDemand);
  source_->Stop();
  replica(0).StopHolding();
  source_->Fetch(Pages(2, 1), Urgency::kDemand);
  source_->Stop();
  EXPECT_THAT(sink_.answers(), IsEmpty());
}

TEST_F(ReplicatedSourceTest, RecordingsAreKeptByAllThatAreWell) {
  replica(1).SetTrouble("gone");
  Recording recording;
  recording.Append(Pages(3, 2));
  EXPECT_OK(source_->KeepRecording(recording));
  EXPECT_THAT(replica(0).kept(), SizeIs(1));
  EXPECT_THAT(replica(1).kept(), SizeIs(0));
  EXPECT_THAT(replica(2).kept(), SizeIs(1));
  EXPECT_FALSE(source_->WorkingSet().ok());
  replica(2).KnowWorkingSet(recording);
  EXPECT_OK(source_->WorkingSet().status());
}

// Replicas that fail, fall silent, lose pages and cut their answers otherwise
// than each other: every page of every request is answered once.
TEST_F(ReplicatedSourceTest, EveryPageIsAnsweredOnceWhateverHappens) {
  ReplicatedSource::Options options;
  options.demand_patience = absl::Milliseconds(5);
  options.prefetch_patience = absl::Milliseconds(10);
  Build(options);
  source_->Start(&sink_);
  for (size_t i = 0; i < kReplicas; ++i) {
    replica(i).HoldReplies();
    replica(i).LimitBatches(PageCount(2 + i));
    replica(i).CutPiecesAt(1000 + 3000 * i);
  }
  std::atomic<bool> done{false};
  std::vector<std::thread> others;
  for (size_t i = 0; i < kReplicas; ++i) {
    others.emplace_back([&, i] {
      std::mt19937 random(static_cast<unsigned>(i));
      while (!done) {
        switch (random() % 8) {
          case 0:
            replica(i).SetTrouble("trouble");
            break;
          case 1:
            replica(i).SetTrouble("");
            break;
          case 2:
            absl::SleepFor(absl::Milliseconds(random() % 20));
            break;
          default:
            if (!replica(i).ReleaseOldest()) std::this_thread::yield();
        }
      }
    });
  }
  // Each page is prefetched or demanded, and none twice.
  for (uint64_t first = 0; first < kPages.raw(); first += 8) {
    source_->Fetch(Pages(first, 7), Urgency::kPrefetch);
    source_->Fetch(Pages(first + 7, 1), Urgency::kDemand);
    absl::SleepFor(absl::Milliseconds(2));
  }
  EXPECT_TRUE(sink_.WaitForPages(kPages.raw()));
  done = true;
  for (std::thread& other : others) other.join();
  source_->Stop();
  ExpectPattern(sink_, {ImagePage(0), kPages});
}

}  // namespace
}  // namespace pagelift
