#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_MODEL_KERNEL_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_MODEL_KERNEL_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "daemon/pager/session/target_memory.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/uffd/event.h"

namespace pagelift {

// What went on, and the first thing that went wrong.
class ModelTrace {
 public:
  void Say(std::string line);
  void Fail(std::string what);
  bool failed() const { return !failure_.empty(); }
  // The failure, and what came before it.
  std::string Report() const;

 private:
  std::deque<std::string> lines_;
  std::string failure_;
};

// One address space and its threads as Linux has them, and what each of its
// pages must hold, which Linux does not know. One step of a thread at a time,
// at the points where other threads and the pager can come between: a change of
// the layout, the event about it, and the time until it has been read.
//
// Fails the trace at the first byte that is installed or read and is not what
// the page must hold, and if the pager lets go while something is missing.
//
// Thread-compatible.
class ModelKernel : public std::enable_shared_from_this<ModelKernel> {
 public:
  static constexpr uint64_t kPages = 64;
  static constexpr size_t kThreads = 4;
  // The first page; those above belong to it.
  static constexpr PageId kBase{0x10000};

  // Pages [0, lazy) are registered and missing, page i of the image; up to
  // `registered` they are registered, missing and zero.
  ModelKernel(std::mt19937& random, ModelTrace& trace, uint64_t lazy,
              uint64_t registered);

  // The pager does not know whose memory it is and sees no mappings: threads
  // use no MADV_WIPEONFORK and let nothing grow; see docs/correctness.md.
  void BeUnknown() { known_ = false; }

  // What the pager gets. Once.
  std::unique_ptr<TargetMemory> Memory();

  // Lets a thread make its next step, if it can make one.
  void Step(size_t thread);
  // From now on threads finish what they are at, and begin nothing.
  void BeginNothing() { begins_ = false; }
  // Nobody is at anything.
  bool idle() const;
  // Who is at what, to be read.
  std::string Unfinished() const;
  // Reads every page that is mapped.
  void CheckAll();

  // A forked child runs when its event was read.
  bool running() const { return running_; }
  bool closed() const { return closed_; }
  // What the child's MADV_WIPEONFORK made zero, when it was forked.
  const std::vector<PageRange>& wiped() const { return wiped_; }
  // Children whose events were read since the last call, in that order.
  std::vector<std::shared_ptr<ModelKernel>> TakeChildren();

 private:
  friend class ModelMemory;

  struct Page {
    uint32_t mapping = 0;  // Pages of one mapping have the same; 0: none.
    bool registered = false;
    bool wipe_on_fork = false;
    bool grown = false;  // Without a word, and not moved since.
    bool busy = false;   // A thread is about to change its layout.
    int discards = 0;    // Under way: it may hold zero already.
    std::optional<uint64_t> contents;  // Nothing: missing.
    uint64_t truth = 0;                // What it must hold; 0: zeros.
  };
  enum class State { kIdle, kAccess, kFaults, kTells, kWaits, kGoesOn };
  struct Thread {
    State state = State::kIdle;
    uint64_t page = 0;  // That it accesses.
    bool writes = false;
    bool fault_was_read = false;
    // What it still has to tell; the first is what it waits for.
    std::deque<Event> events;
    std::vector<uint64_t> busy;
    std::vector<uint64_t> freed;   // Others may have been mapped there since.
    std::vector<uint64_t> reused;  // Of these, by threads that have finished.
    bool discards = false;  // The pages in busy, once its event was read.
  };

  std::string Name(size_t thread) const;
  void Begin(size_t number);
  void Access(size_t number);
  void Discard(Thread& thread, uint64_t first, uint64_t count);
  void Unmap(Thread& thread, uint64_t first, uint64_t count, bool map_anew);
  void Move(Thread& thread, uint64_t first, uint64_t count, uint64_t to,
            uint64_t to_count, bool keep_old);
  void Grow(uint64_t last);
  void Fork(Thread& thread);
  static bool HasFreed(const Thread& thread, uint64_t page);
  bool IsFreed(uint64_t page) const;  // By a thread that is not through.
  void Tell(Thread& thread, Event event);
  void GoOn(size_t number);
  void Finish(Thread& thread);
  void Free(uint64_t page) { pages_[page] = Page(); }
  // A run of pages, none of them busy, that are mapped, or are not.
  std::optional<PageRange> PickRun(uint64_t most, bool mapped);
  bool AnyRegistered(uint64_t first, uint64_t count) const;
  void Expect(uint64_t page, uint64_t value, const std::string& who);

  // For the pager.
  absl::Span<Event> ReadEvents();
  InstallResult Install(PageRange range, const std::vector<uint64_t>& values,
                        WakeMode wake);
  void Wake(PageRange range);
  Registration Probe(PageId page) const;
  void Unregister(PageRange range);
  RegisteredRanges Mappings() const;
  std::unique_ptr<TargetMemory> OfForkedChild(UniqueFd child);
  void Close();

  uint64_t Below(uint64_t limit) { return random_() % limit; }
  static uint64_t IndexOf(PageId page) { return page.raw() - kBase.raw(); }
  static PageRange RangeOf(uint64_t first, uint64_t count) {
    return {kBase + PageCount(first), PageCount(count)};
  }

  std::mt19937& random_;
  ModelTrace& trace_;
  std::array<Page, kPages> pages_;
  std::array<Thread, kThreads> threads_;
  uint32_t next_mapping_ = 2;
  uint64_t next_value_ = uint64_t{1} << 32;
  int changing_ = 0;  // mmap_changing of the kernel's context.
  bool begins_ = true;
  bool known_ = true;
  bool running_ = true;
  bool closed_ = false;
  std::vector<size_t> told_;  // Threads whose events are queued, in order.
  std::vector<Event> read_;
  std::vector<PageRange> wiped_;
  std::string name_ = "0";
  int forks_ = 0;
  // Forked, and the event not read yet, by the descriptor in it.
  std::vector<std::pair<int, std::shared_ptr<ModelKernel>>> unborn_;
  std::vector<std::shared_ptr<ModelKernel>> children_;
  UniqueFd fd_;
};

// The bytes of a page that holds `value`, and back.
std::array<std::byte, kPageSize> ModelBytes(uint64_t value);
uint64_t ModelValue(const std::byte* bytes);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_MODEL_KERNEL_H_
