#include "tests/e2e/targets/tree_member.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace pagelift::e2e {
namespace {

constexpr int kSecondsForOthers = 300;
constexpr size_t kTailPages = 3;  // That a moved region grows by.

// What AddShortLivedMemory() makes, in order.
enum ShortLived { kToMove, kToDrop, kToUnmap };

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::_Exit(70);
}

pid_t ForkOrDie() {
  const pid_t pid = fork();
  if (pid < 0) Die("fork");
  return pid;
}

std::string AnswerFile(const std::string& member) { return "part." + member; }

bool IsOk(const std::string& answer) { return answer.rfind("OK", 0) == 0; }

}  // namespace

TreeMember::TreeMember(std::string state, size_t region_pages, uint64_t seed)
    : state_(std::move(state)), region_pages_(region_pages), seed_(seed) {
  AddLastingMemory();
}

pid_t TreeMember::ForkMember(const std::string& name) {
  const pid_t pid = ForkOrDie();
  if (pid > 0) return pid;
  name_ = name;
  for (PatternedRegion& region : lasting_) {
    for (size_t index = name.front() % 4; index < region.pages(); index += 4) {
      region.Rewrite(index);
    }
  }
  AddLastingMemory();
  return 0;
}

void TreeMember::LeaveZombie() const {
  if (ForkOrDie() == 0) _exit(3);
}

void TreeMember::Live(size_t threads, const std::vector<std::string>& others) {
  const ControlFolder own(state_, AnswerFile(name_));
  const ControlFolder of_all(state_);
  walkers_ = std::make_unique<Walkers>(threads, name_, seed_);
  std::string answer = "OK filled";
  for (uint64_t command = 0;;) {
    AddShortLivedMemory(command);
    own.Answer(command, answer);
    if (!others.empty()) {
      for (const std::string& other : others) {
        std::string theirs = other + ": ";
        theirs +=
            of_all.WaitForAnswer(AnswerFile(other), command, kSecondsForOthers);
        const bool ok = theirs.find(": OK") != std::string::npos;
        // What is wrong comes first.
        answer = ok ? answer.append("; ").append(theirs)
                    : theirs.append("; ").append(answer);
      }
      of_all.Answer(command, answer);
    }
    command = own.WaitForCommandAfter(command);
    answer = Obey(command);
  }
}

void TreeMember::AddLastingMemory() {
  lasting_.push_back(
      PatternedRegion::Map("lasting_" + name_, region_pages_, seed_));
  lasting_.back().RewriteAll();
}

void TreeMember::AddShortLivedMemory(uint64_t command) {
  for (const PatternedRegion& region : short_lived_) {
    if (munmap(region.base(), region.bytes()) != 0) Die("munmap");
  }
  short_lived_.clear();
  for (const char* kind : {"to_move", "to_drop", "to_unmap"}) {
    short_lived_.push_back(PatternedRegion::Map(
        name_ + "_" + kind + std::to_string(command), region_pages_, seed_));
    short_lived_.back().RewriteAll();
  }
}

std::string TreeMember::Obey(uint64_t command) {
  const uint64_t order = seed_ + command * 1000;
  walkers_->Start([&](size_t walker, PatternedRegion& own_stack) {
    std::vector<PageRef> pages = LastingShareOf(walker);
    AppendShare(own_stack, 0, 1, pages);
    return Walk(std::move(pages), order + walker);
  });
  const pid_t before = ForkChecker("before", command);
  MoveAndDropAndUnmap();
  const pid_t after = ForkChecker("after", command);
  std::vector<PageRef> changed;
  for (PatternedRegion& region : short_lived_) {
    AppendShare(region, 0, 1, changed);
  }
  WalkResult result = WalkAndRewrite(std::move(changed), order);
  result.Add(Walk(LastingShareOf(walkers_->size()), order));
  result.Add(walkers_->Wait());

  walkers_->Start([&](size_t walker, PatternedRegion& own_stack) {
    std::vector<PageRef> pages = LastingShareOf(walker);
    AppendShare(own_stack, 0, 1, pages);
    return WalkAndRewrite(std::move(pages), order + walker);
  });
  result.Add(WalkAndRewrite(LastingShareOf(walkers_->size()), order));
  result.Add(walkers_->Wait());

  for (const std::string& fork : {WaitForChecker(before, "before", command),
                                  WaitForChecker(after, "after", command)}) {
    if (!IsOk(fork)) return fork;
  }
  return result.ToString();
}

std::vector<PageRef> TreeMember::LastingShareOf(size_t walker) {
  std::vector<PageRef> pages;
  for (PatternedRegion& region : lasting_) {
    AppendShare(region, walker, walkers_->size() + 1, pages);
  }
  return pages;
}

std::vector<PageRef> TreeMember::AllPages() {
  std::vector<PageRef> pages;
  for (std::deque<PatternedRegion>* regions : {&lasting_, &short_lived_}) {
    for (PatternedRegion& region : *regions) AppendShare(region, 0, 1, pages);
  }
  return pages;
}

void TreeMember::MoveAndDropAndUnmap() {
  PatternedRegion& moved = short_lived_[kToMove];
  const size_t grown = moved.bytes() + kTailPages * kPageBytes;
  void* target =
      mmap(nullptr, grown, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (target == MAP_FAILED) Die("mmap");
  if (mremap(moved.base(), moved.bytes(), grown, MREMAP_MAYMOVE | MREMAP_FIXED,
             target) != target) {
    Die("mremap");
  }
  moved.MovedTo(static_cast<std::byte*>(target));

  PatternedRegion& dropped = short_lived_[kToDrop];
  if (madvise(dropped.base(), dropped.bytes(), MADV_DONTNEED) != 0) {
    Die("madvise");
  }
  dropped.AllBecameZeros();

  PatternedRegion& unmapped = short_lived_[kToUnmap];
  if (munmap(unmapped.base(), unmapped.bytes()) != 0) Die("munmap");
  short_lived_.pop_back();
  short_lived_.emplace_back(moved.name() + "_tail",
                            moved.base() + moved.bytes(), kTailPages, seed_);
}

pid_t TreeMember::ForkChecker(const std::string& when, uint64_t command) {
  const pid_t pid = ForkOrDie();
  if (pid > 0) return pid;
  const ControlFolder control(state_, "fork." + name_ + "." + when);
  control.Answer(command,
                 WalkAndRewrite(AllPages(), seed_ + command).ToString());
  _exit(0);
}

std::string TreeMember::WaitForChecker(pid_t pid, const std::string& when,
                                       uint64_t command) const {
  const std::string file = "fork." + name_ + "." + when;
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || status != 0) {
    return "WRONG " + file + " ended with status " + std::to_string(status);
  }
  std::string answer = ControlFolder(state_).WaitForAnswer(file, command, 1);
  return IsOk(answer) ? answer : answer + " in " + file;
}

}  // namespace pagelift::e2e
