#include "tests/bench/prefetch_sim/simulation.h"

#include <algorithm>
#include <cstddef>
#include <queue>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/memory/page_map.h"
#include "tests/bench/prefetch_sim/trace_pages.h"

namespace pagelift::bench {
namespace {

// From the trap to the request on its way, and from the page to the thread.
constexpr absl::Duration kFaultOverhead = absl::Microseconds(12);
constexpr absl::Duration kInstall = absl::Nanoseconds(1300);  // A page.

double Ratio(PageCount part, PageCount whole) {
  return whole == PageCount(0) ? 0
                               : static_cast<double>(part.raw()) /
                                     static_cast<double>(whole.raw());
}

class Simulation {
 public:
  Simulation(const Trace& trace, const LinkModel& link, PrefetchPolicy& policy,
             Window& window)
      : trace_(trace),
        round_trip_(link.round_trip),
        policy_(policy),
        window_(window),
        link_(link),
        missing_(trace.pages),
        pages_(trace.pages.size()),
        threads_(trace.threads) {
    for (const Trace::Touch& touch : trace.touches) {
      const ImagePage page = missing_.ImageOf(touch.page);
      threads_[touch.thread].touches.push_back({touch.think, page});
      if (!std::exchange(pages_[page.raw()].touched, true)) {
        outcome_.touched = outcome_.touched + PageCount(1);
      }
    }
  }

  Outcome Run() {
    for (size_t thread = 0; thread < threads_.size(); ++thread) Think(thread);
    Prefetch();
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      Handle(event);
    }
    if (missing_.missing() == PageCount(0)) outcome_.all_in = last_install_;
    return outcome_;
  }

 private:
  enum class Kind { kTouch, kDemandAsked, kDemandIn, kBulkAsked, kBulkIn };
  struct Event {
    absl::Duration at;
    uint64_t number;  // Of two at the same time, the older comes first.
    Kind kind;
    size_t what;  // A thread, a page or a request.

    bool operator<(const Event& other) const {
      return std::pair(other.at, other.number) < std::pair(at, number);
    }
  };
  struct Page {
    bool present = false;
    bool touched = false;
    absl::Duration asked_at;  // By a fault.
  };
  struct Thread {
    struct Touch {
      absl::Duration think;
      ImagePage page;
    };
    std::vector<Touch> touches;
    size_t next = 0;
    absl::Duration waits_since;
  };
  struct Request {
    ImageRange pages;
    absl::Duration asked_at;
  };

  void At(absl::Duration at, Kind kind, size_t what) {
    events_.push({at, event_count_++, kind, what});
  }

  void Handle(const Event& event) {
    switch (event.kind) {
      case Kind::kTouch:
        return Touch(event.what);
      case Kind::kDemandAsked:
        return At(link_.Send(PageCount(1), now_) + kInstall, Kind::kDemandIn,
                  event.what);
      case Kind::kDemandIn:
        window_.OnDemand(now_ - pages_[event.what].asked_at, now_);
        return TakeIn({ImagePage(event.what), PageCount(1)});
      case Kind::kBulkAsked:
        return Answer(event.what);
      case Kind::kBulkIn: {
        const Request& request = requests_[event.what];
        window_.OnArrived(request.pages.count, now_ - request.asked_at, now_);
        return TakeIn(request.pages);
      }
    }
  }

  // The thread goes on until its next touch.
  void Think(size_t number) {
    const Thread& thread = threads_[number];
    if (thread.next < thread.touches.size()) {
      At(now_ + thread.touches[thread.next].think, Kind::kTouch, number);
    } else if (++ended_ == threads_.size()) {
      End();
    }
  }

