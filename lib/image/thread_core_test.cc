#include "lib/image/thread_core.h"

#include "criu/core.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::StatusOr<ThreadCore> Decode(const criu::Core& core) {
  return DecodeThreadCore(
      "core-7.img",
      ImageMagic(ImageKind::kCore) + FramedRecord(core.SerializeAsString()));
}

TEST(ThreadCoreTest, ReadsTheNameAndTheStackPointer) {
  criu::Core message;
  message.mutable_task()->set_comm("redis");
  message.mutable_thread_x86()->mutable_registers()->set_stack_pointer(0x7ffc);
  ASSERT_OK_AND_ASSIGN(ThreadCore core, Decode(message));
  EXPECT_EQ(core.comm, "redis");
  EXPECT_EQ(core.stack_pointer, 0x7ffcu);
}

TEST(ThreadCoreTest, ReadsWhereTheKernelLooks) {
  criu::Core message;
  message.mutable_thread_x86()->set_clear_tid(0x1000);
  message.mutable_thread()->set_robust_list(0x2000);
  message.mutable_thread()->mutable_rseq()->set_area(0x3000);
  ASSERT_OK_AND_ASSIGN(ThreadCore core, Decode(message));
  EXPECT_THAT(core.kernel_words, ElementsAre(0x1000, 0x2000, 0x3000));
  EXPECT_EQ(core.robust_list, 0x2000u);
  ASSERT_OK_AND_ASSIGN(core, Decode(criu::Core()));
  EXPECT_THAT(core.kernel_words, IsEmpty());
  EXPECT_EQ(core.robust_list, std::nullopt);
}

TEST(ThreadCoreTest, TellsWhetherTheTaskWasStopped) {
  criu::Core message;
  message.mutable_task()->set_state(3);
  ASSERT_OK_AND_ASSIGN(ThreadCore core, Decode(message));
  EXPECT_TRUE(core.stopped);
  message.mutable_task()->set_state(1);
  ASSERT_OK_AND_ASSIGN(core, Decode(message));
  EXPECT_FALSE(core.stopped);
}

TEST(ThreadCoreTest, AZombieHasNoStackPointer) {
  criu::Core message;
  message.mutable_task()->set_comm("gone");
  ASSERT_OK_AND_ASSIGN(ThreadCore core, Decode(message));
  EXPECT_EQ(core.stack_pointer, std::nullopt);
}

TEST(ThreadCoreTest, RefusesWhatIsNoCore) {
  EXPECT_THAT(DecodeThreadCore("core-7.img", "nothing of the kind"),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace pagelift
