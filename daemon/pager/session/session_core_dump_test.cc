// A target that dumps core: the kernel takes what is there, and does not wait
// for what is not.

#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "daemon/pager/session/session.h"
#include "daemon/pager/session/testing/held_session_test_base.h"
#include "gtest/gtest.h"
#include "lib/base/testing/instrumented.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;

class CoreDumpSessionTest : public HeldSessionTestBase {
 protected:
  void SetUp() override {
    if (kInstrumented) GTEST_SKIP() << "a sanitizer's memory is dumped, too";
    std::ifstream("/proc/sys/kernel/core_pattern") >> pattern_;
    if (pattern_.empty() || pattern_[0] == '|' || pattern_[0] == '/') {
      GTEST_SKIP() << "core dumps go to " << pattern_;
    }
    HeldSessionTestBase::SetUp();
  }

  // All that was dumped, once `process` has ended.
  static std::string Dump(const std::string& directory) {
    std::string dump;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      std::ifstream file(entry.path(), std::ios::binary);
      dump.append(std::istreambuf_iterator<char>(file), {});
    }
    return dump;
  }
  static std::string Contents(uint64_t image_page) {
    const PageBytes page = PatternOf(ImagePage(image_page));
    return std::string(reinterpret_cast<const char*>(page.data()), page.size());
  }

  std::string pattern_;
  TempDir core_;
};

TEST_F(CoreDumpSessionTest, ADumpHasWhatHasArrivedAndEndsTheSession) {
  Bring(5);
  thread().StartPathOp(Op::kAbort, {}, core_.path());
  EXPECT_TRUE(WaitUntilEnded());
  ASSERT_TRUE(Eventually([this] { return target_.HasExited(thread()); }));
  const std::string dump = Dump(core_.path());
  EXPECT_NE(dump.find(Contents(5)), std::string::npos);
  EXPECT_EQ(dump.find(Contents(6)), std::string::npos);
}

TEST_F(CoreDumpSessionTest, AChildsDumpLeavesItsParentsMemoryAlone) {
  TargetThread& child = target_.Fork(thread());
  child.StartPathOp(Op::kAbort, {}, core_.path());
  ASSERT_TRUE(
      Eventually([this] { return session_->Snapshot().address_spaces == 1; }));
  EXPECT_FALSE(Dump(core_.path()).empty());
  Release();
  for (uint64_t i = 0; i < kPages.raw(); ++i) ExpectImagePage(i, i);
}

TEST_F(CoreDumpSessionTest, ADumpAfterTheEndIsWhole) {
  Release();
  thread().StartPathOp(Op::kAbort, {}, core_.path());
  ASSERT_TRUE(Eventually([this] { return target_.HasExited(thread()); }));
  const std::string dump = Dump(core_.path());
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    EXPECT_NE(dump.find(Contents(i)), std::string::npos) << i;
  }
}

}  // namespace
}  // namespace pagelift
