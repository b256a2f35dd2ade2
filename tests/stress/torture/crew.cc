#include "tests/stress/torture/crew.h"

#include <utility>

namespace pagelift::stress {

Crew::Crew(size_t threads) {
  for (size_t number = 0; number < threads; ++number) {
    threads_.emplace_back([this, number] { Live(number); });
  }
}

void Crew::Start(std::function<void(size_t)> work) {
  std::unique_lock<std::mutex> lock(mu_);
  work_ = std::move(work);
  working_ = threads_.size();
  ++round_;
  changed_.notify_all();
}

void Crew::Wait() {
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [this] { return working_ == 0; });
}

void Crew::Live(size_t number) {
  for (size_t done = 0;;) {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [&] { return round_ != done; });
    done = round_;
    lock.unlock();
    work_(number);
    lock.lock();
    --working_;
    changed_.notify_all();
  }
}

}  // namespace pagelift::stress
