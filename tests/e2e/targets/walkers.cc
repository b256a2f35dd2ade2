#include "tests/e2e/targets/walkers.h"

#include <utility>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::e2e {
namespace {

constexpr size_t kStackPages = 48;  // Of each thread's, the patterned ones.

}  // namespace

Walkers::Walkers(size_t threads, std::string name, uint64_t seed)
    : name_(std::move(name)), seed_(seed) {
  for (size_t walker = 0; walker < threads; ++walker) {
    threads_.emplace_back([this, walker] { Live(walker); });
  }
}

void Walkers::Start(Work work) {
  std::lock_guard<std::mutex> lock(mu_);
  work_ = std::move(work);
  result_ = WalkResult();
  working_ = threads_.size();
  ++round_;
  changed_.notify_all();
}

WalkResult Walkers::Wait() {
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [this] { return working_ == 0; });
  return result_;
}

void Walkers::Live(size_t walker) {
  alignas(kPageBytes) std::byte stack[kStackPages * kPageBytes];
  PatternedRegion own_stack(name_ + "_stack" + std::to_string(walker), stack,
                            kStackPages, seed_);
  own_stack.RewriteAll();
  for (uint64_t done = 0;;) {
    Work work;
    {
      std::unique_lock<std::mutex> lock(mu_);
      changed_.wait(lock, [this, done] { return round_ > done; });
      done = round_;
      work = work_;
    }
    const WalkResult result = work(walker, own_stack);
    std::lock_guard<std::mutex> lock(mu_);
    result_.Add(result);
    --working_;
    changed_.notify_all();
  }
}

}  // namespace pagelift::e2e
