#ifndef PAGELIFT_LIB_TRANSPORT_CRIU_PAGE_SERVER_SOURCE_H_
#define PAGELIFT_LIB_TRANSPORT_CRIU_PAGE_SERVER_SOURCE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/source/lazy_page_index.h"
#include "lib/source/page_source.h"
#include "lib/transport/criu_message.h"
#include "lib/transport/criu_request_queue.h"

namespace pagelift {

// The pages that CRIU itself serves: a `criu dump --lazy-pages` that holds the
// frozen processes, or a `criu page-server --lazy-pages` that has their images.
//
// CRIU accepts one connection, ever, and takes its end as the fate of the
// frozen processes. So there is no second try: a lost connection stays lost,
// trouble() says so, what was outstanding is reported unavailable once, and
// what is asked for from then on stays outstanding. And the owner says how it
// ends:
//
//   Finish()  the restored tasks have all they need: the source's processes end
//   Abort()   they do not: the source's processes go on (connection reset)
//
// Whoever does neither aborts, be it the destructor or the end of this process,
// however it dies: contents can then not be lost. After the restored tasks have
// run, a source that goes on is a second copy of them, though; so Finish() is
// owed when a session has completed. With the source handed to a session:
//
//   CriuPageServerSource* criu = source.get();
//   auto session = Session::Open(options, std::move(source));
//   (*session)->WaitUntilEnded();
//   if ((*session)->Snapshot().state == SessionState::kComplete)
//   criu->Finish();
//
// Thread-safe, but Finish(), Abort() and the destructor are the owner's, one
// after the other. Stop(), Finish() and Abort() wait for deliveries under way,
// so they are not to be called from within one.
//
// Requests are answered in their order. Demand is sent at once and thus waits
// behind CriuRequestQueue::kPrefetchWindow at most; further prefetch waits
// here.
class CriuPageServerSource : public PageSource {
 public:
  // Connects, once; `description` is that of the image directory that the dump
  // wrote. An error says what to check: kUnavailable if nobody listens,
  // kDeadlineExceeded, kInvalidArgument for a bad address or description.
  // REQUIRES: restore reads nothing of `description` itself, i.e. not
  // CheckpointImage::has_lazy_parent_pages(): CRIU would never answer for
  // those.
  static absl::StatusOr<std::unique_ptr<CriuPageServerSource>> Open(
      const std::string& address, uint16_t port, ImageDescription description,
      absl::Duration deadline);
  ~CriuPageServerSource() override;

  const ImageDescription& description() const override { return description_; }
  void Start(PageSink* sink) override ABSL_LOCKS_EXCLUDED(mu_);
  // Pages that no task of the image has are reported lost, and not asked for.
  void Fetch(ImageRange range, Urgency urgency) override
      ABSL_LOCKS_EXCLUDED(mu_);
  // The connection stays: the source's processes stay frozen.
  void Stop() override ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t bytes_received() const override { return bytes_received_; }
  std::string trouble() const override ABSL_LOCKS_EXCLUDED(mu_);
  bool is_gone() const override ABSL_LOCKS_EXCLUDED(mu_);

  // Stops, tells CRIU that the pages are no longer needed, waits for its word
  // and ends the connection in order. After an error it is unknown what became
  // of the source's processes. Idempotent; kFailedPrecondition after Abort().
  absl::Status Finish(absl::Duration deadline = absl::Seconds(30))
      ABSL_LOCKS_EXCLUDED(mu_);

  // Stops and resets the connection. No-op after Finish(). Idempotent.
  void Abort() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct PageBuffer;
  // How far the end that Finish() asks for has come.
  enum class Ending { kNo, kAsked, kOnWire };

  CriuPageServerSource(std::string peer, ImageDescription description,
                       UniqueFd socket);

  void Enter(const CriuPages& pages, ImagePage first, Urgency urgency)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Writes what may be written now; if another thread is at it, that one does.
  void Pump() ABSL_LOCKS_EXCLUDED(mu_);
  // Sees to it that `unsent_` is not empty; false if nothing is to be sent.
  bool NextMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether all of `unsent_` was taken. By the thread that set `writing_`.
  bool Send();

  // The reader's thread.
  void Run();
  // Delivers until the end, which is OK only as the answer to Finish().
  absl::Status ReadAll(PageBuffer& buffer) ABSL_LOCKS_EXCLUDED(mu_);
  // A reply's header; nothing if the status at the end came instead.
  absl::StatusOr<std::optional<CriuPages>> ReadHeader()
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ReadPages(absl::Span<std::byte> into);
  bool AwaitsStatus() const ABSL_LOCKS_EXCLUDED(mu_);
  void TakeEndStatus(int32_t status) ABSL_LOCKS_EXCLUDED(mu_);
  void Lose(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);

  // Calls `deliver` with the sink, unless it is too late for that.
  void Deliver(absl::FunctionRef<void(PageSink&)> deliver)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status AskForTheEnd(absl::Duration deadline) ABSL_LOCKS_EXCLUDED(mu_);
  // Closes the socket, in the way that was set for it.
  void Disconnect() ABSL_LOCKS_EXCLUDED(mu_);
  bool NobodyDelivers() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return deliveries_ == 0;
  }
  bool NobodyWrites() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !writing_;
  }

  const std::string peer_;  // "HOST:PORT".
  const ImageDescription description_;
  const LazyPageIndex index_;
  std::atomic<uint64_t> bytes_received_{0};
  UniqueFd socket_;  // Closed when no thread uses it any more.

  // The owner's: what Finish() came to, and whether Abort() was called.
  std::optional<absl::Status> finished_;
  bool aborted_ = false;

  // Of the thread that set `writing_`: a message, and what is left of it.
  CriuMessage message_;
  absl::Span<const std::byte> unsent_;
  // The reader's: what the header that was read last announced.
  ImageRange receiving_;

  mutable absl::Mutex mu_;
  PageSink* sink_ ABSL_GUARDED_BY(mu_) = nullptr;
  CriuRequestQueue queue_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool pump_again_ ABSL_GUARDED_BY(mu_) = false;  // Somebody met a writer.
  int deliveries_ ABSL_GUARDED_BY(mu_) = 0;       // Under way.
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool disconnected_ ABSL_GUARDED_BY(mu_) = false;
  Ending ending_ ABSL_GUARDED_BY(mu_) = Ending::kNo;
  std::optional<int32_t> end_status_ ABSL_GUARDED_BY(mu_);
  absl::Status lost_ ABSL_GUARDED_BY(mu_);  // Why the source is gone.
  bool reader_ended_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // Last: joined before anything above goes away.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CRIU_PAGE_SERVER_SOURCE_H_
