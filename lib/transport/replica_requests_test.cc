#include "lib/transport/replica_requests.h"

#include <map>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kStart = absl::Seconds(100);
constexpr ReplicaSet kAll = 0b111;

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

MATCHER_P2(Is, replica, range, "asks that replica for that") {
  return arg.replica == static_cast<size_t>(replica) && arg.range == range;
}

class ReplicaRequestsTest : public ::testing::Test {
 protected:
  void Add(size_t replica, ImageRange range,
           Urgency urgency = Urgency::kDemand) {
    requests_.Add({replica, range, urgency}, now_);
  }
  std::vector<ImageRange> Take(ImageRange range,
                               Urgency urgency = Urgency::kDemand) {
    std::vector<ImageRange> taken;
    for (const auto& part : requests_.Take(urgency, range)) {
      taken.push_back(part.range);
    }
    return taken;
  }
  ReplicaRequests::Refused Refuse(size_t replica, ImageRange range,
                                  const absl::Status& why,
                                  ReplicaSet well = kAll) {
    return requests_.Refuse(replica, range, why, well, now_);
  }

  ReplicaRequests requests_{3};
  absl::Duration now_ = kStart;
};

TEST_F(ReplicaRequestsTest, WhatCameIsTakenOnce) {
  Add(0, Pages(10, 8));
  EXPECT_THAT(Take(Pages(12, 2)), ElementsAre(Pages(12, 2)));
  EXPECT_THAT(Take(Pages(10, 4)), ElementsAre(Pages(10, 2)));
  EXPECT_THAT(Take(Pages(0, 100)), ElementsAre(Pages(14, 4)));
  EXPECT_THAT(Take(Pages(0, 100)), IsEmpty());
  EXPECT_TRUE(requests_.empty());
}

TEST_F(ReplicaRequestsTest, OneAnswerAnswersOneRequest) {
  Add(0, Pages(1, 1));
  Add(1, Pages(1, 1));
  Add(0, Pages(1, 1), Urgency::kPrefetch);
  EXPECT_THAT(Take(Pages(1, 1)), ElementsAre(Pages(1, 1)));
  EXPECT_THAT(Take(Pages(1, 1)), ElementsAre(Pages(1, 1)));
  EXPECT_THAT(Take(Pages(1, 1)), IsEmpty());
  EXPECT_TRUE(requests_.has(Urgency::kPrefetch));
  EXPECT_FALSE(requests_.has(Urgency::kDemand));
}

TEST_F(ReplicaRequestsTest, LateDemandsAreHedgedOnceAndOnlyThey) {
  Add(0, Pages(1, 1));
  Add(0, Pages(2, 1), Urgency::kPrefetch);
  Add(1, Pages(3, 1));
  const absl::Duration later = now_ + absl::Milliseconds(5);
  now_ = later;
  Add(0, Pages(4, 1));
  EXPECT_THAT(requests_.Hedge(1, later, 10, now_),
              ElementsAre(Is(1, Pages(1, 1))));
  EXPECT_THAT(requests_.Hedge(1, later, 10, now_), IsEmpty());
  EXPECT_THAT(requests_.Hedge(2, later, 10, now_),
              ElementsAre(Is(2, Pages(3, 1))));
  EXPECT_EQ(requests_.Take(Urgency::kDemand, Pages(1, 1))[0].hedge, 1u);
  EXPECT_EQ(requests_.Take(Urgency::kDemand, Pages(4, 1))[0].hedge,
            std::nullopt);
}

TEST_F(ReplicaRequestsTest, NoMoreAreHedgedThanMayBe) {
  for (uint64_t page = 0; page < 5; ++page) Add(0, Pages(page, 1));
  now_ += absl::Seconds(1);
  EXPECT_EQ(requests_.Hedge(1, now_, 2, now_).size(), 2u);
  EXPECT_EQ(requests_.Hedge(1, now_, 0, now_).size(), 0u);
  EXPECT_EQ(requests_.Hedge(1, now_, 9, now_).size(), 3u);
}

TEST_F(ReplicaRequestsTest, FailsOverWhatNobodyWellWasAskedFor) {
  Add(0, Pages(1, 1));
  Add(1, Pages(2, 1));
  Add(0, Pages(8, 8), Urgency::kPrefetch);
  Take(Pages(8, 2), Urgency::kPrefetch);
  EXPECT_THAT(requests_.FailOver(0b110, 2, now_),
              ElementsAre(Is(2, Pages(1, 1)), Is(2, Pages(10, 6))));
  // Also when that one fails, and the first is back.
  EXPECT_THAT(requests_.FailOver(0b001, 0, now_),
              ElementsAre(Is(0, Pages(2, 1))));
  EXPECT_THAT(requests_.FailOver(0, 0, now_), IsEmpty());
}

TEST_F(ReplicaRequestsTest, KnowsSinceWhenEachOwesWhat) {
  Add(0, Pages(1, 1));
  now_ += absl::Seconds(1);
  Add(0, Pages(2, 1));
  requests_.FailOver(0b010, 1, now_);
  EXPECT_EQ(requests_.OwesSince(0, Urgency::kDemand), kStart);
  EXPECT_EQ(requests_.OwesSince(1, Urgency::kDemand), now_);
  EXPECT_EQ(requests_.OwesSince(2, Urgency::kDemand), absl::InfiniteDuration());
  EXPECT_EQ(requests_.OwesSince(0, Urgency::kPrefetch),
            absl::InfiniteDuration());
  Take(Pages(1, 1));
  EXPECT_EQ(requests_.OwesSince(0, Urgency::kDemand), now_);
}

