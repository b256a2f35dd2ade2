#include "daemon/pager/event_loop/event_loop.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

// A number is given to the next descriptor as soon as it is closed. What epoll
// has reported of the old one must not be taken for the new one's.
uint64_t Tag(int fd, uint32_t generation) {
  return uint64_t{generation} << 32 | static_cast<uint32_t>(fd);
}

// A look takes less than a microsecond: after so long somebody else has had the
// processor.
constexpr absl::Duration kPreempted = absl::Microseconds(30);
// How long nobody spins after that: twice as long each time.
constexpr absl::Duration kFirstPause = absl::Milliseconds(1);
constexpr absl::Duration kLongestPause = absl::Milliseconds(256);

bool HasOneProcessor() {
  cpu_set_t mine;
  // More than fit the set are more than one.
  return sched_getaffinity(0, sizeof(mine), &mine) == 0 && CPU_COUNT(&mine) < 2;
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return SysError("epoll_create1");
  UniqueFd wakeup(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup.valid()) return SysError("eventfd");
  int wakeup_fd = wakeup.get();
  std::unique_ptr<EventLoop> loop(
      new EventLoop(std::move(epoll), std::move(wakeup)));
  RETURN_IF_ERROR(loop->Watch(wakeup_fd, [wakeup_fd] {
    uint64_t count;
    ssize_t ignored = read(wakeup_fd, &count, sizeof(count));
    (void)ignored;
  }));
  return loop;
}

EventLoop::EventLoop(UniqueFd epoll, UniqueFd wakeup)
    : epoll_(std::move(epoll)), wakeup_(std::move(wakeup)) {}

EventLoop::~EventLoop() = default;

absl::Status EventLoop::Watch(int fd, Callback on_readable) {
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = Tag(fd, ++next_generation_);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return SysError("epoll_ctl add ", fd);
  }
  watched_[fd] = {next_generation_,
                  std::make_shared<Callback>(std::move(on_readable))};
  return absl::OkStatus();
}

void EventLoop::Unwatch(int fd) {
  if (watched_.erase(fd) == 0) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::RunAfter(absl::Duration delay, Callback callback) {
  timers_.emplace(MonotonicNow() + delay, std::move(callback));
}

void EventLoop::Post(Callback callback) {
  {
    absl::MutexLock lock(&mu_);
    posted_.push_back(std::move(callback));
  }
  uint64_t one = 1;
  ssize_t ignored = write(wakeup_.get(), &one, sizeof(one));
  (void)ignored;
}

void EventLoop::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  Post([] {});
}

int EventLoop::WaitForEvents(absl::Span<epoll_event> events) const {
  timespec timeout = {};
  if (!timers_.empty()) {
    timeout = absl::ToTimespec(std::max(
        absl::ZeroDuration(), timers_.begin()->first - MonotonicNow()));
  }
  return epoll_pwait2(epoll_.get(), events.data(),
                      static_cast<int>(events.size()),
                      timers_.empty() ? nullptr : &timeout, nullptr);
}

void EventLoop::SpinFor(absl::Duration spin) {
  spin_ = HasOneProcessor() ? absl::ZeroDuration() : spin;
}

int EventLoop::SpinForEvents(absl::Span<epoll_event> events) {
  absl::Duration looked = MonotonicNow();
  if (looked < spin_again_) return 0;
  absl::Duration until = looked + spin_;
  if (!timers_.empty()) until = std::min(until, timers_.begin()->first);
  while (looked < until) {
    const int n = epoll_wait(epoll_.get(), events.data(),
                             static_cast<int>(events.size()), 0);
    const absl::Duration now = MonotonicNow();
    if (now - looked > kPreempted) {
      spin_pause_ = std::clamp(2 * spin_pause_, kFirstPause, kLongestPause);
      spin_again_ = now + spin_pause_;
      return n;
    }
    if (n != 0) {
      spin_pause_ = absl::ZeroDuration();
      return n;
    }
    looked = now;
  }
  return 0;
}

void EventLoop::RunPosted() {
  std::vector<Callback> posted;
  {
    absl::MutexLock lock(&mu_);
    posted.swap(posted_);
  }
  for (Callback& callback : posted) callback();
}

void EventLoop::RunTimers() {
  const absl::Duration now = MonotonicNow();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Callback callback = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    callback();
  }
}

absl::Status EventLoop::Run() {
  std::array<epoll_event, 32> events;
  bool spin = false;
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return absl::OkStatus();
    }
    int n = spin ? SpinForEvents(absl::MakeSpan(events)) : 0;
    if (n == 0) n = WaitForEvents(absl::MakeSpan(events));
    if (n < 0 && errno != EINTR) return SysError("epoll_pwait2");
    spin = false;
    for (int i = 0; i < n; ++i) {
      const uint64_t tag = events[i].data.u64;
      auto it = watched_.find(static_cast<int>(tag & UINT32_MAX));
      // An earlier callback of this round may have unwatched it.
      if (it == watched_.end()) continue;
      if (it->second.generation != tag >> 32) continue;
      if (it->first != wakeup_.get()) spin = spin_ > absl::ZeroDuration();
      std::shared_ptr<Callback> callback = it->second.on_readable;
      (*callback)();
    }
    RunPosted();
    RunTimers();
  }
}

}  // namespace pagelift
