#ifndef TESTS_E2E_TARGETS_TREE_MEMBER_H_
#define TESTS_E2E_TARGETS_TREE_MEMBER_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/targets/control_file.h"
#include "tests/e2e/targets/page_walk.h"
#include "tests/e2e/targets/patterned_region.h"
#include "tests/e2e/targets/walkers.h"

namespace pagelift::e2e {

// One process of the tree: its memory, and what it does to it on command.
//
// Lives on the main thread of its process.
class TreeMember {
 public:
  // The root of a tree. Every region of memory it and its children make has
  // `region_pages` pages.
  TreeMember(std::string state, size_t region_pages, uint64_t seed);

  // Forks. Returns 0 in the child, which from then on is the member `name`: it
  // keeps its parent's pages, shared until written, and rewrites some of them.
  // REQUIRES: Live() was not called.
  pid_t ForkMember(const std::string& name);

  // Leaves a child that has exited and that nobody waits for.
  void LeaveZombie() const;

  // Obeys commands for ever, with `threads` more threads. Answers for `others`
  // as well as for itself, once they have.
  [[noreturn]] void Live(size_t threads,
                         const std::vector<std::string>& others);

 private:
  void AddLastingMemory();
  void AddShortLivedMemory(uint64_t command);

  // Reads everything while forking, moving, dropping and unmapping; forks read
  // everything as well. Leaves memory of the same kinds as before.
  std::string Obey(uint64_t command);

  // The pages of `lasting_` that walker `walker` has to look at.
  std::vector<PageRef> LastingShareOf(size_t walker);
  std::vector<PageRef> AllPages();
  void MoveAndDropAndUnmap();
  pid_t ForkChecker(const std::string& when, uint64_t command);
  std::string WaitForChecker(pid_t pid, const std::string& when,
                             uint64_t command) const;

  const std::string state_;
  const size_t region_pages_;
  const uint64_t seed_;
  std::string name_ = "root";
  std::deque<PatternedRegion> lasting_;      // Inherited, then its own.
  std::deque<PatternedRegion> short_lived_;  // Made anew after each command.
  std::unique_ptr<Walkers> walkers_;
};

}  // namespace pagelift::e2e

#endif  // TESTS_E2E_TARGETS_TREE_MEMBER_H_
