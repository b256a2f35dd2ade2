#include "daemon/pager/holder/holder.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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
#include "daemon/pager/holder/predecessors.h"
#include "daemon/pager/holder/replace_holder.h"
#include "daemon/pager/holder/rights.h"
#include "daemon/pager/holder/service_manager.h"
#include "daemon/pager/holder/stored_descriptors.h"

namespace pagelift {
namespace {

// A worker that lived for so long was no victim of what killed the one before.
// What is killed from outside, as an operator or the kernel without memory
// does, is mostly no victim of itself.
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kLongLifeNs = 5 * kSecondNs;
constexpr int64_t kLongLifeIfKilledNs = 100'000'000;
// How long we wait before we start another: not at all, then twice as long each
// time.
constexpr int64_t kFirstPauseNs = 10'000'000;
constexpr int64_t kLongestPauseNs = 5 * kSecondNs;
// How often we look whether the worker moves, at most and at least.
constexpr int64_t kFastestLookNs = 10'000'000;
constexpr int64_t kSlowestLookNs = 5 * kSecondNs;
constexpr int kNoWorker = 126;  // As a shell says it of a program.

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecondNs + now.tv_nsec;
}

// Nobody reads a log of ours: the worker's has a line for each of its starts.
void Complain(const char* what) {
  fprintf(stderr, "pageliftd: %s: %s\n", what, strerror(errno));
}

// An older one is shorter.
HolderPage* Map(int fd) {
  struct stat file;
  if (fstat(fd, &file) != 0) return nullptr;
  if (file.st_size < static_cast<off_t>(sizeof(HolderPage)) &&
      ftruncate(fd, sizeof(HolderPage)) != 0) {
    return nullptr;
  }
  void* const page = mmap(nullptr, sizeof(HolderPage), PROT_READ | PROT_WRITE,
                          MAP_SHARED, fd, 0);
  return page == MAP_FAILED ? nullptr : static_cast<HolderPage*>(page);
}

void NoteInherited(HolderPage& page, const Given& given) {
  auto is_given = [&given](int fd) {
    return std::any_of(given.descriptors.begin(), given.descriptors.end(),
                       [fd](const auto& d) { return d.now == fd; });
  };
  size_t count = 0;
  for (HolderPage::Inherited& entry : page.inherited) entry.descriptor = -1;
  for (int fd : OpenDescriptors()) {
    struct stat file;
    if (count == HolderPage::kMostInherited) break;
    if (fd == page.descriptor || is_given(fd) || fstat(fd, &file) != 0) {
      continue;
    }
    page.inherited[count++] = {fd, file.st_dev, file.st_ino};
  }
}

// Where commands are to be taken from, if we were given that.
void TakeControl(HolderPage& page, const Given& given) {
  for (const Given::Descriptor& d : given.descriptors) {
    int listens = 0;
    socklen_t size = sizeof(listens);
    if (d.home >= 0 ||
        getsockopt(d.now, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) {
      continue;
    }
    if (listens == 0) continue;
    page.control = d.now + 1;
    page.control_is_given = 1;
    return;
  }
}

HolderPage* NewPage(Given& given) {
  // They come first, so that nothing of ours is where they belong.
  BringHome(given);
  const int fd = memfd_create("pagelift-holder", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, sizeof(HolderPage)) != 0) return nullptr;
  HolderPage* const page = Map(fd);
  if (page == nullptr) return nullptr;
  page->descriptor = fd;
  NoteInherited(*page, given);
  page->version = HolderPage::kVersion;
  page->next_session = 1;
  page->lock = LockAgainstPredecessors(*page, fd);
  page->magic = HolderPage::kMagic;
  TakeControl(*page, given);
  return page;
}

// That of another holder; null, with errno, if it is none that we know.
HolderPage* MapOurs(int fd) {
  HolderPage* const page = Map(fd);
  if (page != nullptr && page->magic == HolderPage::kMagic &&
      page->version == HolderPage::kVersion) {
    return page;
  }
  errno = EPROTO;
  return nullptr;
}

// That of a daemon which has died and whose descriptors were kept for us.
HolderPage* RestoredPage(int fd, Given& given) {
  HolderPage* const page = MapOurs(fd);
  if (page == nullptr) return nullptr;
  // A manager need not end all of a service when one process of it ends.
  Given::Descriptor lock;
  lock.now = LockAgainstPredecessors(*page, fd);
  if (lock.now < 0) return nullptr;
  given.descriptors.push_back(lock);
  NoteInherited(*page, given);
  BringHome(given);
  page->lock = given.descriptors.back().now;
  page->restored = 1;
  page->told_ready = 0;
  page->control_is_given = 0;
  page->wants_upgrade = 0;
  ++page->crashes;
  TakeControl(*page, given);
  return page;
}

// That of the holder whose place we take.
HolderPage* PredecessorsPage(int fd) {
  unsetenv(kPageVariable);
  HolderPage* const page = MapOurs(fd);
  if (page == nullptr) return nullptr;
  // An older one has none; the lock is ours with its descriptors otherwise.
  if (page->lock == 0) page->lock = LockAgainstPredecessors(*page, fd);
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

std::string MainPid() { return "MAINPID=" + std::to_string(getpid()); }

// How often the service manager wants to see that we move; 0: never. See
// sd_watchdog_enabled(3) of systemd. Which process it meant does not matter: we
// are it, or have taken its place and said so.
int64_t WatchdogNs() {
  const char* const us = getenv("WATCHDOG_USEC");
  return us == nullptr ? 0 : 1000 * strtoll(us, nullptr, 10);
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
      page_->moved_ns = start;
      page_->worker_may_look = 0;
      page_->worker_has_looked = 0;
      worker_ = StartWorker(argc_, argv_, page_);
      if (worker_ < 0) {
        Complain("cannot start a worker");
        if (!AnySession(*page_)) return 1;
      } else {
        ++page_->workers;
        SetProcess(page_->running[1], worker_);
        page_->worker_may_look = 1;
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
      const int64_t wait = ShowThatWeMove();
      const timespec timeout = {wait / kSecondNs, wait % kSecondNs};
      Note(sigtimedwait(&signals_, nullptr, &timeout));
      int status;
      if (waitpid(worker_, &status, WNOHANG) == worker_) {
        worker_ = 0;
        return status;
      }
      EndIfStuck();
    }
  }

  // Tells the service manager, and returns when to do so again.
  int64_t ShowThatWeMove() {
    int64_t wait = kSlowestLookNs;
    if (page_->patience_ns > 0) wait = std::min(wait, page_->patience_ns / 4);
    if (watchdog_ns_ > 0) {
      // The manager waits for minutes, a worker looks for milliseconds.
      if (page_->worker_has_looked != 0) TellServiceManager("WATCHDOG=1");
      wait = std::min(wait, watchdog_ns_ / 3);
    }
    return std::max(wait, kFastestLookNs);
  }

  // A worker that stands still is as bad as a dead one, which has a successor.
  void EndIfStuck() {
    const int64_t patience = page_->patience_ns;
    const int64_t moved = page_->moved_ns;
    if (patience == 0 || moved == 0 || NowNs() - moved < patience) return;
    fprintf(stderr, "pageliftd: the worker, process %d, stands still: killed\n",
            worker_);
    page_->moved_ns = 0;
    kill(worker_, SIGKILL);
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
      const timespec timeout = {left / kSecondNs, left % kSecondNs};
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
  const int64_t watchdog_ns_ = WatchdogNs();
};

}  // namespace

int RunHolder(int argc, char* argv[]) {
  // One that takes another's place was executed as /proc/self/exe.
  prctl(PR_SET_NAME, "pageliftd");
  GiveUpRights(argc, argv);
  const char* const told = getenv(kPageVariable);
  Given given = TakeGiven();
  const auto stored =
      std::find_if(given.descriptors.begin(), given.descriptors.end(),
                   [](const Given::Descriptor& d) { return d.is_page; });
  const bool restored = told == nullptr && stored != given.descriptors.end();
  const bool goes_on = told != nullptr || restored;
  HolderPage* const page = told != nullptr ? PredecessorsPage(atoi(told))
                           : restored      ? RestoredPage(stored->now, given)
                                           : NewPage(given);
  if (page == nullptr) {
    Complain("cannot set up the memory that is shared with the worker");
    // What we hold must stay open, though nobody will serve it.
    while (goes_on) pause();
    return 1;
  }
  page->holder = getpid();
  SetProcess(page->running[0], getpid());
  if (page->wants_upgrade.exchange(0) != 0) {
    ++page->upgrades;
  } else if (goes_on) {
    page->last_status = SIGKILL;  // Of whoever was before us.
  }
  if (told != nullptr) TellServiceManager(MainPid().c_str());
  const std::string library = LibraryBesideUs();
  page->library = open(library.c_str(), O_RDONLY | O_CLOEXEC);
  if (page->library < 0) {
    Complain((library + ", which belongs beside pageliftd").c_str());
    if (!AnySession(*page)) return 1;
  }
  return Holder(argc, argv, page).Run();
}

}  // namespace pagelift
