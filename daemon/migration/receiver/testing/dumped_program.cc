#include "daemon/migration/receiver/testing/dumped_program.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "lib/base/read_file.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/process/child_processes.h"
#include "lib/process/child_program.h"
#include "lib/process/descendants.h"
#include "lib/process/find_program.h"
#include "lib/process/pidfd.h"

namespace pagelift {
namespace {

constexpr char kProgram[] =
    "daemon/migration/receiver/testing/counting_program";

bool Lives(pid_t pid) {
  absl::StatusOr<PidFd> process = PidFd::Open(pid);
  return process.ok() && !process->HasExited();
}

}  // namespace

DumpedProgram::DumpedProgram() {
  [&] {
    ASSERT_OK_AND_ASSIGN(criu_, FindCriu(""));
    WriteFile(dir_.Join("numbers"), std::string(4096, '\0'));
    ASSERT_EQ(mkdir(images().c_str(), 0700), 0);
    ASSERT_OK_AND_ASSIGN(
        ChildProgram program,
        ChildProgram::Start({{kProgram, dir_.Join("numbers")}}));
    root_ = program.pid();
    ASSERT_TRUE(Runs());
    const std::vector<pid_t> children = ChildrenOf(root_);
    ASSERT_EQ(children.size(), 1u);
    child_ = children[0];
    ASSERT_OK_AND_ASSIGN(
        int dumped,
        RunProgram({{criu_, "dump", "--tree", std::to_string(root_),
                     "--images-dir", images(), "--log-file", "dump.log"}}));
    ASSERT_EQ(dumped, 0) << ReadFile(images() + "/dump.log").value_or("");
    // Their numbers are free once they are waited for; the child has become
    // ours.
    while (waitpid(-1, nullptr, 0) > 0) {
    }
    at_dump_ = Numbers();
  }();
}

DumpedProgram::~DumpedProgram() {
  do {
    for (const PidFd& process : DescendantsOf(getpid())) {
      (void)process.Kill();
    }
  } while (waitpid(-1, nullptr, 0) > 0);
}

DumpedProgram::Counts DumpedProgram::Numbers() const {
  Counts numbers = {};
  const std::string bytes = ReadFile(dir_.Join("numbers")).value_or("");
  EXPECT_EQ(bytes.size(), 4096u);
  if (bytes.size() == 4096) memcpy(&numbers, bytes.data(), sizeof(numbers));
  return numbers;
}

bool DumpedProgram::Runs() const {
  const Counts before = Numbers();
  return Eventually([&] {
    const Counts now = Numbers();
    for (size_t i = 0; i < now.size(); ++i) {
      if (now[i] == before[i]) return false;
    }
    return true;
  });
}

bool DumpedProgram::IsThere() const { return Lives(root_) || Lives(child_); }

void ReapChildren() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

}  // namespace pagelift
