#include "daemon/pager/session/testing/target_family.h"

#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <vector>

#include "lib/base/log.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

// What all members see, however far they are from who waits for them.
class Roster {
 public:
  Roster() { CHECK(sem_init(&ended_, /*pshared=*/1, 0) == 0); }

  void SignOff(bool right) {
    if (right) ++right_;
    sem_post(&ended_);
  }
  void WaitFor(int members) {
    for (int i = 0; i < members; ++i) {
      while (sem_wait(&ended_) != 0) {
      }
    }
  }
  int right() const { return right_; }

 private:
  sem_t ended_;
  std::atomic<int> right_{0};
};

bool AllRight(PageRange pages, PageCount first_image) {
  for (uint64_t i = 0; i < pages.count.raw(); ++i) {
    const PageId page = pages.first + PageCount(i);
    if (!HoldsPattern(reinterpret_cast<const void*>(AddressOf(page)),
                      ImagePage(first_image.raw() + i))) {
      return false;
    }
  }
  return true;
}

[[noreturn]] void Live(const Family& family, int generation, PageRange pages,
                       PageCount first_image, Roster& members) {
  while (generation < family.generations) {
    const pid_t child = fork();
    if (child == 0) {
      ++generation;
      continue;
    }
    // A family that is not complete has not got it right.
    if (child < 0) members.SignOff(false);
    if (family.parents_leave) {
      members.SignOff(true);
      _exit(0);
    }
    break;
  }
  members.SignOff(AllRight(pages, first_image));
  _exit(0);
}

}  // namespace

int64_t RunFamily(const Family& family, PageRange pages,
                  PageCount first_image) {
  void* shared = mmap(nullptr, sizeof(Roster), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return -1;
  Roster& members = *new (shared) Roster;
  std::vector<pid_t> children;
  for (int i = 0; i < family.children; ++i) {
    const pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) Live(family, 1, pages, first_image, members);
    children.push_back(child);
  }
  members.WaitFor(family.children * family.generations);
  for (pid_t child : children) waitpid(child, nullptr, 0);
  const int right = members.right();
  munmap(shared, sizeof(Roster));
  return right;
}

}  // namespace pagelift
