#include "daemon/migration/parked/testing/criu_target.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/base/log.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/process/child_processes.h"
#include "lib/process/child_program.h"
#include "lib/process/find_program.h"
#include "lib/process/process_name.h"

namespace pagelift {
namespace {

constexpr char kProgram[] =
    "daemon/migration/parked/testing/criu_target_program.bin";

TargetMemory* MapMemory(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  CHECK(fd.valid() && ftruncate(fd.get(), sizeof(TargetMemory)) == 0);
  void* memory = mmap(nullptr, sizeof(TargetMemory), PROT_READ | PROT_WRITE,
                      MAP_SHARED, fd.get(), 0);
  CHECK(memory != MAP_FAILED);
  return static_cast<TargetMemory*>(memory);
}

}  // namespace

CriuTarget::CriuTarget(PageCount pages) : pages_(pages) {
  // The first process of a container may reap nothing.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  // What tells a sanitizer about locks is for this process only, see
  // tools/sanitizers/README.md: neither the target nor CRIU can be its host.
  unsetenv("LD_PRELOAD");
  memory_ = MapMemory(dir_.Join("memory"));
  CHECK(mkdir(images().c_str(), 0700) == 0);
  ProgramStart start;
  start.argv = {kProgram, dir_.Join("memory"), absl::StrCat(pages.raw())};
  start.output = dir_.Join("output");
  start.own_session = true;
  absl::StatusOr<ChildProgram> program = ChildProgram::Start(start);
  CHECK(program.ok()) << program.status();
  root_ = program->pid();
  const bool is_ready = Eventually(
      [&] { return memory_->main_pages != 0 && memory_->child_pages != 0; });
  CHECK(is_ready);
  EXPECT_TRUE(CountsOn(kMain));
  EXPECT_TRUE(CountsOn(kSecondThread));
  EXPECT_TRUE(CountsOn(kChild));
}

CriuTarget::~CriuTarget() {
  if (dump_.has_value()) (void)dump_->process().Kill();
  // Nobody has reaped them but we: the numbers are still theirs.
  for (pid_t pid : TreeOf(root_)) kill(pid, SIGKILL);
  kill(child(), SIGKILL);
  if (leash_.has_value()) leash_->Reset();
  while (waitpid(-1, nullptr, __WALL) > 0) {
  }
  munmap(memory_, sizeof(TargetMemory));
}

PageRange CriuTarget::main_pages() const {
  return {PageContaining(memory_->main_pages), pages_};
}

PageRange CriuTarget::child_pages() const {
  return {PageContaining(memory_->child_pages), pages_};
}

DumpPlan CriuTarget::Plan() const {
  absl::StatusOr<std::string> criu = FindCriu("");
  EXPECT_OK(criu);
  DumpPlan plan;
  plan.criu = criu.value_or("");
  plan.root = root_;
  plan.images = images();
  return plan;
}

void CriuTarget::Park(MemoryAnswers* answers) {
  ASSERT_OK_AND_ASSIGN(CriuLeash::Pair pair, CriuLeash::Make());
  leash_.emplace(std::move(pair.leash));
  DumpPlan plan = Plan();
  plan.answers = answers;
  ASSERT_OK_AND_ASSIGN(
      ParkedDump dump,
      ParkedDump::Start(plan, *leash_, std::move(pair.for_criu)));
  dump_.emplace(std::move(dump));
  ASSERT_OK(dump_->WaitUntilParked(*leash_, kSoon));
}

bool CriuTarget::CountsOn(TargetThread thread) const {
  const uint64_t before = count(thread);
  return Eventually([&] { return count(thread) > before; });
}

bool CriuTarget::ComesToState(pid_t pid, char state) const {
  return Eventually([&] {
    const absl::StatusOr<ProcessStat> stat = ProcessStat::Of(pid);
    return stat.ok() && stat->state == state;
  });
}

}  // namespace pagelift
