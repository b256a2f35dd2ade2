#include "lib/uffd/testing/faulting_thread.h"

#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "lib/base/log.h"

namespace pagelift {
namespace {

thread_local sigjmp_buf* bus_error_target = nullptr;

void OnBusError(int) {
  if (bus_error_target != nullptr) siglongjmp(*bus_error_target, 1);
  signal(SIGBUS, SIG_DFL);
  raise(SIGBUS);
}

void CatchBusErrors() {
  static const bool once = [] {
    struct sigaction action = {};
    action.sa_handler = OnBusError;
    action.sa_flags = SA_NODEFER;
    return sigaction(SIGBUS, &action, nullptr) == 0;
  }();
  CHECK(once);
}

std::optional<int> RunUnlessBusError(const std::function<int()>& call) {
  sigjmp_buf here;
  bus_error_target = &here;
  std::optional<int> result;
  if (sigsetjmp(here, 1) == 0) result = call();
  bus_error_target = nullptr;
  return result;
}

}  // namespace

struct FaultingThread::State {
  std::function<int()> call;
  std::atomic<pid_t> tid{0};
  absl::Notification started;
  absl::Notification ended;
  std::optional<int> result;
  std::thread thread;  // Last: runs while the rest exists.
};

FaultingThread::FaultingThread(std::unique_ptr<State> state)
    : state_(std::move(state)) {}

FaultingThread::FaultingThread(FaultingThread&&) noexcept = default;

FaultingThread FaultingThread::Start(std::function<int()> call) {
  CatchBusErrors();
  auto state = std::make_unique<State>();
  state->call = std::move(call);
  State* shared = state.get();
  state->thread = std::thread([shared] {
    shared->tid = gettid();
    shared->started.Notify();
    shared->result = RunUnlessBusError(shared->call);
    shared->ended.Notify();
  });
  state->started.WaitForNotification();
  return FaultingThread(std::move(state));
}

FaultingThread FaultingThread::StartRead(const std::byte* at) {
  return Start([at] {
    return static_cast<int>(*const_cast<const volatile std::byte*>(at));
  });
}

FaultingThread FaultingThread::StartWrite(std::byte* at, std::byte value) {
  return Start([at, value] {
    *const_cast<volatile std::byte*>(at) = value;
    return static_cast<int>(value);
  });
}

FaultingThread::~FaultingThread() {
  if (state_ != nullptr) Result();
}

pid_t FaultingThread::tid() const { return state_->tid; }

bool FaultingThread::has_ended() const {
  return state_->ended.HasBeenNotified();
}

bool FaultingThread::is_blocked() const {
  // The kernel function it sleeps in: handle_userfault, or one of those that
  // wait for an event to be read, userfaultfd_*, or *_userfaultfd_complete.
  std::ifstream file(absl::StrCat("/proc/self/task/", tid(), "/wchan"));
  std::string function;
  std::getline(file, function);
  return function.find("userfault") != std::string::npos;
}

bool FaultingThread::WaitUntilBlocked() const {
  const absl::Time deadline = absl::Now() + kSoon;
  while (!is_blocked()) {
    if (has_ended() || absl::Now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

std::optional<int> FaultingThread::Result() {
  CHECK(state_->ended.WaitForNotificationWithTimeout(kSoon))
      << "a thread of the test still waits for a page or an event";
  if (state_->thread.joinable()) state_->thread.join();
  return state_->result;
}

}  // namespace pagelift
