#ifndef PAGELIFT_LIB_TRANSPORT_FETCH_QUEUE_H_
#define PAGELIFT_LIB_TRANSPORT_FETCH_QUEUE_H_

#include <cstdint>
#include <deque>

#include "absl/status/status.h"
#include "lib/memory/page.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {

// What a FetchPages stream was asked for after its start, and has not answered.
//
// In order; what was cancelled is answered first. Thread-compatible.
class FetchQueue {
 public:
  // `page_count` is the image's.
  explicit FetchQueue(PageCount page_count) : page_count_(page_count) {}

  // Takes a fetch or a cancel. kInvalidArgument: it breaks the protocol's
  // rules; kResourceExhausted: too many wait.
  absl::Status Enter(const v1::FetchRequest& request);

  bool empty() const { return waiting_.empty() && cancelled_.empty(); }

  // Whose turn it is.
  struct Turn {
    uint64_t id;
    ImageRange range;  // What is not answered yet.
    bool cancelled;    // Is to be answered by CANCELLED, as a whole.
    uint64_t serial;   // Of the request; ids come again.
    bool may_compress;
  };
  // REQUIRES: !empty().
  Turn Next() const;

  // `turn`, which Next() returned, is answered but for `rest`. False, and
  // nothing is done, if it was cancelled after that: its answer must not go.
  bool Answered(const Turn& turn, ImageRange rest);

 private:
  const PageCount page_count_;
  uint64_t next_serial_ = 0;
  std::deque<Turn> waiting_;
  std::deque<Turn> cancelled_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_FETCH_QUEUE_H_
