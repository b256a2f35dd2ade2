#include "daemon/pager/session/testing/restored_target.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "daemon/pager/session/testing/target_process.h"
#include "lib/base/log.h"
#include "lib/base/testing/eventually.h"
#include "lib/uffd/testing/faulting_thread.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;

constexpr int kSeats = 12;
constexpr int32_t kFinishedWord = 0x52535446;

}  // namespace

// --- TargetThread ------------------------------------------------------------

void TargetThread::Start(const TargetCommand& command) {
  CHECK(send(socket_.get(), &command, sizeof(command), MSG_NOSIGNAL) ==
        static_cast<ssize_t>(sizeof(command)))
      << "the target is not there";
}

void TargetThread::StartOn(Op op, PageRange range, int value) {
  TargetCommand command;
  command.op = op;
  command.range = range;
  command.value = value;
  Start(command);
}

void TargetThread::StartPathOp(Op op, PageRange range,
                               const std::string& path) {
  TargetCommand command;
  command.op = op;
  command.range = range;
  CHECK(path.size() < command.path.size());
  std::memcpy(command.path.data(), path.data(), path.size());
  Start(command);
}

void TargetThread::StartFamily(PageRange pages, uint64_t first_image,
                               Family family) {
  TargetCommand command;
  command.op = Op::kFamily;
  command.range = pages;
  command.to_count = PageCount(first_image);
  command.family = family;
  Start(command);
}

void TargetThread::StartRead(PageId page) {
  StartOn(Op::kRead, {page, PageCount(1)});
}

void TargetThread::StartMove(PageRange from, PageId to, PageCount to_count,
                             int flags) {
  TargetCommand command;
  command.op = Op::kMove;
  command.range = from;
  command.to = to;
  command.to_count = to_count;
  command.value = MREMAP_MAYMOVE | MREMAP_FIXED | flags;
  Start(command);
}

TargetReply TargetThread::Finish() {
  pollfd readable = {socket_.get(), POLLIN, 0};
  const int most = static_cast<int>(absl::ToInt64Milliseconds(kSoon));
  CHECK(poll(&readable, 1, most) == 1)
      << "a thread of the target still waits for a page or an event";
  TargetReply reply;
  CHECK(recv(socket_.get(), &reply, sizeof(reply), 0) ==
        static_cast<ssize_t>(sizeof(reply)))
      << "the target has ended";
  thread_ = reply.thread;
  return reply;
}

bool TargetThread::has_finished() const {
  pollfd readable = {socket_.get(), POLLIN, 0};
  return poll(&readable, 1, 0) == 1;
}

bool TargetThread::is_blocked() const {
  // The kernel function it sleeps in: handle_userfault, or one of those that
  // wait for an event to be read.
  std::ifstream file(
      absl::StrCat("/proc/", process_, "/task/", thread_, "/wchan"));
  std::string function;
  std::getline(file, function);
  return function.find("userfault") != std::string::npos;
}

bool TargetThread::WaitUntilBlocked() const {
  bool blocked = false;
  const bool known = Eventually([&] {
    blocked = is_blocked();
    return blocked || has_finished();
  });
  return known && blocked;
}

void TargetThread::Interrupt() const {
  CHECK(tgkill(process_, thread_, SIGUSR1) == 0);
}

TargetReply TargetThread::Do(const TargetCommand& command) {
  Start(command);
  return Finish();
}

TargetReply TargetThread::Read(PageId page) {
  StartRead(page);
  return Finish();
}

int64_t TargetThread::Move(PageRange from, PageId to, PageCount to_count,
                           int flags) {
  StartMove(from, to, to_count, flags);
  return Finish().result < 0 ? -1 : 0;
}

int64_t TargetThread::On(Op op, PageRange range, int value) {
  StartOn(op, range, value);
  return Finish().result;
}

void TargetThread::Identify() {
  const TargetReply reply = Do(TargetCommand());
  process_ = static_cast<pid_t>(reply.result);
}

// --- RestoredTarget ----------------------------------------------------------

