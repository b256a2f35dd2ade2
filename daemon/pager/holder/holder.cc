#include "daemon/pager/holder/holder.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>

#include "daemon/pager/holder/holder_page.h"
#include "daemon/pager/holder/open_descriptors.h"
#include "daemon/pager/holder/replace_holder.h"

namespace pagelift {
namespace {

// A worker that lived for so long was no victim of what killed the one before.
// What is killed from outside, as an operator or the kernel without memory
// does, is mostly no victim of itself.
constexpr int64_t kLongLifeNs = 5'000'000'000;
constexpr int64_t kLongLifeIfKilledNs = 100'000'000;
// How long we wait before we start another: not at all, then twice as long each
// time.
constexpr int64_t kFirstPauseNs = 10'000'000;
constexpr int64_t kLongestPauseNs = 5'000'000'000;
constexpr int kNoWorker = 126;  // As a shell says it of a program.

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

// Nobody reads a log of ours: the worker's has a line for each of its starts.
void Complain(const char* what) {
  fprintf(stderr, "pageliftd: %s: %s\n", what, strerror(errno));
}

HolderPage* Map(int fd) {
  void* const page = mmap(nullptr, sizeof(HolderPage), PROT_READ | PROT_WRITE,
                          MAP_SHARED, fd, 0);
  return page == MAP_FAILED ? nullptr : static_cast<HolderPage*>(page);
}

void NoteInherited(HolderPage& page) {
  size_t count = 0;
  for (HolderPage::Inherited& entry : page.inherited) entry.descriptor = -1;
  for (int fd : OpenDescriptors()) {
    struct stat file;
    if (count == HolderPage::kMostInherited) break;
    if (fd == page.descriptor || fstat(fd, &file) != 0) continue;
    page.inherited[count++] = {fd, file.st_dev, file.st_ino};
  }
}

HolderPage* NewPage() {
  const int fd = memfd_create("pagelift-holder", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, sizeof(HolderPage)) != 0) return nullptr;
  HolderPage* const page = Map(fd);
  if (page == nullptr) return nullptr;
  page->descriptor = fd;
  NoteInherited(*page);
  page->version = HolderPage::kVersion;
  page->next_session = 1;
  page->magic = HolderPage::kMagic;
  return page;
}

// That of the holder whose place we take, or a new one.
HolderPage* OpenPage() {
  const char* const told = getenv(kPageVariable);
  if (told == nullptr) return NewPage();
  HolderPage* const page = Map(atoi(told));
  unsetenv(kPageVariable);
  if (page == nullptr || page->magic != HolderPage::kMagic ||
      page->version != HolderPage::kVersion) {
    errno = EPROTO;
    return nullptr;
  }
  return page;
}

std::string LibraryBesideUs() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  std::string self(path, length < 0 ? 0 : static_cast<size_t>(length));
  const size_t slash = self.rfind('/');
  return self.substr(0, slash == std::string::npos ? 0 : slash + 1) +
         kWorkerLibrary;
}

// What a worker takes when it has time for it, and the hang-up of a terminal,
// which is none of its business.
sigset_t SignalsForLater() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

// In the worker's process.
[[noreturn]] void RunWorker(int argc, char* argv[], HolderPage* page) {
  prctl(PR_SET_NAME, "pageliftd-work");
  int code = kNoWorker;
  // A thread of its own: to libc this one has still the holder's number.
  std::thread worker([&] {
    const sigset_t blocked = SignalsForLater();
    pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
    void* const library =
        dlopen(("/proc/self/fd/" + std::to_string(page->library)).c_str(),
               RTLD_NOW | RTLD_LOCAL);
    void* const entry =
        library == nullptr ? nullptr : dlsym(library, kWorkerEntry);
    if (entry == nullptr) {
      fprintf(stderr, "pageliftd: %s\n", dlerror());
      return;
    }
    code = reinterpret_cast<WorkerEntry*>(entry)(argc, argv, page);
  });
  worker.join();
  exit(code);
}

