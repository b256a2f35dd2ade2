#include "daemon/pager/holder/replace_holder.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <vector>

#include "daemon/pager/holder/open_descriptors.h"

namespace pagelift {
namespace {

// What execve(2) is to be given. Made beforehand: in a process that was made
// from one with threads nothing can be allocated.
class NextHolder {
 public:
  NextHolder(const char* program, char* argv[], const HolderPage& page)
      : program_(program), argv_(argv) {
    snprintf(page_variable_, sizeof(page_variable_), "%s=%d", kPageVariable,
             page.descriptor);
    for (char** variable = environ; *variable != nullptr; ++variable) {
      environment_.push_back(*variable);
    }
    environment_.push_back(page_variable_);
    environment_.push_back(nullptr);
  }

  // All descriptors are kept; what is not needed the next worker closes.
  // Returns, with errno, only if that is not possible.
  void Execute() const {
    auto keep = [](int fd, void*) { fcntl(fd, F_SETFD, 0); };
    if (!ForEachOpenDescriptor(keep, nullptr)) return;
    execve(program_, argv_, environment_.data());
  }

 private:
  const char* const program_;
  char** const argv_;
  char page_variable_[64];
  std::vector<char*> environment_;
};

}  // namespace

void BecomeHolder(const char* program, char* argv[], const HolderPage& page) {
  NextHolder(program, argv, page).Execute();
}

void ReplaceHolder(const char* program, char* argv[], const HolderPage& page) {
  const NextHolder next(program, argv, page);
  const pid_t us = getpid();
  // It shares our descriptors, and so has what our threads still get.
  const long pid =
      syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (pid < 0) return;
  if (pid > 0) _exit(0);
  const timespec between_looks = {0, 100'000};
  while (getppid() == us) nanosleep(&between_looks, nullptr);
  next.Execute();
  // Nobody will serve, but nothing is closed.
  while (true) pause();
}

}  // namespace pagelift
