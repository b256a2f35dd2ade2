#include "tests/stress/lazify/anonymous_memory.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift::stress {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;

TEST(AnonymousMemoryTest, TakesWhatRestoreWouldLeaveToAPager) {
  const std::vector<AnonymousMapping> mappings = ParseAnonymousMappings(
      "00001000-00002000 r-xp 00000000 08:01 77 /usr/bin/redis\n"
      "Size: 4 kB\nVmFlags: rd ex mr\n"
      "00002000-00003000 rw-p 00000000 00:00 0 [heap]\n"
      "Anonymous: 4 kB\nVmFlags: rd wr mr\n"
      "00003000-00005000 ---p 00000000 00:00 0 \n"
      "VmFlags: mr mw me\n"
      "00005000-00006000 rw-s 00000000 00:01 9 /dev/zero (deleted)\n"
      "VmFlags: rd wr sh\n"
      "00006000-00007000 rw-p 00000000 00:00 0 \n"
      "VmFlags: rd wr lo\n"
      "00007000-00008000 rw-p 00000000 00:00 0 [stack]\n"
      "VmFlags: rd wr gd\n"
      "00008000-00009000 r--p 00000000 00:00 0 [vvar]\n"
      "VmFlags: rd mr pf\n");
  EXPECT_THAT(
      mappings,
      ElementsAre(Field(&AnonymousMapping::pages, PagesOf(0x2000, 0x3000)),
                  Field(&AnonymousMapping::pages, PagesOf(0x3000, 0x5000)),
                  Field(&AnonymousMapping::pages, PagesOf(0x7000, 0x8000))));
  EXPECT_TRUE(mappings.back().is_stack);
}

}  // namespace
}  // namespace pagelift::stress
