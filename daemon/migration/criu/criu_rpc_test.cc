// The other end is the test's; the real one is met by held_restore_test and
// parked_dump_test.

#include "daemon/migration/criu/criu_rpc.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/read_file.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

class CriuRpcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(CriuRpc::Pair pair, CriuRpc::Make());
    rpc_.emplace(std::move(pair.rpc));
    criu_ = std::move(pair.for_criu);
    ASSERT_OK_AND_ASSIGN(self_, PidFd::Open(getpid()));
  }

  criu::RpcRequest Receive() {
    std::array<char, 4096> packet;
    const ssize_t size = recv(criu_.get(), packet.data(), packet.size(), 0);
    criu::RpcRequest request;
    EXPECT_TRUE(size > 0 &&
                request.ParseFromArray(packet.data(), static_cast<int>(size)));
    return request;
  }
  void Say(const std::string& packet) {
    EXPECT_EQ(send(criu_.get(), packet.data(), packet.size(), 0),
              static_cast<ssize_t>(packet.size()));
  }
  absl::StatusOr<criu::RpcResponse> NextSoon(int cancel = -1) {
    return rpc_->Next(*self_, MonotonicNow() + kSoon, cancel);
  }

  std::optional<CriuRpc> rpc_;
  UniqueFd criu_;
  std::optional<PidFd> self_;  // For a criu that lives.
};

TEST_F(CriuRpcTest, TellsWhatToDump) {
  TempDir dir;
  CriuWork work;
  work.kind = criu::RPC_DUMP;
  work.images = dir.path();
  work.work_dir = dir.path();
  work.log_file = "dump.log";
  work.log_level = 4;
  work.root = 4711;
  work.options = {"--network-lock=nftables"};
  work.config = "ps-socket 7\n";
  ASSERT_OK(rpc_->Begin(work));
  const criu::RpcRequest told = Receive();
  EXPECT_EQ(told.kind(), criu::RPC_DUMP);
  EXPECT_EQ(told.options().root(), 4711);
  EXPECT_EQ(told.options().log_level(), 4);
  EXPECT_EQ(told.options().log_file(), "dump.log");
  EXPECT_TRUE(told.options().notify());
  EXPECT_FALSE(told.options().lazy_pages());
  EXPECT_THAT(ReadFile(told.options().config_file()),
              IsOkAndHolds("network-lock \"nftables\"\nps-socket 7\n"));
  EXPECT_EQ(
      access(absl::StrCat("/proc/self/fd/", told.options().images_fd()).c_str(),
             F_OK),
      0);
}

TEST_F(CriuRpcTest, ARestoreHasNoRootAndNoConfigurationUnlessItNeedsOne) {
  TempDir dir;
  CriuWork work;
  work.kind = criu::RPC_RESTORE;
  work.images = dir.path();
  work.work_dir = dir.path();
  work.lazy = true;
  ASSERT_OK(rpc_->Begin(work));
  const criu::RpcRequest told = Receive();
  EXPECT_EQ(told.kind(), criu::RPC_RESTORE);
  EXPECT_FALSE(told.options().has_root());
  EXPECT_FALSE(told.options().has_config_file());
  EXPECT_TRUE(told.options().lazy_pages());
}

TEST_F(CriuRpcTest, WhatCannotBeSaidIsNotBegun) {
  CriuWork work;
  work.kind = criu::RPC_DUMP;
  work.options = {"--leave-running"};
  EXPECT_THAT(rpc_->Begin(work), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("criu dump")));
  work.options = {};
  work.images = "/no/such/directory";
  EXPECT_THAT(rpc_->Begin(work), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CriuRpcTest, HearsAndAnswers) {
  criu::RpcResponse said;
  said.set_kind(criu::RPC_NOTIFY);
  said.set_success(true);
  said.mutable_notice()->set_point("post-dump");
  Say(said.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const criu::RpcResponse heard, NextSoon());
  EXPECT_EQ(heard.notice().point(), "post-dump");
  for (bool go_on : {true, false}) {
    ASSERT_OK(rpc_->Answer(go_on));
    const criu::RpcRequest answer = Receive();
    EXPECT_EQ(answer.kind(), criu::RPC_NOTIFY);
    EXPECT_EQ(answer.go_on(), go_on);
  }
}

TEST_F(CriuRpcTest, TellsWhyThereIsNothingToHear) {
  EXPECT_THAT(rpc_->Next(*self_, MonotonicNow()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  const UniqueFd cancel(eventfd(1, EFD_CLOEXEC));
  EXPECT_THAT(NextSoon(cancel.get()), StatusIs(absl::StatusCode::kCancelled));
  Say("no message");
  EXPECT_THAT(NextSoon(), StatusIs(absl::StatusCode::kInternal));
  criu_.reset();
  EXPECT_THAT(NextSoon(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(rpc_->Answer(true).ok());
}

// Its socket is not closed as long as one of those lives that it has forked.
TEST_F(CriuRpcTest, ACriuThatHasEndedIsMissedThoughItsSocketIsOpen) {
  ProgramStart start;
  start.argv = {"/bin/false"};
  ASSERT_OK_AND_ASSIGN(ChildProgram program,
                       CriuRpc::StartCriu(std::move(start), criu_));
  EXPECT_THAT(rpc_->Next(program.process(), MonotonicNow() + kSoon),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(program.Wait(), IsOkAndHolds(1));
}

TEST_F(CriuRpcTest, TheLastWordIsHeardOfOneThatHasLeftSomethingUnread) {
  criu::RpcResponse said;
  said.set_kind(criu::RPC_DUMP);
  said.set_success(true);
  Say(said.SerializeAsString());
  ASSERT_OK(rpc_->Answer(true));
  criu_.reset();
  ASSERT_OK_AND_ASSIGN(const criu::RpcResponse heard, NextSoon());
  EXPECT_TRUE(heard.success());
  EXPECT_THAT(NextSoon(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(CriuRpcTest, NeitherEndIsInheritedByAccident) {
  EXPECT_EQ(fcntl(rpc_->fd(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(criu_.get(), F_GETFD), FD_CLOEXEC);
}

}  // namespace
}  // namespace pagelift
