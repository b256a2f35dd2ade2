#include "lib/base/thread_name.h"

#include <sys/prctl.h>

#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

std::string OwnName() {
  char name[16] = {};
  prctl(PR_GET_NAME, name);
  return name;
}

TEST(ThreadNameTest, IsThatOfTheThreadAlone) {
  const std::string before = OwnName();
  std::thread([] {
    NameThisThread("of-fifteen-bytes-and-more");
    EXPECT_EQ(OwnName(), "of-fifteen-byte");
  }).join();
  EXPECT_EQ(OwnName(), before);
}

}  // namespace
}  // namespace pagelift
