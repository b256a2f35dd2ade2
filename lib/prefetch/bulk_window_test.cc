#include "lib/prefetch/bulk_window.h"

#include <algorithm>
#include <cstdint>
#include <deque>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

// A link with a line in front of it, whose only user keeps a window full.
class ModelledLink {
 public:
  ModelledLink(double bytes_per_second, absl::Duration round_trip)
      : page_time_(absl::Seconds(1) * (4096 / bytes_per_second)),
        round_trip_(round_trip) {}

  // How long a page waits at the bottleneck, at the worst, in this time.
  absl::Duration Run(BulkWindow& window, absl::Duration time) {
    const absl::Duration end = now_ + time;
    absl::Duration longest_line;
    arrived_ = PageCount(0);
    while (now_ < end) {
      while (in_flight_ < window.size()) {
        const PageCount pages = window.request();
        free_at_ = std::max(free_at_, now_ + round_trip_ / 2) +
                   page_time_ * static_cast<double>(pages.raw());
        sent_.push_back({pages, now_, free_at_ + round_trip_ / 2});
        in_flight_ = in_flight_ + pages;
      }
      const Request next = sent_.front();
      sent_.pop_front();
      now_ = next.arrives;
      in_flight_ = in_flight_ - next.pages;
      arrived_ = arrived_ + next.pages;
      longest_line =
          std::max(longest_line, next.arrives - next.asked - round_trip_);
      if (late_demand_) window.OnDemand(late_demand_by_ + round_trip_, now_);
      window.OnArrived(next.pages, next.arrives - next.asked, now_,
                       compressed_);
    }
    return longest_line;
  }
  // Of what the link could have carried.
  double used(absl::Duration time) const {
    return absl::ToDoubleSeconds(page_time_) *
           static_cast<double>(arrived_.raw()) / absl::ToDoubleSeconds(time);
  }
  void MakeDemandLate(absl::Duration by) {
    late_demand_ = true;
    late_demand_by_ = by;
  }
  void MakeDemandGood() { late_demand_ = false; }
  // Half as many bytes, for which both ends take their time.
  void Compress(absl::Duration time) {
    compressed_ = true;
    page_time_ /= 2;
    round_trip_ += time;
  }

 private:
  struct Request {
    PageCount pages;
    absl::Duration asked;
    absl::Duration arrives;
  };

  absl::Duration page_time_;
  absl::Duration round_trip_;
  absl::Duration now_ = absl::Seconds(1000);
  absl::Duration free_at_;
  std::deque<Request> sent_;
  PageCount in_flight_;
  PageCount arrived_;
  bool late_demand_ = false;
  bool compressed_ = false;
  absl::Duration late_demand_by_;
};

struct Link {
  const char* name;
  double bytes_per_second;
  absl::Duration round_trip;
};

class BulkWindowOnLinkTest : public ::testing::TestWithParam<Link> {};

TEST_P(BulkWindowOnLinkTest, FillsTheLinkAndKeepsTheLineShort) {
  const Link& param = GetParam();
  ModelledLink link(param.bytes_per_second, param.round_trip);
  BulkWindow window;
  link.Run(window, 40 * param.round_trip + absl::Milliseconds(100));
  const absl::Duration time = 20 * param.round_trip + absl::Milliseconds(100);
  const absl::Duration line = link.Run(window, time);
  EXPECT_GT(link.used(time), 0.9);
  // Half a round trip and four milliseconds at the most, by design, or what the
  // least window takes.
  const absl::Duration least =
      absl::Seconds(1) * (static_cast<double>(BulkWindow::kLeast.bytes()) /
                          param.bytes_per_second);
  EXPECT_LT(line, param.round_trip + absl::Milliseconds(4) + 2 * least);
  EXPECT_LE(window.request().raw(), 64u);
  EXPECT_LE(1u, window.request().raw());
}

INSTANTIATE_TEST_SUITE_P(
    Links, BulkWindowOnLinkTest,
    ::testing::Values(Link{"Loopback", 1.0e9, absl::Microseconds(100)},
                      Link{"TenGigabit", 1.2e9, absl::Milliseconds(1)},
                      Link{"FarTenGigabit", 1.2e9, absl::Milliseconds(8)},
                      Link{"Gigabit", 1.2e8, absl::Microseconds(500)},
                      Link{"FarGigabit", 1.2e8, absl::Milliseconds(20)},
                      Link{"HundredMegabit", 1.2e7, absl::Milliseconds(2)}),
    [](const ::testing::TestParamInfo<Link>& param) {
      return param.param.name;
    });

TEST(BulkWindowTest, BeginsWithEnoughForAnUnknownLink) {
  BulkWindow window;
  EXPECT_EQ(window.size(), BulkWindow::kFirst);
  EXPECT_EQ(window.request(), PageCount(64));
}

TEST(BulkWindowTest, GivesWayWhileDemandIsLateAndRecovers) {
  ModelledLink link(1.2e8, absl::Milliseconds(2));
  BulkWindow window;
  window.OnDemand(absl::Milliseconds(2), absl::Seconds(1000));
  link.Run(window, absl::Milliseconds(200));
  const PageCount alone = window.size();
  link.MakeDemandLate(absl::Milliseconds(5));
  link.Run(window, absl::Milliseconds(200));
  EXPECT_LT(window.size().raw(), alone.raw() * 6 / 10);
  EXPECT_LE(BulkWindow::kLeast.raw(), window.size().raw());
  link.MakeDemandGood();
  link.Run(window, absl::Milliseconds(400));
  EXPECT_GT(window.size().raw(), alone.raw() * 8 / 10);
}

TEST(BulkWindowTest, ALittleLateIsNotLate) {
  ModelledLink link(1.2e8, absl::Milliseconds(2));
  BulkWindow window;
  window.OnDemand(absl::Microseconds(100), absl::Seconds(1000));
  link.Run(window, absl::Milliseconds(200));
  const PageCount alone = window.size();
  window.OnDemand(absl::Microseconds(550), absl::Seconds(1000));
  link.Run(window, absl::Milliseconds(10));
  EXPECT_GT(window.size().raw(), alone.raw() * 8 / 10);
}

TEST(BulkWindowTest, APauseSaysNothingOfTheLink) {
  BulkWindow window;
  absl::Duration now = absl::Seconds(1);
  // A page a second, because nobody asks for more.
  for (int i = 0; i < 50; ++i) {
    window.OnArrived(PageCount(1), absl::Milliseconds(1), now);
    now += absl::Seconds(1);
  }
  EXPECT_EQ(window.size(), BulkWindow::kFirst);
}

TEST(BulkWindowTest, GrowsWithWhatCompressionTakes) {
  // 1 Gb/s, half a millisecond.
  ModelledLink link(119e6, absl::Microseconds(500));
  BulkWindow window;
  link.Run(window, absl::Seconds(1));
  link.Compress(absl::Milliseconds(2));
  link.Run(window, absl::Milliseconds(60));
  link.Run(window, absl::Milliseconds(100));
  EXPECT_GT(link.used(absl::Milliseconds(100)), 0.95);
}

}  // namespace
}  // namespace pagelift
