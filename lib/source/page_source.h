#ifndef PAGELIFT_LIB_SOURCE_PAGE_SOURCE_H_
#define PAGELIFT_LIB_SOURCE_PAGE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/base/ready_watcher.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"
#include "lib/workingset/recording.h"

namespace pagelift {

enum class Urgency {
  kDemand,    // A thread of the target sleeps until this page is there.
  kPrefetch,  // Nobody waits for it yet.
};

// Contents that arrived. Valid during the call that delivers it.
struct PageBatch {
  ImageRange range;
  // How they were asked for.
  Urgency urgency = Urgency::kDemand;
  // Since the request went to the network; InfiniteDuration() where there is
  // none, or where nobody measures.
  absl::Duration round_trip = absl::InfiniteDuration();
  // They came compressed: both ends have worked on them.
  bool compressed = false;
  // All pages are zero; `pieces` is empty.
  bool zero = false;
  // Pieces that, one after the other, are range.count * 4096 bytes. A page may
  // straddle two pieces: they are the buffers of the network as they came.
  absl::Span<const absl::Span<const std::byte>> pieces;
};

// Of a source that is several.
struct ReplicaCounts {
  uint64_t hedges = 0;      // Demands made of a second one, being late.
  uint64_t hedges_won = 0;  // And answered by it first.
  uint64_t failovers = 0;   // How often another one became the current one.
};

// Who takes delivery. Called on any thread of the source, several at once, and
// perhaps from within Fetch().
class PageSink {
 public:
  virtual ~PageSink() = default;
  virtual void OnPages(const PageBatch& batch) = 0;
  // These pages will not come. kDataLoss: never, the image does not have them
  // intact; any other code: ask again later.
  virtual void OnUnavailable(ImageRange range, const absl::Status& status) = 0;
};

// Where page contents come from: an image on this host, a page server, another
// pager, a test. The one seam between serving faults and fetching pages.
//
// Thread-safe. Every page that was asked for is answered, by OnPages or by
// OnUnavailable, once per Fetch; batches are as short and in whatever order
// suits the source. A source that loses its far end goes on trying for ever,
// and the pages stay outstanding; one that cannot try again says so in
// is_gone().
class PageSource {
 public:
  virtual ~PageSource() = default;

  virtual const ImageDescription& description() const = 0;

  // May be called before Start(): demands may be delivered on the thread of
  // `watcher`, by a source that waits for descriptors. It then wakes nobody
  // where the same thread asks for them. Stop() has to be called on that
  // thread, or while it does not run; `watcher` must outlive that, and not run
  // when the source has gone.
  virtual void DeliverOn(ReadyWatcher* /*watcher*/) {}

  // Deliveries go to `sink`, which must outlive Stop(). Called once, before the
  // first Fetch().
  virtual void Start(PageSink* sink) = 0;

  // REQUIRES: `range` lies in the image and is not empty. Does not wait for the
  // network, except for room in its own send buffer.
  virtual void Fetch(ImageRange range, Urgency urgency) = 0;
  // The same for several, in this order; all at once where that costs less.
  virtual void FetchAll(absl::Span<const ImageRange> ranges, Urgency urgency) {
    for (ImageRange range : ranges) Fetch(range, urgency);
  }

  // How soon `page`, which was asked for by Urgency::kPrefetch, is likely to
  // come; InfiniteDuration() if a demand that is made now is likely to be
  // answered first. A guess: it may never come.
  virtual absl::Duration ArrivesIn(ImagePage /*page*/) const {
    return absl::InfiniteDuration();
  }

  // No delivery happens after this returns; what is outstanding is dropped.
  // Fetch() is a no-op from then on. Idempotent.
  virtual void Stop() = 0;

  // Payload bytes that came over the network (0 for local sources).
  virtual uint64_t bytes_received() const = 0;
  // Empty while all is well, else what is wrong, for people.
  virtual std::string trouble() const = 0;
  // The far end is lost for good: what is outstanding, and what is asked for
  // from now on, never comes.
  virtual bool is_gone() const { return false; }
  // In which order earlier restores of this image touched its pages; kNotFound
  // if nothing is known of any. May wait for the network, some seconds at most;
  // works before Start() and after Stop(), too. An error harms nothing.
  virtual absl::StatusOr<Recording> WorkingSet() const {
    return absl::NotFoundError("this source keeps no recordings");
  }
  // Keeps what this restore touched for later ones. REQUIRES: `recording` is
  // not empty. Waits and fails as WorkingSet().
  virtual absl::Status KeepRecording(const Recording& /*recording*/) {
    return absl::UnimplementedError("this source keeps no recordings");
  }
  // Messages that arrived damaged and were refused; streams that broke.
  virtual uint64_t checksum_failures() const { return 0; }
  virtual uint64_t reconnects() const { return 0; }
  virtual ReplicaCounts replica_counts() const { return {}; }
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_PAGE_SOURCE_H_
