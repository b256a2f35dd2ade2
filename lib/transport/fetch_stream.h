#ifndef PAGELIFT_LIB_TRANSPORT_FETCH_STREAM_H_
#define PAGELIFT_LIB_TRANSPORT_FETCH_STREAM_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/base/byte_span.h"
#include "lib/base/ready_watcher.h"
#include "lib/http2/message_assembler.h"
#include "lib/source/page_source.h"
#include "lib/transport/batch_checksum.h"
#include "lib/transport/compression_choice.h"
#include "lib/transport/endpoint.h"
#include "lib/transport/fetch_call.h"
#include "lib/transport/outstanding.h"
#include "lib/transport/page_batch_codec.h"
#include "lib/transport/page_compression.h"

namespace pagelift {

// One FetchPages stream that never gives up: when it breaks it is opened again,
// with back-off, and everything outstanding is asked again. So it is when the
// server is there, but answers nothing: keepalive does not see that, its owner
// has to call CheckProgress() now and then.
//
// Thread-safe. The caller of Fetch() writes the request itself, unless another
// caller is writing, who then takes it along; one thread reads, checks and
// delivers, so a page takes no hand-off on its way: the stream's own, or that
// of a watcher, for which the stream's own only opens the call. Fetch() may be
// called from within a delivery, Stop() may not.
//
// At most kMaxUnanswered requests are at the server; the others wait here. They
// are so small that they fit HTTP/2's first window: a write never waits for a
// server that does not read because we do not read.
class FetchStream {
 public:
  struct Options {
    std::string image;
    std::string content_id;
    Urgency urgency = Urgency::kDemand;
    uint32_t max_batch_bytes = 0;  // 0: the server's choice.
    // Whether answers may come compressed.
    Compression compression = Compression::kNever;
    // How long the server may leave a demand, or all of what was prefetched,
    // without an answer. Doubled, up to 16 times this, while it goes on so: a
    // server that is slow, but gets there, is not asked anew for ever.
    absl::Duration patience = absl::Seconds(10);
    // On whose thread it delivers; null: on the stream's own. See
    // PageSource::DeliverOn().
    ReadyWatcher* watcher = nullptr;
    // Why the server is known to be away; empty if it is not.
    std::string trouble_at_first;
  };
  struct Stats {
    std::atomic<uint64_t> bytes_received{0};
    std::atomic<uint64_t> checksum_failures{0};
    // How often the server took the stream again after it broke.
    std::atomic<uint64_t> reconnects{0};
  };

  // `sink` must outlive Stop().
  FetchStream(Endpoint endpoint, Options options, PageSink* sink);
  ~FetchStream();
  FetchStream(const FetchStream&) = delete;
  FetchStream& operator=(const FetchStream&) = delete;

  // The requests go together, or as many of them as the server may have.
  void Fetch(absl::Span<const ImageRange> ranges) ABSL_LOCKS_EXCLUDED(mu_);

  // How long answers took lately; zero before the first.
  absl::Duration usual_round_trip() const ABSL_LOCKS_EXCLUDED(mu_);
  // How soon `page` is likely to come: not before zero, and InfiniteDuration()
  // if it was not asked for, or nothing is known of the stream.
  absl::Duration ArrivesIn(ImagePage page) const ABSL_LOCKS_EXCLUDED(mu_);

  // Opens the stream again if the server has been silent for too long. Does not
  // block.
  void CheckProgress() ABSL_LOCKS_EXCLUDED(mu_);

  // No delivery after this returns. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(join_mu_, mu_);

  const Stats& stats() const { return stats_; }
  // Why the stream is down at the moment; empty if it is not.
  std::string trouble() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Who reads off call_.
  enum class Reader {
    kOwnThread,
    kWatcherSoon,  // Posted.
    kWatcher,
  };

  void Run();
  // One life of the stream; returns why it ended.
  absl::Status RunOnce();
  absl::Status Open(FetchCall& call);
  // Reads until the stream ends (OK) or the server breaks a rule.
  absl::Status ReadAll(FetchCall& call) ABSL_LOCKS_EXCLUDED(mu_);
  // The same, by the watcher's thread: the caller waits.
  absl::Status ReadAllOnWatcher(FetchCall& call) ABSL_LOCKS_EXCLUDED(mu_);
  // On the watcher's thread.
  void StartReading(FetchCall& call) ABSL_LOCKS_EXCLUDED(mu_);
  void DeliverWhatCame(FetchCall& call) ABSL_LOCKS_EXCLUDED(mu_);
  void EndReading(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  void Close() ABSL_LOCKS_EXCLUDED(mu_);
  void NoteAccepted() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Deliver(const MessagePieces& message) ABSL_LOCKS_EXCLUDED(mu_);
  bool MayCompress() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The pages of a batch; empty if they cannot be what was sent.
  absl::Span<const ByteSpan> UncompressedPages(const DecodedPageBatch& batch);
  // To the sink. kDataLoss: they are damaged, and asked for again.
  absl::Status HandOver(const DecodedPageBatch& batch, int attempt,
                        absl::Duration round_trip) ABSL_LOCKS_EXCLUDED(mu_);
  void EndTrouble() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Enter(absl::Span<const ImageRange> ranges, int attempt)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Writes the requests that wait, as many as the server may have; nothing if
  // another thread is at it.
  void WriteWaiting() ABSL_LOCKS_EXCLUDED(mu_);
  bool MayWrite() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The message of the next one.
  std::string TakeWaiting(absl::Duration now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool WaitBeforeRetry(int failures) ABSL_LOCKS_EXCLUDED(mu_);

  const Endpoint endpoint_;
  const Options options_;
  const BatchChecksum checksum_;
  PageSink* const sink_;
  Stats stats_;

  // Of the thread that reads.
  std::optional<PageDecompressor> decompressor_;  // Once it is needed.
  ByteSpan decompressed_;

  mutable absl::Mutex mu_;
  CompressionChoice choice_ ABSL_GUARDED_BY(mu_);
  Outstanding outstanding_ ABSL_GUARDED_BY(mu_);
  // Those of outstanding_ that have not been written.
  std::deque<Outstanding::Request> waiting_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<FetchCall> call_ ABSL_GUARDED_BY(mu_);
  bool writable_ ABSL_GUARDED_BY(mu_) = false;  // call_ takes requests.
  bool writing_ ABSL_GUARDED_BY(mu_) = false;   // A thread writes to call_.
  Reader reader_ ABSL_GUARDED_BY(mu_) = Reader::kOwnThread;
  absl::Status read_end_ ABSL_GUARDED_BY(mu_);  // Why the watcher ended it.
  bool accepted_before_ ABSL_GUARDED_BY(mu_) = false;
  std::string trouble_ ABSL_GUARDED_BY(mu_);
  absl::Duration patience_ ABSL_GUARDED_BY(mu_);
  absl::Duration usual_round_trip_ ABSL_GUARDED_BY(mu_);
  // Why CheckProgress() ended call_; OK if it did not.
  absl::Status stalled_ ABSL_GUARDED_BY(mu_);
  // A server is not silent while we do not listen: since when a batch is being
  // handed over, and when a long hand-over last ended. By MonotonicNow().
  absl::Duration delivering_since_ ABSL_GUARDED_BY(mu_) =
      absl::InfiniteDuration();
  absl::Duration listening_since_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  absl::Mutex join_mu_ ABSL_ACQUIRED_BEFORE(mu_);  // Held to join thread_.
  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_FETCH_STREAM_H_
