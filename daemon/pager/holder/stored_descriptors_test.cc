#include "daemon/pager/holder/stored_descriptors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

// Runs `body` in a process of its own to which a service manager has given
// memory of these contents, under these names; true if it says so.
bool GivenTo(const std::vector<std::string>& contents, const std::string& names,
             const std::function<bool(Given)>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    for (size_t i = 0; i < contents.size(); ++i) {
      const int fd = memfd_create("given", 0);
      const std::string& text = contents[i];
      if (write(fd, text.data(), text.size()) < 0) _exit(2);
      // Those of the test itself are not needed any more.
      dup2(fd, 100 + static_cast<int>(i));
    }
    for (size_t i = 0; i < contents.size(); ++i) {
      dup2(100 + static_cast<int>(i), 3 + static_cast<int>(i));
    }
    close_range(3 + static_cast<unsigned>(contents.size()), ~0U, 0);
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(contents.size()).c_str(), 1);
    setenv("LISTEN_FDNAMES", names.c_str(), 1);
    _exit(body(TakeGiven()) ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string Read(int fd) {
  char text[16];
  const ssize_t length = pread(fd, text, sizeof(text), 0);
  return length < 0 ? "closed" : std::string(text, static_cast<size_t>(length));
}

bool ClosesOnExec(int fd) { return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

TEST(StoredDescriptorsTest, EachGetsItsNumberWhoeverHasItNow) {
  // They come as 3, 4, 5, and 6: two have each other's.
  EXPECT_TRUE(GivenTo(
      {"four", "three", "page", "nine"},
      "pagelift.4:pagelift.3:pagelift-page.70:pagelift.9", [](Given given) {
        BringHome(given);
        return Read(4) == "four" && Read(3) == "three" && Read(70) == "page" &&
               Read(9) == "nine" && Read(5) == "closed" &&
               Read(6) == "closed" && ClosesOnExec(70) &&
               given.descriptors[2].is_page && given.descriptors[2].now == 70 &&
               !given.descriptors[0].is_page;
      }));
}

TEST(StoredDescriptorsTest, WhatIsNotOursMakesRoom) {
  EXPECT_TRUE(GivenTo({"socket", "three"}, "pageliftd.socket:pagelift.3",
                      [](Given given) {
                        BringHome(given);
                        const Given::Descriptor& socket = given.descriptors[0];
                        return Read(3) == "three" && socket.home == -1 &&
                               socket.now != 3 && Read(socket.now) == "socket";
                      }));
}

TEST(StoredDescriptorsTest, ATakenNumberIsNotTakenAway) {
  EXPECT_TRUE(GivenTo({"a", "b"}, "pagelift.50:pagelift.50", [](Given given) {
    BringHome(given);
    return Read(50) == "a" && given.descriptors[1].home == -1 &&
           Read(given.descriptors[1].now) == "b";
  }));
}

TEST(StoredDescriptorsTest, NamesOfOthersAreNoNumbers) {
  EXPECT_TRUE(
      GivenTo({"a", "b", "c", "d", "e"},
              "pagelift.:pagelift.x7:pagelift.7x:pagelift.-7:pagelift.1",
              [](const Given& given) {
                for (const Given::Descriptor& d : given.descriptors) {
                  if (d.home != -1) return false;
                }
                return given.descriptors.size() == 5;
              }));
}

TEST(StoredDescriptorsTest, WhatIsForAnotherProcessIsNotTaken) {
  EXPECT_TRUE(GivenTo({"a"}, "pagelift.50", [](const Given& mine) {
    // It is told once.
    if (mine.descriptors.size() != 1 || getenv("LISTEN_FDS") != nullptr) {
      return false;
    }
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "1", 1);
    return TakeGiven().descriptors.empty();
  }));
}

}  // namespace
}  // namespace pagelift
