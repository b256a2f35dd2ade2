#include "gtest/gtest.h"
#include "lib/migration/destination_protocol.h"
#include "lib/migration/source_protocol.h"

namespace pagelift {
namespace {

TEST(ProtocolNamesTest, WhatIsRecordedIsReadAgain) {
  for (SourceRecorded recorded :
       {SourceRecorded::kPlanned, SourceRecorded::kCommitted,
        SourceRecorded::kResumed, SourceRecorded::kSpooled,
        SourceRecorded::kReleased, SourceRecorded::kAborted}) {
    EXPECT_EQ(ParseSourceRecorded(ToString(recorded)), recorded);
  }
  for (DestinationRecorded recorded :
       {DestinationRecorded::kPrepared, DestinationRecorded::kHeld,
        DestinationRecorded::kCommitted, DestinationRecorded::kResuming,
        DestinationRecorded::kRunning, DestinationRecorded::kReleased,
        DestinationRecorded::kAborted}) {
    EXPECT_EQ(ParseDestinationRecorded(ToString(recorded)), recorded);
  }
  EXPECT_EQ(ParseSourceRecorded(""), std::nullopt);
  EXPECT_EQ(ParseDestinationRecorded("lost"), std::nullopt);
}

TEST(ProtocolNamesTest, EveryStepHasAName) {
  for (SourceStep step = SourceStep::kPrepare; step <= SourceStep::kNothing;
       step = static_cast<SourceStep>(static_cast<int>(step) + 1)) {
    EXPECT_NE(ToString(step), "");
  }
}

}  // namespace
}  // namespace pagelift
