#include "daemon/pager/journal/session_journal.h"

#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/pager/journal/descriptor_store.h"
#include "daemon/pager/journal/testing/fake_service_manager.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::Contains;
using ::testing::Not;

constexpr PageCount kImage{10};

SessionJournal::Space SpaceOf(int uffd) {
  SessionJournal::Space space;
  space.uffd = uffd;
  return space;
}

class SessionJournalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(journal_, SessionJournal::Create(kImage));
  }
  void Crash() {
    UniqueFd memory(dup(journal_->fd()));
    ASSERT_OK_AND_ASSIGN(journal_, SessionJournal::Adopt(std::move(memory)));
  }
  std::vector<int> UserfaultFdsAfterACrash() {
    Crash();
    auto spaces = journal_->Spaces();
    EXPECT_OK(spaces.status());
    std::vector<int> uffds;
    for (const auto& space : *spaces) uffds.push_back(space->record().uffd);
    return uffds;
  }

  std::unique_ptr<SessionJournal> journal_;
};

TEST_F(SessionJournalTest, ParentsComeBeforeTheirChildrenWhateverTheirPlaces) {
  auto first = journal_->Add(SpaceOf(11), SpaceLayout());
  auto second = journal_->Add(SpaceOf(12), SpaceLayout());
  first->BeginClosing();
  first->EndClosing();
  auto third = journal_->Add(SpaceOf(13), SpaceLayout());  // Where it was.
  EXPECT_EQ(&third->record(), &first->record());
  EXPECT_EQ(UserfaultFdsAfterACrash(), (std::vector<int>{12, 13}));
  // And so on.
  auto fourth = journal_->Add(SpaceOf(14), SpaceLayout());
  EXPECT_EQ(UserfaultFdsAfterACrash(), (std::vector<int>{12, 13, 14}));
}

TEST_F(SessionJournalTest, OneThatWasBeingClosedIsForgotten) {
  auto first = journal_->Add(SpaceOf(11), SpaceLayout());
  auto second = journal_->Add(SpaceOf(12), SpaceLayout());
  first->BeginClosing();
  EXPECT_THAT(journal_->Descriptors(), Not(Contains(11)));
  EXPECT_EQ(UserfaultFdsAfterACrash(), (std::vector<int>{12}));
  EXPECT_FALSE(journal_->Has(11));
  EXPECT_TRUE(journal_->Has(12));
}

TEST_F(SessionJournalTest, APlaceThatIsUsedAgainHasNothingOfWhoWasThere) {
  auto first = journal_->Add(SpaceOf(11), SpaceLayout());
  first->MarkInstalled({ImagePage(0), kImage});
  first->Append({LayoutOp::Kind::kInsert, LayoutOp::Set::kVacated, 5, 5, 0});
  first->Commit();
  first->raw()[0] = std::byte{0x15};
  first->BeginClosing();
  first->EndClosing();
  PageMap map;
  ASSERT_OK(map.Add({PageId(1), kImage}, ImagePage(0)));
  auto second =
      journal_->Add(SpaceOf(12), SpaceLayout(std::move(map), RangeSet()));
  EXPECT_EQ(second->messages(), 0u);
  ASSERT_OK_AND_ASSIGN(SpaceLayout layout, second->Rebuild());
  EXPECT_EQ(layout.map().counts().missing, kImage);
  EXPECT_FALSE(layout.has_recent_moves());
}

TEST_F(SessionJournalTest, ATaskIsKnownBeforeItsLayoutIs) {
  auto task = journal_->Arrive(11, 4711, 23);
  EXPECT_THAT(journal_->Descriptors(), Contains(11));
  Crash();
  ASSERT_OK_AND_ASSIGN(auto spaces, journal_->Spaces());
  ASSERT_EQ(spaces.size(), 1u);
  const SpaceRecord& record = spaces[0]->record();
  EXPECT_EQ(record.state, SpaceRecord::kArrived);
  EXPECT_EQ(record.image_pid, 23);
  EXPECT_EQ(record.pid, 4711);
}

TEST_F(SessionJournalTest, WhatTheSessionIsSurvives) {
  SessionRecord& record = journal_->record();
  record.name.Set("s7");
  record.source.Set("grpc://host:1/name");
  record.trouble.Set(std::string(5000, 'x'));
  EXPECT_FALSE(record.name.Fits(std::string(64, 'x')));
  record.finished_ns = 5;
  journal_->counters()[0] = std::byte{9};
  Crash();
  SessionRecord& again = journal_->record();
  EXPECT_EQ(again.name.Get(), "s7");
  EXPECT_EQ(again.source.Get(), "grpc://host:1/name");
  EXPECT_EQ(again.trouble.Get(), std::string(1023, 'x'));
  EXPECT_EQ(again.finished_ns, 5);
  EXPECT_EQ(again.listener, -1);
  EXPECT_EQ(journal_->counters()[0], std::byte{9});
}

TEST_F(SessionJournalTest, AnotherVersionIsRefused) {
  journal_->record().version = 99;
  EXPECT_EQ(
      SessionJournal::Adopt(UniqueFd(dup(journal_->fd()))).status().code(),
      absl::StatusCode::kFailedPrecondition);
}