RestoredTarget::RestoredTarget(PageCount count) {
  // Reserved here, so that the image can be described before the target runs.
  arena_.count = PageCount(2 * count.raw() + 64);
  void* arena = mmap(nullptr, arena_.count.bytes(), PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(arena != MAP_FAILED);
  arena_.first = PageContaining(reinterpret_cast<uint64_t>(arena));
  region_ = {arena_.first + PageCount(16), count};
  // Children of the target are ours to wait for when it is gone.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::vector<int> theirs;
  for (int seat = 0; seat < kSeats; ++seat) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    threads_.emplace_back(new TargetThread(UniqueFd(ends[0]), seat));
    theirs.push_back(ends[1]);
  }
  const pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    threads_.clear();
    RunTarget(std::move(theirs), kThreads);
  }
  processes_.push_back(pid);
  for (int end : theirs) UniqueFd closed(end);
  for (int i = 0; i < kThreads; ++i) threads_[i]->Identify();
}

RestoredTarget::~RestoredTarget() {
  Kill();
  munmap(reinterpret_cast<void*>(AddressOf(arena_.first)),
         arena_.count.bytes());
}

void RestoredTarget::Kill() {
  for (pid_t process : processes_) kill(process, SIGKILL);
  for (pid_t process : processes_) waitpid(process, nullptr, 0);
  processes_.clear();
}

void RestoredTarget::Kill(TargetThread& child) {
  kill(child.process(), SIGKILL);
}

void RestoredTarget::Connect(const std::string& work_dir, FeatureSet lacking) {
  TargetCommand connect;
  connect.op = Op::kConnect;
  connect.value = static_cast<int32_t>(lacking.bits());
  const std::string path = absl::StrCat(work_dir, "/lazy-pages.socket");
  CHECK(path.size() < connect.path.size());
  std::memcpy(connect.path.data(), path.data(), path.size());
  CHECK(thread().Do(connect).result == 0) << "nobody listens at " << path;
}

void RestoredTarget::HandOver(int32_t image_pid) {
  CHECK(thread().On(Op::kHandOver, {}, image_pid) == 0);
  CHECK(thread().On(Op::kRegister, region_) == 0);
  thread().On(Op::kForgetUserfaultFd, {});
}

void RestoredTarget::Finish() {
  CHECK(thread().On(Op::kSay, {}, kFinishedWord) == 0);
  thread().On(Op::kHangUp, {});
}

void RestoredTarget::Restore(const std::string& work_dir) {
  Connect(work_dir);
  HandOver();
  Finish();
}

TargetThread& RestoredTarget::StartFork(TargetThread& parent, Op op) {
  CHECK(next_seat_ < threads_.size()) << "too many children";
  TargetThread& child = *threads_[next_seat_++];
  parent.StartOn(op, {}, child.seat_);
  return child;
}

void RestoredTarget::FinishFork(TargetThread& parent, TargetThread& child) {
  CHECK(parent.Finish().result > 0) << "fork failed";
  child.Identify();
  processes_.push_back(child.process());
}

TargetThread& RestoredTarget::Fork(TargetThread& parent) {
  TargetThread& child = StartFork(parent);
  FinishFork(parent, child);
  return child;
}

TargetThread& RestoredTarget::ForkSibling(TargetThread& parent) {
  TargetThread& child = StartFork(parent, Op::kForkSibling);
  FinishFork(parent, child);
  return child;
}

TargetThread& RestoredTarget::ShareMemory(TargetThread& parent) {
  CHECK(next_seat_ < threads_.size()) << "too many children";
  TargetThread& child = *threads_[next_seat_++];
  CHECK(parent.On(Op::kVfork, {}, child.seat_) > 0);
  child.Identify();
  processes_.push_back(child.process());
  return child;
}

bool RestoredTarget::HasExited(TargetThread& thread) const {
  siginfo_t info = {};
  return waitid(P_PID, static_cast<id_t>(thread.process()), &info,
                WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == thread.process();
}

std::vector<PageRange> RestoredTarget::RegisteredNow(TargetThread& of) {
  absl::StatusOr<RegisteredRanges> mappings =
      RegisteredRanges::OfProcess(of.process());
  CHECK(mappings.ok()) << mappings.status();
  return mappings->RegisteredIn(arena_);
}

}  // namespace pagelift