TEST_F(ReplicaRequestsTest, WhatOneRefusesOthersAreAskedFor) {
  Add(0, Pages(0, 4));
  ReplicaRequests::Refused refused =
      Refuse(0, Pages(1, 2), absl::DataLossError("gone"), 0b101);
  // Rather one that is well.
  EXPECT_THAT(refused.ask, ElementsAre(Is(2, Pages(1, 2))));
  EXPECT_THAT(refused.lost, IsEmpty());
  EXPECT_EQ(requests_.OwesSince(0, Urgency::kDemand), kStart);
  refused = Refuse(2, Pages(1, 2), absl::DataLossError("gone"), 0b101);
  EXPECT_THAT(refused.ask, ElementsAre(Is(1, Pages(1, 2))));
  refused = Refuse(1, Pages(1, 1), absl::DataLossError("gone"));
  ASSERT_EQ(refused.lost.size(), 1u);
  EXPECT_EQ(refused.lost[0].range, Pages(1, 1));
  EXPECT_TRUE(absl::IsDataLoss(refused.lost[0].why));
  EXPECT_THAT(Take(Pages(2, 1)), ElementsAre(Pages(2, 1)));
  EXPECT_THAT(Take(Pages(0, 4)), ElementsAre(Pages(0, 1), Pages(3, 1)));
}

TEST_F(ReplicaRequestsTest, WhatOneMayHaveYetIsNotLost) {
  for (bool first : {true, false}) {
    Add(0, Pages(1, 1));
    const absl::Status lost = absl::DataLossError("gone");
    const absl::Status later = absl::UnavailableError("later");
    Refuse(0, Pages(1, 1), first ? later : lost);
    Refuse(1, Pages(1, 1), lost);
    const ReplicaRequests::Refused last =
        Refuse(2, Pages(1, 1), first ? lost : later);
    ASSERT_EQ(last.lost.size(), 1u);
    EXPECT_TRUE(absl::IsUnavailable(last.lost[0].why)) << last.lost[0].why;
    EXPECT_TRUE(requests_.empty());
  }
}

TEST_F(ReplicaRequestsTest, AHedgeThatIsRefusedLeavesTheOther) {
  Add(0, Pages(1, 1));
  requests_.Hedge(1, absl::InfiniteDuration(), 1, now_);
  Refuse(1, Pages(1, 1), absl::DataLossError("gone"), 0);
  Refuse(2, Pages(1, 1), absl::DataLossError("gone"), 0);
  EXPECT_THAT(Take(Pages(1, 1)), ElementsAre(Pages(1, 1)));
}

TEST_F(ReplicaRequestsTest, RefusalsOfWhatWasNotAskedForAreIgnored) {
  Add(0, Pages(1, 1));
  const ReplicaRequests::Refused refused =
      Refuse(1, Pages(0, 9), absl::DataLossError("gone"));
  EXPECT_THAT(refused.ask, IsEmpty());
  EXPECT_THAT(refused.lost, IsEmpty());
  EXPECT_THAT(Take(Pages(1, 1)), ElementsAre(Pages(1, 1)));
}

// Whatever happens, each page of each request comes out once.
class ReplicaRequestsModelTest : public ::testing::TestWithParam<unsigned> {
 protected:
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  ImageRange AnyPages() { return Pages(Below(60), 1 + Below(20)); }
  Urgency AnyUrgency() {
    return Below(2) == 0 ? Urgency::kDemand : Urgency::kPrefetch;
  }
  void Count(ImageRange range, int by) {
    for (uint64_t i = 0; i < range.count.raw(); ++i) {
      due_[range.first.raw() + i] += by;
    }
  }
  void Take(Urgency urgency, ImageRange range) {
    for (const auto& taken : requests_.Take(urgency, range)) {
      ASSERT_TRUE(range.Contains(taken.range));
      Count(taken.range, -1);
    }
  }
  void Step() {
    now_ += absl::Milliseconds(1);
    const size_t replica = Below(3);
    const ReplicaSet well = static_cast<ReplicaSet>(Below(8));
    switch (Below(5)) {
      case 0: {
        const ImageRange range = AnyPages();
        requests_.Add({replica, range, AnyUrgency()}, now_);
        Count(range, 1);
        break;
      }
      case 1:
        Take(AnyUrgency(), AnyPages());
        break;
      case 2:
        requests_.Hedge(replica, now_ - absl::Milliseconds(Below(20)), Below(4),
                        now_);
        break;
      case 3:
        requests_.FailOver(well, replica, now_);
        break;
      default:
        for (const auto& lost :
             requests_
                 .Refuse(replica, AnyPages(), absl::DataLossError("gone"), well,
                         now_)
                 .lost) {
          Count(lost.range, -1);
        }
        break;
    }
  }

  std::mt19937 random_{GetParam()};
  ReplicaRequests requests_{3};
  absl::Duration now_ = kStart;
  std::map<uint64_t, int> due_;
};

TEST_P(ReplicaRequestsModelTest, EveryPageComesOutOnce) {
  for (int step = 0; step < 500; ++step) Step();
  for (Urgency urgency : {Urgency::kDemand, Urgency::kPrefetch}) {
    while (requests_.has(urgency)) Take(urgency, Pages(0, 100));
  }
  for (const auto& [page, count] : due_) EXPECT_EQ(count, 0) << page;
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReplicaRequestsModelTest,
                         ::testing::Range(1u, 101u));

}  // namespace
}  // namespace pagelift
