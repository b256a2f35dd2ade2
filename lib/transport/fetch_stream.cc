#include "lib/transport/fetch_stream.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/thread_name.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(20);
constexpr absl::Duration kMaxBackoff = absl::Seconds(2);
// How often damaged pages are asked for again at once before the sink is told.
constexpr int kMaxDamaged = 4;
// The server's limit; docs/wire_protocol.md.
constexpr PageCount kMaxPagesPerRequest = PageCount(262144);
// With at most 35 bytes a request, well below the 64 KiB of HTTP/2's window.
constexpr size_t kMaxUnanswered = 1024;
// The usual round trip is mostly that of so many answers.
constexpr int kRemembered = 8;
constexpr int kMaxPatience = 16;  // Times Options::patience.

// Why no more messages come.
absl::Status WhyEnded(const FetchCall& call) {
  return call.end().ok() ? absl::UnavailableError("the server ended the stream")
                         : call.end();
}

}  // namespace

FetchStream::FetchStream(Endpoint endpoint, Options options, PageSink* sink)
    : endpoint_(std::move(endpoint)),
      options_(std::move(options)),
      checksum_(options_.content_id),
      sink_(sink),
      trouble_(options_.trouble_at_first),
      patience_(options_.patience),
      thread_([this] { Run(); }) {}

FetchStream::~FetchStream() { Stop(); }

void FetchStream::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    if (call_ != nullptr) call_->Cancel();
  }
  if (options_.watcher != nullptr) {
    EndReading(absl::CancelledError("stopping"));
  }
  absl::MutexLock lock(&join_mu_);
  if (thread_.joinable()) thread_.join();
}

std::string FetchStream::trouble() const {
  absl::MutexLock lock(&mu_);
  return trouble_;
}

absl::Duration FetchStream::usual_round_trip() const {
  absl::MutexLock lock(&mu_);
  return usual_round_trip_;
}

absl::Duration FetchStream::ArrivesIn(ImagePage page) const {
  absl::MutexLock lock(&mu_);
  const absl::Duration sent = outstanding_.SentAt(page);
  if (sent == absl::InfiniteDuration() ||
      usual_round_trip_ == absl::ZeroDuration()) {
    return absl::InfiniteDuration();
  }
  return std::max(absl::ZeroDuration(),
                  sent + usual_round_trip_ - MonotonicNow());
}

void FetchStream::Fetch(absl::Span<const ImageRange> ranges) {
  Enter(ranges, 0);
}

void FetchStream::Enter(absl::Span<const ImageRange> ranges, int attempt) {
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return;
    for (ImageRange range : ranges) {
      while (!range.empty()) {
        ImageRange part{range.first,
                        std::min(range.count, kMaxPagesPerRequest)};
        waiting_.push_back(outstanding_.Add(part, attempt));
        range = ImageRange::Between(part.limit(), range.limit());
      }
    }
  }
  WriteWaiting();
}

bool FetchStream::MayWrite() const {
  return writable_ && !waiting_.empty() &&
         outstanding_.size() - waiting_.size() < kMaxUnanswered;
}

void FetchStream::WriteWaiting() {
  mu_.Lock();
  if (!writing_) {
    writing_ = true;
    while (MayWrite()) {
      std::shared_ptr<FetchCall> call = call_;
      const absl::Duration now = MonotonicNow();
      std::vector<std::string> messages;
      while (MayWrite()) messages.push_back(TakeWaiting(now));
      mu_.Unlock();
      // A failure is the reader's to notice: its Read() ends, too.
      call->Write(messages);
      mu_.Lock();
    }
    writing_ = false;
  }
  mu_.Unlock();
}

std::string FetchStream::TakeWaiting(absl::Duration now) {
  const Outstanding::Request request = waiting_.front();
  waiting_.pop_front();
  outstanding_.MarkSent(request.id, now);
  v1::FetchRequest message;
  v1::PageRequest* fetch = message.mutable_fetch();
  fetch->set_id(request.id);
  fetch->set_first_page(request.range.first.raw());
  fetch->set_page_count(request.range.count.raw());
  fetch->set_may_compress(MayCompress());
  return message.SerializeAsString();
}

void FetchStream::CheckProgress() {
  absl::MutexLock lock(&mu_);
  if (stopping_ || call_ == nullptr || !stalled_.ok()) return;
  if (delivering_since_ != absl::InfiniteDuration()) return;
  absl::Duration since = outstanding_.WaitingSince();
  if (since == absl::InfiniteDuration()) return;
  // What is prefetched waits its turn at the server.
  if (options_.urgency == Urgency::kPrefetch) {
    since = outstanding_.last_progress();
  }
  const absl::Duration silent =
      MonotonicNow() - std::max(since, listening_since_);
  if (silent < patience_) return;
  stalled_ = absl::DeadlineExceededError(
      absl::StrCat("it is there, but has not answered a request for ",
                   absl::FormatDuration(absl::Trunc(silent, absl::Seconds(1))),
                   ": is its disk, or what its image lies on, stuck?"));
  patience_ = std::min(patience_ * 2, options_.patience * kMaxPatience);
  call_->Cancel();
}

