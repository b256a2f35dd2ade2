#ifndef TESTS_BENCH_PREFETCH_SIM_LINK_H_
#define TESTS_BENCH_PREFETCH_SIM_LINK_H_

#include <string>

#include "absl/time/time.h"
#include "lib/memory/page.h"

namespace pagelift::bench {

struct LinkModel {
  std::string name;
  absl::Duration round_trip;  // Of an empty message.
  double bytes_per_second;
  // What a message takes besides its bytes.
  absl::Duration per_message = absl::Microseconds(2);

  absl::Duration TimeOf(PageCount pages) const;
};

// The way from a page server to a process, and its bottleneck: all messages
// stand in one line there, each of them goes through whole, and the other
// direction is never busy.
//
// Pure: it is told the time. Thread-compatible.
class Link {
 public:
  explicit Link(const LinkModel& model) : model_(model) {}

  // A message is sent; when it arrives. REQUIRES: `now` is no earlier than it
  // was before.
  absl::Duration Send(PageCount pages, absl::Duration now);

 private:
  const LinkModel model_;
  absl::Duration free_at_;  // When the last message is through.
};

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_PREFETCH_SIM_LINK_H_
