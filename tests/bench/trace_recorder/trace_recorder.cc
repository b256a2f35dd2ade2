// Takes the memory away from a process that runs, gives each page back when it
// is touched, and writes down when that was: tests/bench/traces/README.md says
// how.
//
//   trace_recorder --pid P --trace FILE --for DURATION
//
// Says "running" on stdout when the process goes on without its memory. After
// that long, or when it is told to by SIGTERM, it gives back the rest and
// leaves the process alone. A process that forks meanwhile is not for it: the
// child would find zeros.

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/command_line.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/features.h"
#include "lib/uffd/userfault_fd.h"
#include "tests/bench/trace_recorder/recorded_memory.h"
#include "tests/bench/trace_recorder/touch_recorder.h"
#include "tests/stress/lazify/anonymous_memory.h"
#include "tests/stress/lazify/memory_taking.h"
#include "tests/stress/lazify/stopped_process.h"

namespace pagelift::bench {
namespace {

using stress::AnonymousMapping;
using stress::StoppedProcess;

constexpr FeatureSet kFeatures = Feature::kEventRemap | Feature::kEventRemove |
                                 Feature::kEventUnmap | Feature::kThreadId;

UniqueFd BlockSigterm() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC));
}

absl::Status Serve(TouchRecorder& recorder, const UserfaultFd& uffd,
                   absl::Duration length) {
  const UniqueFd told_to_end = BlockSigterm();
  const absl::Duration limit = MonotonicNow() + length;
  while (true) {
    const absl::Duration left = limit - MonotonicNow();
    if (left <= absl::ZeroDuration()) return absl::OkStatus();
    pollfd polled[] = {{uffd.fd(), POLLIN, 0}, {told_to_end.get(), POLLIN, 0}};
    const int64_t wait = std::min<int64_t>(recorder.waiting() ? 1 : 1000,
                                           absl::ToInt64Milliseconds(left) + 1);
    if (poll(polled, 2, static_cast<int>(wait)) < 0) return SysError("poll");
    if (polled[1].revents != 0) return absl::OkStatus();
    if ((polled[0].revents & (POLLERR | POLLHUP)) != 0) {
      return absl::OkStatus();  // The process has exited.
    }
    RETURN_IF_ERROR(recorder.ServeEvents());
  }
}

absl::Status Run(pid_t pid, const std::string& path, absl::Duration length) {
  std::ofstream trace(path);
  std::optional<StoppedProcess> process;
  {
    ASSIGN_OR_RETURN(StoppedProcess stopped, StoppedProcess::Stop(pid));
    process.emplace(std::move(stopped));
  }
  ASSIGN_OR_RETURN(std::vector<AnonymousMapping> mappings,
                   stress::AnonymousMemoryOf(*process));
  ASSIGN_OR_RETURN(RecordedMemory memory,
                   RecordedMemory::Of(*process, mappings));
  for (const AnonymousMapping& mapping : mappings) {
    if (!mapping.present.empty()) WriteRegion(mapping, trace);
  }
  absl::StatusOr<UserfaultFd> uffd =
      stress::TakeMemoryAway(*process, mappings, kFeatures);
  if (!uffd.ok()) {
    // Half its memory is gone: nothing that it does now means anything.
    kill(pid, SIGKILL);
    return uffd.status();
  }
  TouchRecorder recorder(*uffd, memory, trace);
  process.reset();
  std::cout << "running" << std::endl;
  const absl::Status served = Serve(recorder, *uffd, length);
  recorder.GiveBackTheRest();
  RETURN_IF_ERROR(served);
  for (const AnonymousMapping& mapping : mappings) {
    // Some of it may be unmapped by now.
    uffd->Unregister(mapping.pages).IgnoreError();
  }
  return trace.flush() ? absl::OkStatus() : SysError("write ", path);
}

int Main(int argc, const char* const argv[]) {
  int pid = 0;
  std::string trace;
  absl::Duration length = absl::Seconds(10);
  CommandLine line("trace_recorder",
                   "Records in which order a process that runs touches its "
                   "pages.");
  line.Add({"pid", 'p', "PID", "the process", &pid});
  line.Add({"trace", 0, "FILE", "where the trace goes", &trace});
  line.Add({"for", 0, "DURATION", "for how long, e.g. 10s", &length});
  line.Examples(
      "Example:\n  trace_recorder --pid 1000 --trace x.tr --for 5s\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  if (pid <= 0 || trace.empty()) return line.Complain("which process?");
  const absl::Status status = Run(pid, trace, length);
  if (status.ok()) return 0;
  std::cerr << "trace_recorder: " << status << std::endl;
  return 1;
}

}  // namespace
}  // namespace pagelift::bench

int main(int argc, char** argv) { return pagelift::bench::Main(argc, argv); }