void FetchStream::Run() {
  NameThisThread(options_.urgency == Urgency::kDemand ? "pl-demand"
                                                      : "pl-bulk");
  int failures = 0;
  while (true) {
    absl::Time started = absl::Now();
    absl::Status status = RunOnce();
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return;
      if (trouble_.empty()) {
        LOG(Warning) << "page stream of image " << options_.image
                     << " broke, trying again: " << status.ToString();
      }
      trouble_ = absl::StrCat("page server: ", status.message());
    }
    // A stream that lived for a while starts over with the shortest wait.
    failures = absl::Now() - started > kMaxBackoff ? 0 : failures + 1;
    if (!WaitBeforeRetry(failures)) return;
  }
}

bool FetchStream::WaitBeforeRetry(int failures) {
  absl::Duration wait =
      std::min(kMaxBackoff, kFirstBackoff * (1 << std::min(failures, 7)));
  // Jitter: many streams that broke together do not come back together.
  thread_local unsigned seed =
      static_cast<unsigned>(absl::GetCurrentTimeNanos());
  wait *= 0.5 + 0.5 * rand_r(&seed) / RAND_MAX;
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(&stopping_), wait);
  return !stopping_;
}

absl::Status FetchStream::RunOnce() {
  auto call = std::make_shared<FetchCall>(endpoint_);
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return absl::CancelledError("stopping");
    // Stop() can cancel from here on, also while the stream is being opened.
    call_ = call;
    stalled_ = absl::OkStatus();
  }
  absl::Status end = Open(*call);
  if (end.ok()) {
    {
      absl::MutexLock lock(&mu_);
      std::vector<Outstanding::Request> renewed = outstanding_.Renew();
      waiting_.assign(renewed.begin(), renewed.end());
      writable_ = true;
    }
    WriteWaiting();
    end =
        options_.watcher == nullptr ? ReadAll(*call) : ReadAllOnWatcher(*call);
  }
  // First of all: frees a thread that writes to a server that does not read.
  call->Cancel();
  Close();
  absl::MutexLock lock(&mu_);
  return stalled_.ok() ? end : stalled_;
}

absl::Status FetchStream::Open(FetchCall& call) {
  v1::FetchRequest start;
  start.mutable_start()->set_image(options_.image);
  start.mutable_start()->set_content_id(options_.content_id);
  start.mutable_start()->set_urgency(options_.urgency == Urgency::kDemand
                                         ? v1::URGENCY_DEMAND
                                         : v1::URGENCY_PREFETCH);
  start.mutable_start()->set_max_batch_bytes(options_.max_batch_bytes);
  return call.Open(start.SerializeAsString());
}

absl::Status FetchStream::ReadAll(FetchCall& call) {
  // A server that takes the stream says so before the first page.
  if (call.WaitForAcceptance()) NoteAccepted();
  while (const MessagePieces* message = call.Read()) {
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return absl::CancelledError("stopping");
    }
    RETURN_IF_ERROR(Deliver(*message));
  }
  return WhyEnded(call);
}

absl::Status FetchStream::ReadAllOnWatcher(FetchCall& call) {
  if (call.WaitForAcceptance()) NoteAccepted();
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return absl::CancelledError("stopping");
    reader_ = Reader::kWatcherSoon;
  }
  options_.watcher->Post([this, &call] { StartReading(call); });
  absl::MutexLock lock(&mu_);
  auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return reader_ == Reader::kOwnThread;
  };
  mu_.Await(absl::Condition(&ended));
  return read_end_;
}

void FetchStream::StartReading(FetchCall& call) {
  {
    absl::MutexLock lock(&mu_);
    // Stop() was faster; the call may be gone.
    if (reader_ != Reader::kWatcherSoon) return;
    reader_ = Reader::kWatcher;
  }
  const absl::Status watched =
      options_.watcher->Watch(call.fd(), [this, &call] {
        call.Take();
        DeliverWhatCame(call);
      });
  if (!watched.ok()) {
    EndReading(watched);
    return;
  }
  DeliverWhatCame(call);  // Together with the acceptance.
}

void FetchStream::DeliverWhatCame(FetchCall& call) {
  while (const MessagePieces* message = call.Next()) {
    const absl::Status delivered = Deliver(*message);
    if (!delivered.ok()) {
      EndReading(delivered);
      return;
    }
  }
  if (call.has_ended()) EndReading(WhyEnded(call));
}