// With our descriptors, and not only copies of them: when it dies none is
// closed, those that the kernel gave it included.
pid_t StartWorker(int argc, char* argv[], HolderPage* page) {
  const long pid =
      syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (pid == 0) RunWorker(argc, argv, page);
  return static_cast<pid_t>(pid);
}

bool AnySession(const HolderPage& page) {
  return std::any_of(std::begin(page.sessions), std::end(page.sessions),
                     [](const std::atomic<int32_t>& s) { return s != 0; });
}

class Holder {
 public:
  Holder(int argc, char* argv[], HolderPage* page)
      : argc_(argc), argv_(argv), page_(page) {
    // None of them ends us.
    sigfillset(&signals_);
    sigprocmask(SIG_BLOCK, &signals_, nullptr);
  }

  int Run() {
    while (true) {
      const int64_t start = NowNs();
      int64_t long_life = kLongLifeNs;
      worker_ = StartWorker(argc_, argv_, page_);
      if (worker_ < 0) {
        Complain("cannot start a worker");
        if (!AnySession(*page_)) return 1;
      } else {
        ++page_->workers;
        if (stop_signal_ != 0) kill(worker_, stop_signal_);
        const int status = AwaitWorker();
        if (page_->wants_upgrade != 0) {
          page_->last_status = -1;
          BecomeHolder(page_->upgrade_to, argv_, *page_);
          Complain(page_->upgrade_to);
          page_->wants_upgrade = 0;
        } else if (WIFEXITED(status) && !AnySession(*page_)) {
          return WEXITSTATUS(status);
        }
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
          long_life = kLongLifeIfKilledNs;
        }
        page_->last_status = status;
        ++page_->crashes;
      }
      if (long_life <= NowNs() - start) pause_ = 0;
      Pause();
    }
  }

 private:
  int AwaitWorker() {
    while (true) {
      siginfo_t signal;
      if (sigwaitinfo(&signals_, &signal) < 0) continue;
      Note(signal.si_signo);
      int status;
      if (waitpid(worker_, &status, WNOHANG) == worker_) {
        worker_ = 0;
        return status;
      }
    }
  }

  void Note(int signal) {
    if (signal != SIGTERM && signal != SIGINT) return;
    if (worker_ > 0) kill(worker_, signal);
    stop_signal_ = signal;
  }

  // So that one that dies at once does not take a processor for itself.
  void Pause() {
    const int64_t until = NowNs() + pause_;
    for (int64_t left = pause_; left > 0; left = until - NowNs()) {
      const timespec timeout = {left / 1'000'000'000, left % 1'000'000'000};
      const int signal = sigtimedwait(&signals_, nullptr, &timeout);
      if (signal > 0) Note(signal);
    }
    pause_ = std::clamp(2 * pause_, kFirstPauseNs, kLongestPauseNs);
  }

  const int argc_;
  char** const argv_;
  HolderPage* const page_;
  sigset_t signals_;
  pid_t worker_ = 0;
  int stop_signal_ = 0;
  int64_t pause_ = 0;
};

}  // namespace

int RunHolder(int argc, char* argv[]) {
  const bool goes_on = getenv(kPageVariable) != nullptr;
  HolderPage* const page = OpenPage();
  if (page == nullptr) {
    Complain("cannot set up the memory that is shared with the worker");
    // What we hold must stay open, though nobody will serve it.
    while (goes_on) pause();
    return 1;
  }
  page->holder = getpid();
  if (page->wants_upgrade.exchange(0) != 0) {
    ++page->upgrades;
  } else if (goes_on) {
    page->last_status = SIGKILL;  // The holder's, and we were its worker.
  }
  const std::string library = LibraryBesideUs();
  page->library = open(library.c_str(), O_RDONLY | O_CLOEXEC);
  if (page->library < 0) {
    Complain((library + ", which belongs beside pageliftd").c_str());
    if (!AnySession(*page)) return 1;
  }
  return Holder(argc, argv, page).Run();
}

}  // namespace pagelift
