#include "daemon/migration/parked/parked_dump.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "daemon/migration/parked/dump_advice.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/poll_until.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/process/child_program.h"
#include "lib/process/criu_log.h"

namespace pagelift {
namespace {

// Options with which the tree would go on or not be parked, or we would not
// hear of it. The rest is the user's own affair.
constexpr absl::string_view kRefused[] = {"--address",
                                          "--daemon",
                                          "--leave-running",
                                          "--leave-stopped",
                                          "--pidfile",
                                          "--page-server",
                                          "--port",
                                          "--ps-socket",
                                          "--images-dir",
                                          "--log-file",
                                          "--status-fd",
                                          "--tls",
                                          "--tree",
                                          "--work-dir",
                                          "-D",
                                          "-R",
                                          "-W",
                                          "-d",
                                          "-o",
                                          "-s",
                                          "-t"};

absl::Status CheckOptions(const std::vector<std::string>& options) {
  for (const std::string& option : options) {
    const absl::string_view name =
        absl::string_view(option).substr(0, option.find('='));
    for (absl::string_view refused : kRefused) {
      if (name == refused) {
        return absl::InvalidArgumentError(
            absl::StrCat("a migration cannot give ", option, " to criu dump"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status PipeTo(UniqueFd* read_end, UniqueFd* write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SysError("pipe");
  read_end->reset(ends[0]);
  write_end->reset(ends[1]);
  return absl::OkStatus();
}

// Without its filter if it cannot be had, as where we are in a container whose
// own filter asks somebody already: it takes longer then.
absl::StatusOr<ChildProgram> StartAnswered(ProgramStart& start) {
  absl::StatusOr<ChildProgram> criu = ChildProgram::Start(start);
  if (criu.ok() || start.filter.empty()) return criu;
  LOG(Warning) << "criu looks at memory itself: " << criu.status().message();
  start.filter.clear();
  return ChildProgram::Start(start);
}

}  // namespace

ParkedDump::ParkedDump(std::string images, ProcessName name, PidFd process)
    : images_(std::move(images)), name_(name), process_(std::move(process)) {}

absl::StatusOr<ParkedDump> ParkedDump::Start(const DumpPlan& plan,
                                             UniqueFd for_criu) {
  RETURN_IF_ERROR(CheckOptions(plan.options));
  UniqueFd status_read;
  UniqueFd status_write;
  RETURN_IF_ERROR(PipeTo(&status_read, &status_write));
  ProgramStart start;
  start.argv = {plan.criu,     "dump",
                "-t",          absl::StrCat(plan.root),
                "-D",          plan.images,
                "-v4",         "-o",
                kLog,          "--lazy-pages",
                "--ps-socket", absl::StrCat(for_criu.get()),
                "--status-fd", absl::StrCat(status_write.get())};
  start.argv.insert(start.argv.end(), plan.options.begin(), plan.options.end());
  start.keep = {for_criu.get(), status_write.get()};
  start.output = absl::StrCat(plan.images, "/", kOutput);
  start.own_session = true;
  if (plan.answers != nullptr) start.filter = MemoryAnswers::Filter();
  ASSIGN_OR_RETURN(ChildProgram criu, StartAnswered(start));
  if (!start.filter.empty()) plan.answers->Start(criu.TakeListener());
  // A child of ours that we have not waited for has its name.
  ASSIGN_OR_RETURN(const ProcessName name, NameOfProcess(criu.pid()));
  ASSIGN_OR_RETURN(PidFd process, OpenProcess(name));
  ParkedDump dump(plan.images, name, std::move(process));
  dump.status_ = std::move(status_read);
  return dump;
}

absl::StatusOr<ParkedDump> ParkedDump::Adopt(const std::string& images,
                                             const ProcessName& criu) {
  ASSIGN_OR_RETURN(PidFd process, OpenProcess(criu));
  return ParkedDump(images, criu, std::move(process));
}

absl::Status ParkedDump::WaitUntilParked(CriuLeash& leash,
                                         absl::Duration patience, int cancel) {
  absl::Status parked = Parked(MonotonicNow() + patience, cancel);
  if (!parked.ok()) Abandon(leash);
  return parked;
}

absl::Status ParkedDump::Parked(absl::Duration deadline, int cancel) {
  CHECK(status_.valid());
  std::array<pollfd, 3> fds = {{{status_.get(), POLLIN, 0},
                                {process_.fd(), POLLIN, 0},
                                {cancel, POLLIN, 0}}};
  if (!PollUntil(absl::MakeSpan(fds), deadline)) {
    return absl::DeadlineExceededError(
        absl::StrCat("criu dump has not frozen the processes in time: see ",
                     images_, "/", kLog));
  }
  if (fds[2].revents != 0) return absl::CancelledError("criu dump");
  std::byte byte;
  if (read(status_.get(), &byte, 1) == 1) return absl::OkStatus();
  return WhyItEnded();
}

// The pipe's other end is CRIU's only: it has ended, or is about to.
absl::Status ParkedDump::WhyItEnded() {
  const absl::StatusOr<std::optional<int>> code = WaitUntilEnded(kPatience);
  std::string why = "criu dump failed";
  if (code.ok() && code->has_value()) {
    absl::StrAppend(&why, " (exit code ", **code, ")");
  }
  const std::string complaints =
      CriuComplaints(absl::StrCat(images_, "/", kLog)).value_or("");
  if (complaints.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(why, ", and has not said why: see ", images_, "/", kOutput,
                     "; does `criu check` say that it can run?"));
  }
  absl::StrAppend(&why, ": ", complaints);
  const std::string advice = AdviceOnDump(complaints);
  if (!advice.empty()) absl::StrAppend(&why, "; ", advice);
  return absl::FailedPreconditionError(why);
}

uint64_t ParkedDump::LogSize() const {
  struct stat info;
  const std::string log = absl::StrCat(images_, "/", kLog);
  return stat(log.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size)
                                       : 0;
}

void ParkedDump::Abandon(CriuLeash& leash, absl::Duration patience) {
  leash.Reset();
  uint64_t log_size = LogSize();
  while (absl::IsDeadlineExceeded(WaitUntilEnded(patience).status())) {
    const uint64_t size = LogSize();
    if (size == log_size) break;
    log_size = size;
  }
  if (process_.HasExited()) return;
  LOG(Warning) << "criu dump, process " << name_.pid
               << ", does not let its processes go: it is killed";
  // Its helpers, too, some of which wait for it stopped. They are of the
  // session that Start() made.
  if (getpgid(name_.pid) == name_.pid) kill(-name_.pid, SIGKILL);
  (void)process_.Kill();
  (void)WaitUntilEnded(absl::InfiniteDuration());
}

absl::StatusOr<std::optional<int>> ParkedDump::WaitUntilEnded(
    absl::Duration patience) {
  if (!PollUntil(process_.fd(), POLLIN, MonotonicNow() + patience)) {
    return absl::DeadlineExceededError(
        absl::StrCat("criu dump, process ", name_.pid, ", has not ended"));
  }
  siginfo_t ended = {};
  while (waitid(P_PIDFD, static_cast<id_t>(process_.fd()), &ended, WEXITED) !=
         0) {
    if (errno != EINTR) return std::optional<int>();
  }
  return std::optional<int>(
      ended.si_code == CLD_EXITED ? ended.si_status : 128 + ended.si_status);
}

}  // namespace pagelift
