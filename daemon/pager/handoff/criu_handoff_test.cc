#include "daemon/pager/handoff/criu_handoff.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/process/testing/channel_pair.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::byte> Word(int32_t value) {
  std::vector<std::byte> bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

class CriuHandoffTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(auto pair, MakeChannelPair());
    restore_.emplace(std::move(pair.first));
    ASSERT_OK(pair.second.SetPassCredentials());
    handoff_.emplace(std::move(pair.second));
  }

  void SendTask(int32_t pid) {
    ASSERT_OK(restore_->Send(Word(pid)));
    UniqueFd fd(eventfd(0, EFD_CLOEXEC));
    std::byte zero{0};
    ASSERT_OK(restore_->SendWithFd({&zero, 1}, fd.get()));
  }

  std::optional<FdChannel> restore_;
  std::optional<CriuHandoff> handoff_;
};

TEST_F(CriuHandoffTest, DecodesTasksZombiesAndTheEnd) {
  SendTask(23);
  ASSERT_OK(restore_->Send(Word(-42)));
  SendTask(7);
  ASSERT_OK(restore_->Send(Word(0x52535446)));
  restore_.reset();
  ASSERT_OK_AND_ASSIGN(std::vector<HandoffEvent> events, handoff_->Receive());
  ASSERT_THAT(events, SizeIs(5));
  EXPECT_EQ(std::get<TaskArrived>(events[0]).image_pid, 23);
  EXPECT_TRUE(std::get<TaskArrived>(events[0]).userfaultfd.valid());
  EXPECT_EQ(std::get<TaskArrived>(events[0]).host_pid, getpid());
  EXPECT_EQ(std::get<ZombieArrived>(events[1]).image_pid, 42);
  EXPECT_EQ(std::get<TaskArrived>(events[2]).image_pid, 7);
  EXPECT_TRUE(std::holds_alternative<RestoreFinished>(events[3]));
  EXPECT_TRUE(std::holds_alternative<RestoreHungUp>(events[4]));
}

TEST_F(CriuHandoffTest, WaitsForTheRestOfAWord) {
  std::vector<std::byte> word = Word(-42);
  ASSERT_OK(restore_->Send(absl::MakeSpan(word).first(3)));
  EXPECT_THAT(*handoff_->Receive(), IsEmpty());
  ASSERT_OK(restore_->Send(absl::MakeSpan(word).last(1)));
  ASSERT_OK_AND_ASSIGN(std::vector<HandoffEvent> events, handoff_->Receive());
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(std::get<ZombieArrived>(events[0]).image_pid, 42);
}

TEST_F(CriuHandoffTest, ATaskCountsOnlyWithItsDescriptor) {
  ASSERT_OK(restore_->Send(Word(23)));
  EXPECT_THAT(*handoff_->Receive(), IsEmpty());
}

TEST_F(CriuHandoffTest, RefusesATaskWithoutADescriptor) {
  ASSERT_OK(restore_->Send(Word(23)));
  std::byte zero{0};
  ASSERT_OK(restore_->Send({&zero, 1}));
  EXPECT_THAT(handoff_->Receive(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("task 23 came with 0 descriptors")));
}

TEST_F(CriuHandoffTest, WhatCameBeforeTheDamageIsNotLostWithIt) {
  SendTask(23);
  ASSERT_OK(restore_->Send(Word(0x20544547)));
  ASSERT_OK_AND_ASSIGN(std::vector<HandoffEvent> events, handoff_->Receive());
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_TRUE(std::get<TaskArrived>(events[0]).userfaultfd.valid());
  EXPECT_THAT(handoff_->Receive(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(CriuHandoffTest, AfterARefusalRestoreCannotSayMoreAndNothingIsLost) {
  SendTask(23);
  handoff_->RefuseMore();
  EXPECT_FALSE(restore_->Send(Word(0x52535446)).ok());
  ASSERT_OK_AND_ASSIGN(std::vector<HandoffEvent> events, handoff_->Receive());
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(std::get<TaskArrived>(events[0]).image_pid, 23);
  EXPECT_TRUE(std::holds_alternative<RestoreHungUp>(events[1]));
}

TEST_F(CriuHandoffTest, RefusesWhatIsNoPid) {
  ASSERT_OK(restore_->Send(Word(0x20544547)));  // "GET "
  EXPECT_THAT(handoff_->Receive(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("does not speak CRIU's protocol")));
}

}  // namespace
}  // namespace pagelift
