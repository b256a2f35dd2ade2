#ifndef TESTS_BENCH_PREFETCH_SIM_WINDOW_H_
#define TESTS_BENCH_PREFETCH_SIM_WINDOW_H_

#include "absl/time/time.h"
#include "lib/memory/page.h"
#include "lib/prefetch/bulk_window.h"
#include "tests/bench/prefetch_sim/link.h"

namespace pagelift::bench {

// How much may be on its way: what a BulkWindow decides, or what is given.
class Window {
 public:
  virtual ~Window() = default;

  virtual PageCount size() const = 0;
  // How many pages to ask for at once.
  virtual PageCount request() const = 0;

  virtual void OnArrived(PageCount pages, absl::Duration round_trip,
                         absl::Duration now) = 0;
  virtual void OnDemand(absl::Duration round_trip, absl::Duration now) = 0;
};

class FixedWindow : public Window {
 public:
  FixedWindow(PageCount size, PageCount request)
      : size_(size), request_(request) {}
  // What is right for a link that is known: one and a half times what it
  // delivers in a round trip, at least 64 KiB.
  static FixedWindow For(const LinkModel& link);
  // One request at a time, as large as its policy likes.
  static FixedWindow OneRequest();

  PageCount size() const override { return size_; }
  PageCount request() const override { return request_; }
  void OnArrived(PageCount /*pages*/, absl::Duration /*round_trip*/,
                 absl::Duration /*now*/) override {}
  void OnDemand(absl::Duration /*round_trip*/,
                absl::Duration /*now*/) override {}

 private:
  const PageCount size_;
  const PageCount request_;
};

// What a pager has.
class LearningWindow : public Window {
 public:
  PageCount size() const override { return window_.size(); }
  PageCount request() const override { return window_.request(); }
  void OnArrived(PageCount pages, absl::Duration round_trip,
                 absl::Duration now) override {
    window_.OnArrived(pages, round_trip, now);
  }
  void OnDemand(absl::Duration round_trip, absl::Duration now) override {
    window_.OnDemand(round_trip, now);
  }

 private:
  BulkWindow window_;
};

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_PREFETCH_SIM_WINDOW_H_