  void Touch(size_t number) {
    Thread& thread = threads_[number];
    const ImagePage image = thread.touches[thread.next++].page;
    Page& page = pages_[image.raw()];
    if (page.present) return Think(number);
    thread.waits_since = now_;
    waiting_[image.raw()].push_back(number);
    if (!missing_.Claim(image)) {
      ++outcome_.late;
      return;
    }
    ++outcome_.demand;
    page.asked_at = now_;
    sent_ = sent_ + PageCount(1);
    on_their_way_ = on_their_way_ + PageCount(1);
    At(now_ + kFaultOverhead + round_trip_ / 2, Kind::kDemandAsked,
       image.raw());
    policy_.OnFault({trace_.pages[image.raw()], image});
    Prefetch();
  }

  void Prefetch() {
    while (on_their_way_ < window_.size()) {
      const std::optional<PageMap::Piece> piece =
          policy_.Next(missing_, window_.request());
      if (!piece.has_value()) return;
      on_their_way_ = on_their_way_ + piece->pages.count;
      At(now_ + round_trip_ / 2, Kind::kBulkAsked, requests_.size());
      requests_.push_back({piece->image_range(), now_});
      CountPrefetched(piece->image_range());
    }
  }

  void CountPrefetched(ImageRange pages) {
    sent_ = sent_ + pages.count;
    prefetched_ = prefetched_ + pages.count;
    for (uint64_t i = 0; i < pages.count.raw(); ++i) {
      if (pages_[pages.first.raw() + i].touched) {
        useful_ = useful_ + PageCount(1);
      }
    }
  }

  void Answer(size_t number) {
    const PageCount count = requests_[number].pages.count;
    const absl::Duration arrives = link_.Send(count, now_);
    // One thread installs what was prefetched, in the order in which it comes.
    installer_free_ = std::max(installer_free_, arrives) +
                      kInstall * static_cast<int64_t>(count.raw());
    At(installer_free_, Kind::kBulkIn, number);
  }

  void TakeIn(ImageRange pages) {
    on_their_way_ = on_their_way_ - pages.count;
    Install(pages);
    Prefetch();
  }

  void Install(ImageRange pages) {
    last_install_ = now_;
    for (uint64_t i = 0; i < pages.count.raw(); ++i) {
      const size_t page = pages.first.raw() + i;
      pages_[page].present = true;
      auto waiting = waiting_.extract(page);
      if (waiting.empty()) continue;
      for (size_t thread : waiting.mapped()) Resume(thread);
    }
  }

  void Resume(size_t number) {
    const absl::Duration since = threads_[number].waits_since;
    const absl::Duration wait = std::max(kFaultOverhead, now_ - since);
    outcome_.stall += wait;
    // What it thinks next begins a little later if the page came at once.
    const absl::Duration now = std::exchange(now_, since + wait);
    Think(number);
    now_ = now;
  }

  void End() {
    outcome_.length = now_;
    outcome_.sent = sent_;
    outcome_.prefetched = prefetched_;
    outcome_.useful = useful_;
  }

  const Trace& trace_;
  const absl::Duration round_trip_;
  PrefetchPolicy& policy_;
  Window& window_;
  Link link_;
  TracePages missing_;
  std::vector<Page> pages_;
  std::vector<Thread> threads_;
  std::vector<Request> requests_;
  // Threads that wait, by page.
  absl::flat_hash_map<size_t, std::vector<size_t>> waiting_;
  std::priority_queue<Event> events_;
  uint64_t event_count_ = 0;
  absl::Duration now_;
  absl::Duration installer_free_;
  absl::Duration last_install_;
  PageCount on_their_way_;
  PageCount sent_;
  PageCount prefetched_;
  PageCount useful_;
  size_t ended_ = 0;  // Threads that have touched all they will.
  Outcome outcome_;
};

}  // namespace

double Outcome::coverage() const {
  return 1 - Ratio(PageCount(demand), touched);
}

double Outcome::accuracy() const { return Ratio(useful, prefetched); }

Outcome Simulate(const Trace& trace, const LinkModel& link,
                 PrefetchPolicy& policy, Window& window) {
  return Simulation(trace, link, policy, window).Run();
}

}  // namespace pagelift::bench
