// A worker that does what the holder's arguments say: each is what one worker
// does, in their order. See holder_test.cc.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "daemon/pager/holder/holder_page.h"

namespace pagelift {
namespace {

constexpr char kText[] = "kept";

// A descriptor on which a target would depend.
void LeaveSession(HolderPage& page) {
  const int fd = memfd_create("session", MFD_CLOEXEC);
  if (write(fd, kText, sizeof(kText)) != sizeof(kText)) abort();
  page.sessions[0] = fd + 1;
}

int CheckSession(HolderPage& page) {
  char text[sizeof(kText)] = {};
  const ssize_t length = pread(page.sessions[0] - 1, text, sizeof(text), 0);
  page.sessions[0] = 0;
  return length == sizeof(kText) && strcmp(text, kText) == 0 ? 0 : 99;
}

void AwaitTerm() {
  printf("ready\n");
  fflush(stdout);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  int signal;
  sigwait(&signals, &signal);
}

void Upgrade(HolderPage& page, const char* program) {
  strncpy(page.upgrade_to, program, sizeof(page.upgrade_to) - 1);
  page.wants_upgrade = 1;
  _exit(0);
}

constexpr int64_t kPatienceNs = 50'000'000;

void SleepFor(int64_t ns) {
  const timespec time = {ns / 1'000'000'000, ns % 1'000'000'000};
  nanosleep(&time, nullptr);
}

void StandStill(HolderPage& page) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  page.moved_ns = now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
  page.patience_ns = kPatienceNs;
  while (true) pause();
}

// With nothing to do.
void Rest(HolderPage& page) {
  page.moved_ns = 0;
  page.patience_ns = kPatienceNs;
  SleepFor(4 * kPatienceNs);
}

}  // namespace
}  // namespace pagelift

extern "C" __attribute__((visibility("default"))) int pageliftd_worker(
    int argc, char* argv[], pagelift::HolderPage* page) {
  using namespace pagelift;  // NOLINT: of one function.
  const int number = static_cast<int>(page->next_session++);
  if (argc <= number) return 98;
  const std::string action = argv[number];
  if (action == "crash") abort();
  if (action == "leave and crash") {
    LeaveSession(*page);
    abort();
  }
  if (action == "leave and end") {
    LeaveSession(*page);
    return 0;
  }
  if (action == "check") return CheckSession(*page);
  if (action == "term") {
    AwaitTerm();
    return 7;
  }
  if (action == "term and crash") {
    AwaitTerm();
    abort();
  }
  if (action == "leave and upgrade") {
    LeaveSession(*page);
    Upgrade(*page, argv[0]);
  }
  if (action == "upgrade to nothing") Upgrade(*page, "/nonexistent");
  if (action == "stand still") StandStill(*page);
  if (action == "rest") {
    Rest(*page);
    return 9;
  }
  if (action == "tell upgrades") return static_cast<int>(page->upgrades);
  if (action == "tell crashes") return static_cast<int>(page->crashes);
  return atoi(action.c_str());
}
