#include "daemon/migration/parked/parked_dump.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "criu/rpc.pb.h"
#include "daemon/migration/criu/criu_config.h"
#include "daemon/migration/criu/criu_rpc.h"
#include "daemon/migration/parked/dump_advice.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/poll_until.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/process/child_program.h"
#include "lib/process/criu_log.h"

namespace pagelift {
namespace {

// See criu(8).
constexpr int kAll = 4;
constexpr int kWarnings = 2;

// The points at which CRIU asks: when it has not yet looked at the tree, and
// when it has dumped it.
constexpr char kReady[] = "pre-dump";
constexpr char kDumped[] = "post-dump";

// Without its filter if it cannot be had, as where we are in a container whose
// own filter asks somebody already.
absl::StatusOr<ChildProgram> StartAnswered(ProgramStart& start,
                                           const UniqueFd& for_criu) {
  absl::StatusOr<ChildProgram> criu = CriuRpc::StartCriu(start, for_criu);
  if (criu.ok() || start.filter.empty()) return criu;
  LOG(Warning) << "criu looks at memory itself: " << criu.status().message();
  start.filter.clear();
  return CriuRpc::StartCriu(start, for_criu);
}

// What `criu dump --lazy-pages` serves its pages to when it has been told to go
// on or not: somebody who has gone already. It asks for none then, and that is
// the end it was told.
absl::StatusOr<UniqueFd> NobodyToServe() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return SysError("socketpair");
  }
  const UniqueFd gone(ends[0]);
  return UniqueFd(ends[1]);
}

}  // namespace

ParkedDump::ParkedDump(std::string images, ProcessName name, PidFd process)
    : images_(std::move(images)), name_(name), process_(std::move(process)) {}

absl::StatusOr<ParkedDump> ParkedDump::Start(const DumpPlan& plan,
                                             CriuLeash& leash,
                                             UniqueFd for_criu) {
  CriuWork work;
  work.kind = criu::RPC_DUMP;
  work.images = plan.images;
  work.work_dir = plan.images;
  work.log_file = kLog;
  work.log_level = plan.says_all ? kAll : kWarnings;
  work.root = plan.root;
  work.options = plan.options;
  // Before anything is started for it.
  RETURN_IF_ERROR(CriuConfig(CriuCommand::kDump, plan.options).status());
  ASSIGN_OR_RETURN(const UniqueFd nobody, NobodyToServe());
  ProgramStart start;
  start.argv = {plan.criu};
  start.keep = {nobody.get()};
  start.output = absl::StrCat(plan.images, "/", kOutput);
  start.own_session = true;
  if (plan.answers != nullptr) start.filter = MemoryAnswers::Filter();
  ASSIGN_OR_RETURN(ChildProgram criu, StartAnswered(start, for_criu));
  for_criu.reset();
  const bool answered = !start.filter.empty();
  if (answered) plan.answers->Start(criu.TakeListener());
  // A child of ours that we have not waited for has its name.
  ASSIGN_OR_RETURN(const ProcessName name, NameOfProcess(criu.pid()));
  ASSIGN_OR_RETURN(PidFd process, OpenProcess(name));
  ParkedDump dump(plan.images, name, std::move(process));
  if (answered) {
    dump.answers_ = plan.answers;
  } else {
    work.lazy = true;
    work.config = absl::StrCat("ps-socket ", nobody.get(), "\n");
  }
  RETURN_IF_ERROR(leash.rpc().Begin(work));
  return dump;
}

absl::StatusOr<ParkedDump> ParkedDump::Adopt(const std::string& images,
                                             const ProcessName& criu) {
  ASSIGN_OR_RETURN(PidFd process, OpenProcess(criu));
  return ParkedDump(images, criu, std::move(process));
}

absl::Status ParkedDump::WaitUntilReady(CriuLeash& leash,
                                        absl::Duration patience, int cancel) {
  return AbandonUnless(GoOnTo(kReady, leash, MonotonicNow() + patience, cancel),
                       leash);
}

absl::Status ParkedDump::WaitUntilParked(CriuLeash& leash,
                                         absl::Duration patience, int cancel) {
  absl::Status parked =
      GoOnTo(kDumped, leash, MonotonicNow() + patience, cancel);
  if (answers_ != nullptr) {
    absl::Status refused;
    if (parked.ok()) refused = answers_->CheckAllAnswered();
    if (absl::IsFailedPrecondition(parked)) refused = answers_->Refused();
    if (!refused.ok()) parked = absl::UnimplementedError(refused.message());
  }
  return AbandonUnless(std::move(parked), leash);
}

absl::Status ParkedDump::AbandonUnless(absl::Status done, CriuLeash& leash) {
  if (!done.ok()) Abandon(leash);
  return done;
}

absl::Status ParkedDump::GoOnTo(absl::string_view point, CriuLeash& leash,
                                absl::Duration deadline, int cancel) {
  while (true) {
    // One that does not hear it has ended, which is what we hear.
    if (waits_) leash.rpc().Answer(true).IgnoreError();
    waits_ = false;
    const absl::StatusOr<criu::RpcResponse> said =
        leash.rpc().Next(process_, deadline, cancel);
    if (absl::IsDeadlineExceeded(said.status())) {
      return absl::DeadlineExceededError(
          absl::StrCat("criu has not come to its ", point, " in time: see ",
                       images_, "/", kLog));
    }
    if (absl::IsUnavailable(said.status())) return WhyItEnded();
    RETURN_IF_ERROR(said.status());
    if (said->kind() != criu::RPC_NOTIFY) return WhyItEnded();
    waits_ = true;
    if (said->notice().point() == point) return absl::OkStatus();
  }
}

// It has ended, or is about to.
absl::Status ParkedDump::WhyItEnded() {
  const absl::StatusOr<std::optional<int>> code = WaitUntilEnded(kPatience);
  std::string why = "criu dump failed";
  if (code.ok() && code->has_value()) {
    absl::StrAppend(&why, " (exit code ", **code, ")");
  }
  const std::string complaints =
      CriuComplaints(absl::StrCat(images_, "/", kLog)).value_or("");
  if (complaints.empty()) {
    // What it does not understand it tells before it has a log.
    const std::string path = absl::StrCat(images_, "/", kOutput);
    const std::string output = ReadFile(path).value_or("");
    return absl::FailedPreconditionError(absl::StrCat(
        why, ", and has said \"", output.substr(0, output.find('\n')),
        "\": see ", path, "; does `criu check` say that it can run?"));
  }
  absl::StrAppend(&why, ": ", complaints);
  const std::string advice = AdviceOnDump(complaints);
  if (!advice.empty()) absl::StrAppend(&why, "; ", advice);
  return absl::FailedPreconditionError(why);
}

std::string ParkedDump::TimeOnProcessor() const {
  return ReadFile(absl::StrCat("/proc/", name_.pid, "/schedstat")).value_or("");
}

void ParkedDump::Abandon(CriuLeash& leash, absl::Duration patience) {
  leash.Reset();
  WaitOrKill(patience);
}

void ParkedDump::WaitOrKill(absl::Duration patience) {
  std::string before = TimeOnProcessor();
  while (absl::IsDeadlineExceeded(WaitUntilEnded(patience).status())) {
    std::string now = TimeOnProcessor();
    if (now == before) break;
    before = std::move(now);
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
