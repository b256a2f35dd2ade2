// A tree of processes, each of which knows what its memory ought to hold.
//
//   tree_target --state DIR [--mib 12] [--seed 1]
//
//   root (3 more threads)
//   ├── a (2 more threads)
//   ├── b ── b1, and a zombie
//   ├── c
//   └── a zombie
//
// All alive ones share pages with their parents until they write to them. On
// command each reads all its memory, and meanwhile forks, moves, drops and
// unmaps parts of it, and so do the forks read all of theirs. The root answers
// "OK ..." or "WRONG ..." for all. --mib is for each process.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/e2e/targets/control_file.h"
#include "tests/e2e/targets/pattern.h"
#include "tests/e2e/targets/tree_member.h"

namespace pagelift::e2e {
namespace {

// Inherited, own, to move, to drop, to unmap.
constexpr size_t kRegionsOfAMember = 5;

[[noreturn]] void Run(const std::string& state, size_t mib, uint64_t seed) {
  ControlFolder(state).TakeOverStandardStreams();
  const size_t region_pages = (mib << 20) / kPageBytes / kRegionsOfAMember;
  TreeMember member(state, region_pages, seed);
  if (member.ForkMember("a") == 0) member.Live(2, {});
  if (member.ForkMember("b") == 0) {
    if (member.ForkMember("b1") == 0) member.Live(0, {});
    member.LeaveZombie();
    member.Live(0, {});
  }
  if (member.ForkMember("c") == 0) member.Live(0, {});
  member.LeaveZombie();
  member.Live(3, {"a", "b", "b1", "c"});
}

}  // namespace
}  // namespace pagelift::e2e

int main(int argc, char** argv) {
  std::string state;
  size_t mib = 12;
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
