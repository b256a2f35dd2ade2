#include "daemon/migration/parked/dump_advice.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The complaints are CRIU 4.2's own.
TEST(DumpAdviceTest, NamesTheOptionThatAllowsIt) {
  EXPECT_THAT(AdviceOnDump("Error (criu/tty.c:1822): tty: Found dangling tty "
                           "with sid 7 pgid 7 (pts) on peer fd 0."),
              HasSubstr("--shell-job"));
  EXPECT_THAT(AdviceOnDump("Error (criu/tty.c:410): tty: Found slave peer "
                           "index 0 without correspond master peer"),
              HasSubstr("--shell-job"));
  EXPECT_THAT(AdviceOnDump("Error (criu/files-reg.c:1122): Can't create link "
                           "remap for /lr. Use link-remap option."),
              HasSubstr("--link-remap"));
  EXPECT_THAT(AdviceOnDump("Error (criu/cr-dump.c:1): The root process 7 is "
                           "not a session leader. Consider using --shell-job"),
              HasSubstr("--shell-job"));
  EXPECT_THAT(AdviceOnDump("inet: Connected TCP socket, consider using "
                           "--tcp-established option."),
              HasSubstr("--tcp-established"));
  EXPECT_THAT(AdviceOnDump("unix: External socket is used. Consider using "
                           "--ext-unix-sk option."),
              HasSubstr("--ext-unix-sk"));
  EXPECT_THAT(AdviceOnDump("Some file locks are hold by dumping tasks! You can "
                           "try --file-locks to dump them."),
              HasSubstr("--file-locks"));
}

TEST(DumpAdviceTest, SendsToWhoeverCanHelp) {
  EXPECT_THAT(AdviceOnDump("Error (criu/kerndat.c:1): kerndat: failed"),
              HasSubstr("tools/install_deps"));
  EXPECT_THAT(AdviceOnDump("Unable to set a pipe size: Operation not "
                           "permitted"),
              HasSubstr("fs.pipe-max-size"));
}

TEST(DumpAdviceTest, SaysNothingAboutWhatItDoesNotKnow) {
  EXPECT_THAT(AdviceOnDump("Error (criu/cr-dump.c:1975): Dumping FAILED."),
              IsEmpty());
  EXPECT_THAT(AdviceOnDump(""), IsEmpty());
}

}  // namespace
}  // namespace pagelift
