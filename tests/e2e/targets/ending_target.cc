// A program of two processes whose threads end right after a restore.
//
//   ending_target --state DIR [--mib 96] [--seed 1]
//
// The kernel does two things when a thread ends, and waits for no page to do
// them: it clears a word that the thread named with set_tid_address(2), and it
// walks the list that it named with set_robust_list(2), to tell others that
// what it held is free. All of that lies here in pages that nobody else
// touches. On each command (see control_file.h) a thread ends and a process is
// killed; it answers "OK ..." if both was done, and makes new ones.

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "tests/e2e/targets/control_file.h"
#include "tests/e2e/targets/pattern.h"
#include "tests/e2e/targets/patterned_region.h"

namespace pagelift::e2e {
namespace {

constexpr size_t kMebibytePages = (size_t{1} << 20) / kPageBytes;
constexpr int kPatienceMs = 10'000;

// In memory that both processes share; restore brings that itself.
struct Shared {
  std::atomic<uint32_t> held{0};  // A robust futex, of the child.
  std::atomic<uint32_t> ready{0};
  std::atomic<uint32_t> may_end{0};
};

template <typename Is>
bool Eventually(Is is) {
  for (int i = 0; i < kPatienceMs; ++i) {
    if (is()) return true;
    usleep(1000);
  }
  return false;
}

class Endings {
 public:
  Endings(size_t mib, uint64_t seed)
      : pages_(PatternedRegion::Map("pages", mib * kMebibytePages, seed)),
        shared_(*new (MapShared()) Shared) {
    pages_.RewriteAll();
    Begin();
  }

  std::string Obey() {
    std::string wrong;
    if (!ThreadEnds()) wrong += " the word of a thread was not cleared;";
    if (!ChildEnds()) wrong += " what a killed process held is not free;";
    Begin();
    return wrong.empty() ? "OK endings" : "WRONG" + wrong;
  }

 private:
  static void* MapShared() {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::exit(70);
    return memory;
  }

  // Far from each other, and each in a page of its own.
  std::byte* Place(size_t number) const {
    return pages_.base() + (pages_.pages() * (number + 1) / 5) * kPageBytes;
  }
  auto* word() const { return reinterpret_cast<uint32_t*>(Place(0)); }

  void Begin() {
    shared_.may_end = 0;
    shared_.ready = 0;
    std::thread([this] {
      *word() = static_cast<uint32_t>(gettid());
      thread_ = gettid();
      syscall(SYS_set_tid_address, word());
      shared_.ready.fetch_add(1);
      while (shared_.may_end == 0) usleep(1000);
      // The library would look at its own word.
      syscall(SYS_exit, 0);
    }).detach();
    child_ = fork();
    if (child_ == 0) LiveAsChild();
    if (!Eventually([this] { return shared_.ready == 2; })) std::exit(71);
  }

  [[noreturn]] void LiveAsChild() {
    // Its end is no news to whoever watches the program.
    prctl(PR_SET_NAME, "ending_child");
    auto* head = reinterpret_cast<robust_list_head*>(Place(1));
    auto* entry = reinterpret_cast<robust_list*>(Place(2));
    head->list.next = entry;
    entry->next = &head->list;
    head->list_op_pending = nullptr;
    head->futex_offset = reinterpret_cast<std::byte*>(&shared_.held) -
                         reinterpret_cast<std::byte*>(entry);
    shared_.held = static_cast<uint32_t>(getpid());
    syscall(SYS_set_robust_list, head, sizeof(*head));
    shared_.ready.fetch_add(1);
    while (true) pause();
  }

  bool ThreadEnds() {
    const std::string task = "/proc/self/task/" + std::to_string(thread_);
    shared_.may_end = 1;
    // Not by its word: that must not be looked at before the kernel has.
    return Eventually([&] { return access(task.c_str(), F_OK) != 0; }) &&
           *static_cast<volatile uint32_t*>(word()) == 0;
  }

  bool ChildEnds() const {
    kill(child_, SIGKILL);
    return waitpid(child_, nullptr, 0) == child_ &&
           (shared_.held.load() & FUTEX_OWNER_DIED) != 0;
  }

  PatternedRegion pages_;
  Shared& shared_;
  std::atomic<pid_t> thread_{0};
  pid_t child_ = 0;
};

[[noreturn]] void Run(const std::string& state, size_t mib, uint64_t seed) {
  const ControlFolder control(state);
  control.TakeOverStandardStreams();
  Endings endings(mib, seed);
  std::string answer = "OK begun";
  for (uint64_t command = 0;;) {
    control.Answer(command, answer);
    command = control.WaitForCommandAfter(command);
    answer = endings.Obey();
  }
}

}  // namespace
}  // namespace pagelift::e2e

int main(int argc, char** argv) {
  std::string state;
  size_t mib = 96;
  uint64_t seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--state") state = argv[i + 1];
    if (name == "--mib") mib = std::strtoul(argv[i + 1], nullptr, 10);
    if (name == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (state.empty() || mib == 0) {
    std::fprintf(stderr, "usage: %s --state DIR [--mib N] [--seed N]\n",
                 argv[0]);
    return 64;
  }
  pagelift::e2e::Run(state, mib, seed);
}