// Descriptors that are in the store of a service manager.
class KeptJournalTest : public SessionJournalTest {
 protected:
  void SetUp() override {
    SessionJournalTest::SetUp();
    journal_->KeepIn(store_);
    EXPECT_EQ(Told(), absl::StrCat("+", journal_->fd()));
  }
  // "+N": it has got N; "-N": it was told to drop it; empty: nothing.
  std::string Told() {
    const std::string message = manager_.NextMessage();
    if (message.empty()) return "";
    return absl::StrCat(absl::StartsWith(message, "FDSTORE=1") ? "+" : "-",
                        message.substr(message.rfind('.') + 1));
  }
  int NewDescriptor() {
    descriptors_.emplace_back(dup(journal_->fd()));
    return descriptors_.back().get();
  }

  TempDir dir_;
  FakeServiceManager manager_{dir_.Join("notify")};
  const std::unique_ptr<HolderPage> page_ = std::make_unique<HolderPage>();
  const DescriptorStore store_{page_.get()};
  std::vector<UniqueFd> descriptors_;
};

TEST_F(KeptJournalTest, AnAddressSpaceIsKeptFromItsArrivalToItsEnd) {
  const int uffd = NewDescriptor();
  const int pidfd = NewDescriptor();
  auto space = journal_->Arrive(uffd, 1, 1);
  EXPECT_EQ(Told(), absl::StrCat("+", uffd));
  SessionJournal::Space settled = SpaceOf(uffd);
  settled.pidfd = pidfd;
  journal_->Settle(*space, settled, SpaceLayout());
  EXPECT_EQ(Told(), absl::StrCat("+", pidfd));
  EXPECT_EQ(Told(), "");  // The other is there already.
  space->BeginClosing();
  EXPECT_EQ(Told(), absl::StrCat("-", uffd));
  EXPECT_EQ(Told(), absl::StrCat("-", pidfd));
}

TEST_F(KeptJournalTest, AChildIsKeptBeforeAnythingElseIsDoneWithIt) {
  const int uffd = NewDescriptor();
  journal_->KeepChild(uffd);
  EXPECT_EQ(Told(), absl::StrCat("+", uffd));
  auto space = journal_->Add(SpaceOf(uffd), SpaceLayout());
  EXPECT_EQ(Told(), "");  // It is there already.
  space->BeginClosing();
  EXPECT_EQ(Told(), absl::StrCat("-", uffd));
}

TEST_F(KeptJournalTest, AChildThatCannotBeEnteredIsNotKept) {
  const int uffd = NewDescriptor();
  journal_->KeepChild(uffd);
  EXPECT_EQ(Told(), absl::StrCat("+", uffd));
  journal_->ForgetChild(uffd);
  EXPECT_EQ(Told(), absl::StrCat("-", uffd));
}

TEST_F(KeptJournalTest, AChildsProcessIsKeptWhenItIsKnown) {
  const int uffd = NewDescriptor();
  const int pidfd = NewDescriptor();
  auto space = journal_->Add(SpaceOf(uffd), SpaceLayout());
  EXPECT_EQ(Told(), absl::StrCat("+", uffd));
  EXPECT_EQ(Told(), "");
  space->SetProcess(1, pidfd);
  EXPECT_EQ(Told(), absl::StrCat("+", pidfd));
}

TEST_F(KeptJournalTest, SocketsAreKeptAsLongAsTheyAreListenedTo) {
  const int listener = NewDescriptor();
  const int handoff = NewDescriptor();
  journal_->SetListener(listener);
  EXPECT_EQ(Told(), absl::StrCat("+", listener));
  journal_->SetListener(listener);
  EXPECT_EQ(Told(), "");
  journal_->SetHandoff(handoff);
  EXPECT_EQ(Told(), absl::StrCat("+", handoff));
  journal_->SetListener(-1);
  EXPECT_EQ(Told(), absl::StrCat("-", listener));
  journal_->SetHandoff(-1);
  EXPECT_EQ(Told(), absl::StrCat("-", handoff));
}

TEST_F(KeptJournalTest, WhoTakesOverGivesWhatWasNotGivenInTime) {
  const int uffd = NewDescriptor();
  auto space = journal_->Add(SpaceOf(uffd), SpaceLayout());
  EXPECT_EQ(Told(), absl::StrCat("+", uffd));
  space->record().kept = 0;  // As if it had died before.
  Crash();
  journal_->KeepIn(store_);
  EXPECT_EQ(Told(), absl::StrCat("+", uffd));
  EXPECT_EQ(Told(), "");
}

TEST_F(KeptJournalTest, APlaceWhoseOwnerDiedOverItsEndKeepsTheNextOne) {
  const int uffd = NewDescriptor();
  auto space = journal_->Add(SpaceOf(uffd), SpaceLayout());
  EXPECT_EQ(Told(), absl::StrCat("+", uffd));
  space->record().state = SpaceRecord::kClosing;
  EXPECT_TRUE(UserfaultFdsAfterACrash().empty());
  journal_->KeepIn(store_);
  const int next = NewDescriptor();
  auto next_space = journal_->Add(SpaceOf(next), SpaceLayout());
  EXPECT_EQ(Told(), absl::StrCat("+", next));
}

}  // namespace
}  // namespace pagelift
