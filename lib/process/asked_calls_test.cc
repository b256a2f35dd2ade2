// With a real program that is asked about by a real kernel.

#include "lib/process/asked_calls.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/process/child_program.h"

namespace pagelift {
namespace {

// Asks about mkdir(2), which `mkdir` calls once, and statfs(2) of stat(1).
std::vector<sock_filter> AskAbout(uint32_t call) {
  return {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
}

class AskedCallsTest : public ::testing::Test {
 protected:
  ChildProgram Start(std::vector<std::string> argv, uint32_t call) {
    ProgramStart start;
    start.argv = std::move(argv);
    start.output = dir_.Join("output");
    start.filter = AskAbout(call);
    absl::StatusOr<ChildProgram> child = ChildProgram::Start(start);
    EXPECT_OK(child);
    return *std::move(child);
  }
  ChildProgram MakeDirectory() {
    return Start({"mkdir", directory()}, SYS_mkdir);
  }
  std::string directory() const { return dir_.Join("made"); }
  bool IsMade() const { return access(directory().c_str(), F_OK) == 0; }

  TempDir dir_;
};

TEST_F(AskedCallsTest, TheCallIsTold) {
  ChildProgram child = MakeDirectory();
  const AskedCalls calls(child.TakeListener());
  ASSERT_OK_AND_ASSIGN(const AskedCall call, calls.Next(-1));
  EXPECT_EQ(call.number, SYS_mkdir);
  EXPECT_EQ(call.tid, child.pid());
  std::string path(directory().size(), '\0');
  EXPECT_OK(
      ReadMemoryOf(call.tid, call.arguments[0], path.data(), path.size()));
  EXPECT_EQ(path, directory());
  EXPECT_TRUE(calls.StillWaits(call));
  EXPECT_FALSE(IsMade());
  calls.Continue(call);
  EXPECT_THAT(child.Wait(), IsOkAndHolds(0));
  EXPECT_TRUE(IsMade());
  EXPECT_FALSE(calls.StillWaits(call));
  EXPECT_THAT(calls.Next(-1), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(AskedCallsTest, TheCallFailsAsItIsTold) {
  ChildProgram child = MakeDirectory();
  const AskedCalls calls(child.TakeListener());
  ASSERT_OK_AND_ASSIGN(const AskedCall call, calls.Next(-1));
  calls.Fail(call, ENOSPC);
  EXPECT_THAT(child.Wait(), IsOkAndHolds(1));
  EXPECT_FALSE(IsMade());
}

TEST_F(AskedCallsTest, TheCallReturnsWhatItIsTold) {
  ChildProgram child = MakeDirectory();
  const AskedCalls calls(child.TakeListener());
  ASSERT_OK_AND_ASSIGN(const AskedCall call, calls.Next(-1));
  calls.Return(call, 0);
  EXPECT_THAT(child.Wait(), IsOkAndHolds(0));
  EXPECT_FALSE(IsMade());
}

TEST_F(AskedCallsTest, AnotherFileIsGiven) {
  const UniqueFd file(memfd_create("other", MFD_CLOEXEC));
  ASSERT_EQ(write(file.get(), "other\n", 6), 6);
  ASSERT_EQ(lseek(file.get(), 0, SEEK_SET), 0);
  ChildProgram child =
      Start({"grep", "-q", "^other$", "/etc/passwd"}, SYS_openat);
  const AskedCalls calls(child.TakeListener());
  while (true) {
    const absl::StatusOr<AskedCall> call = calls.Next(-1);
    if (!call.ok()) break;
    char path[12] = "";
    const absl::Status read =
        ReadMemoryOf(call->tid, call->arguments[1], path, sizeof(path));
    if (read.ok() && std::string(path, 11) == "/etc/passwd") {
      EXPECT_OK(calls.ReturnDescriptor(*call, file.get()));
    } else {
      calls.Continue(*call);
    }
  }
  EXPECT_THAT(child.Wait(), IsOkAndHolds(0));
}

TEST_F(AskedCallsTest, MemoryIsWritten) {
  ChildProgram child = MakeDirectory();
  const AskedCalls calls(child.TakeListener());
  ASSERT_OK_AND_ASSIGN(const AskedCall call, calls.Next(-1));
  const std::string last = directory().substr(directory().size() - 4);
  ASSERT_EQ(last, "made");
  EXPECT_OK(WriteMemoryOf(call.tid, call.arguments[0] + directory().size() - 4,
                          "done", 4));
  calls.Continue(call);
  EXPECT_THAT(child.Wait(), IsOkAndHolds(0));
  EXPECT_FALSE(IsMade());
  EXPECT_EQ(access(dir_.Join("done").c_str(), F_OK), 0);
  EXPECT_FALSE(WriteMemoryOf(getpid(), 0, "x", 1).ok());
}

TEST_F(AskedCallsTest, WaitingIsBrokenOff) {
  ChildProgram child = Start({"sleep", "1000"}, SYS_mkdir);
  const AskedCalls calls(child.TakeListener());
  const UniqueFd stop(eventfd(1, EFD_CLOEXEC));
  EXPECT_THAT(calls.Next(stop.get()), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_OK(child.process().Kill());
  EXPECT_THAT(calls.Next(-1), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(child.Wait());
}

TEST_F(AskedCallsTest, WithoutAnybodyToAnswerTheCallFails) {
  ChildProgram child = MakeDirectory();
  { const AskedCalls calls(child.TakeListener()); }
  EXPECT_THAT(child.Wait(), IsOkAndHolds(1));
  EXPECT_FALSE(IsMade());
}

}  // namespace
}  // namespace pagelift