void FetchStream::EndReading(const absl::Status& why) {
  int watched = -1;
  {
    absl::MutexLock lock(&mu_);
    if (reader_ == Reader::kWatcher) watched = call_->fd();
  }
  // Before the thread that waits for this can close it.
  if (watched >= 0) options_.watcher->Unwatch(watched);
  absl::MutexLock lock(&mu_);
  read_end_ = why;
  reader_ = Reader::kOwnThread;
}

void FetchStream::Close() {
  absl::MutexLock lock(&mu_);
  writable_ = false;
  auto nobody_writes = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !writing_;
  };
  mu_.Await(absl::Condition(&nobody_writes));
  call_ = nullptr;
}

void FetchStream::NoteAccepted() {
  absl::MutexLock lock(&mu_);
  if (accepted_before_) {
    stats_.reconnects.fetch_add(1, std::memory_order_relaxed);
  }
  accepted_before_ = true;
  // A server that was silent has to answer first.
  if (patience_ == options_.patience) EndTrouble();
}

void FetchStream::EndTrouble() {
  if (trouble_.empty()) return;
  LOG(Info) << "page stream of image " << options_.image << " is back";
  trouble_.clear();
}

absl::Status FetchStream::Deliver(const MessagePieces& message) {
  ASSIGN_OR_RETURN(DecodedPageBatch batch, DecodePageBatch(message));
  Outstanding::Taken taken{};
  absl::Duration round_trip;
  {
    absl::MutexLock lock(&mu_);
    const absl::Duration now = MonotonicNow();
    ASSIGN_OR_RETURN(
        taken, outstanding_.Take(batch.header.id, batch.header.range, now));
    round_trip = now - taken.sent;
    usual_round_trip_ += usual_round_trip_ == absl::ZeroDuration()
                             ? round_trip
                             : (round_trip - usual_round_trip_) / kRemembered;
    if (options_.compression == Compression::kAuto) {
      choice_.OnArrived(batch.header.range.count, taken.sent, now);
      if (outstanding_.empty()) choice_.OnIdle();
    }
    patience_ = options_.patience;
    EndTrouble();
    delivering_since_ = now;
  }
  WriteWaiting();
  const absl::Status intact = HandOver(batch, taken.attempt, round_trip);
  absl::MutexLock lock(&mu_);
  // Short hand-overs, one after the other, must not hide a demand that is left
  // without an answer.
  const absl::Duration now = MonotonicNow();
  if (now - delivering_since_ > options_.patience / 4) listening_since_ = now;
  delivering_since_ = absl::InfiniteDuration();
  return intact;
}

bool FetchStream::MayCompress() const {
  return options_.compression == Compression::kAlways ||
         (options_.compression == Compression::kAuto && choice_.compress());
}

absl::Span<const ByteSpan> FetchStream::UncompressedPages(
    const DecodedPageBatch& batch) {
  absl::Span<const ByteSpan> pages = batch.payload;
  if (batch.header.compressed) {
    if (!decompressor_.has_value()) decompressor_.emplace();
    const absl::StatusOr<ByteSpan> decompressed =
        decompressor_->Decompress(batch.payload, batch.header.range.count);
    if (!decompressed.ok()) return {};
    decompressed_ = *decompressed;
    pages = {&decompressed_, 1};
  }
  return pages;
}

absl::Status FetchStream::HandOver(const DecodedPageBatch& batch, int attempt,
                                   absl::Duration round_trip) {
  const PageBatchHeader& header = batch.header;
  stats_.bytes_received.fetch_add(batch.payload_bytes,
                                  std::memory_order_relaxed);
  const bool has_pages = header.error.ok() && !header.zero;
  const absl::Span<const ByteSpan> pages =
      has_pages ? UncompressedPages(batch) : absl::Span<const ByteSpan>();
  if (has_pages != pages.empty() &&
      checksum_.Of(header, pages) == header.checksum) {
    if (!header.error.ok()) {
      sink_->OnUnavailable(header.range, header.error);
      return absl::OkStatus();
    }
    PageBatch delivered;
    delivered.range = header.range;
    delivered.urgency = options_.urgency;
    delivered.round_trip = round_trip;
    delivered.compressed = header.compressed;
    delivered.zero = header.zero;
    delivered.pieces = pages;
    sink_->OnPages(delivered);
    return absl::OkStatus();
  }
  stats_.checksum_failures.fetch_add(1, std::memory_order_relaxed);
  LOG(Warning) << "pages " << header.range << " of image " << options_.image
               << " arrived damaged: refused";
  {
    // It is about to end: the next one asks.
    absl::MutexLock lock(&mu_);
    writable_ = false;
  }
  if (attempt + 1 < kMaxDamaged) {
    Enter({header.range}, attempt + 1);
  } else {
    sink_->OnUnavailable(header.range,
                         absl::UnavailableError("arrived damaged"));
  }
  // Which pages were answered is not to be believed either: on a new stream all
  // are asked for again.
  return absl::DataLossError("a batch arrived damaged");
}

}  // namespace pagelift
