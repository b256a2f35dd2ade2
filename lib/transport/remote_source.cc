#include "lib/transport/remote_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/transport/channel.h"
#include "lib/transport/description_proto.h"
#include "lib/transport/try_tls.h"
#include "pagelift/v1/page_server.grpc.pb.h"

namespace pagelift {
namespace {

// By tests/bench/transport_bench: a second stream gains nothing on two cores,
// and 1 MiB a batch an eighth at most, for a first page that is installed
// later; 64 KiB costs a quarter.
constexpr int kBulkStreams = 1;
constexpr uint32_t kBulkBatchBytes = 256 << 10;

constexpr int kOpenAttempts = 3;
constexpr absl::Duration kBetweenOpens = absl::Milliseconds(100);

absl::Status Explain(const grpc::Status& status, const Endpoint& endpoint,
                     const std::string& image) {
  const std::string where = absl::StrCat("page server ", endpoint.address);
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::UnavailableError(absl::StrCat(
          where, " cannot be reached (", status.error_message(),
          "): is pagelift-server running there, is the address right, and "
          "does ",
          endpoint.tls == nullptr ? "it want grpcs://?" : "it have --tls?"));
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::FailedPreconditionError(
          absl::StrCat(where, " is not a Pagelift page server"));
    default:
      return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                          absl::StrCat(where, ", image \"", image,
                                       "\": ", status.error_message()));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RemoteSource>> RemoteSource::Open(
    const Endpoint& endpoint, const std::string& image, absl::Duration deadline,
    absl::Duration patience) {
  const absl::Time give_up = absl::Now() + deadline;
  for (int attempt = 1;; ++attempt) {
    absl::StatusOr<std::unique_ptr<RemoteSource>> source =
        OpenOnce(endpoint, image, give_up, patience);
    if (!absl::IsUnavailable(source.status())) return source;
    if (endpoint.tls != nullptr && attempt == 1) {
      const absl::Status tls = TryTls(endpoint, give_up - absl::Now());
      if (absl::IsUnauthenticated(tls)) {
        return Annotate(tls, absl::StrCat("page server ", endpoint.address));
      }
    }
    // A connection that broke, or damage on the way: nothing is lost by asking
    // once more, and where nobody listens that is soon known.
    if (attempt == kOpenAttempts || give_up <= absl::Now() + kBetweenOpens) {
      return source;
    }
    absl::SleepFor(kBetweenOpens);
  }
}

absl::StatusOr<std::unique_ptr<RemoteSource>> RemoteSource::OpenOnce(
    const Endpoint& endpoint, const std::string& image, absl::Time give_up,
    absl::Duration patience) {
  std::shared_ptr<grpc::Channel> channel = NewPageChannel(endpoint);
  std::unique_ptr<v1::PageServer::Stub> stub = v1::PageServer::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(give_up));
  v1::OpenImageRequest request;
  request.set_name(image);
  request.set_protocol_version(kProtocolVersion);
  std::unique_ptr<grpc::ClientReader<v1::OpenImageResponse>> reader =
      stub->OpenImage(&context, request);
  DescriptionAssembler assembler;
  v1::OpenImageResponse part;
  absl::Status malformed;
  while (malformed.ok() && reader->Read(&part)) malformed = assembler.Add(part);
  if (!malformed.ok()) context.TryCancel();
  grpc::Status finished = reader->Finish();
  RETURN_IF_ERROR(
      Annotate(malformed, absl::StrCat("page server ", endpoint.address)));
  if (!finished.ok()) return Explain(finished, endpoint, image);
  absl::StatusOr<ImageDescription> description = std::move(assembler).Finish();
  if (!description.ok()) {
    return Annotate(
        description.status(),
        absl::StrCat("page server ", endpoint.address, ", image ", image));
  }
  return std::unique_ptr<RemoteSource>(new RemoteSource(
      endpoint, image, *std::move(description), patience, std::move(channel)));
}

std::unique_ptr<RemoteSource> RemoteSource::Await(const Endpoint& endpoint,
                                                  const std::string& image,
                                                  ImageDescription description,
                                                  std::string trouble,
                                                  absl::Duration patience) {
  std::unique_ptr<RemoteSource> source(
      new RemoteSource(endpoint, image, std::move(description), patience,
                       NewPageChannel(endpoint)));
  source->trouble_at_first_ = std::move(trouble);
  return source;
}

RemoteSource::RemoteSource(Endpoint endpoint, std::string image,
                           ImageDescription description,
                           absl::Duration patience,
                           std::shared_ptr<grpc::Channel> channel)
    : endpoint_(std::move(endpoint)),
      image_(std::move(image)),
      description_(std::move(description)),
      patience_(patience),
      channel_(std::move(channel)),
      working_set_(channel_, image_, description_.content_id,
                   description_.page_count) {}

RemoteSource::~RemoteSource() { RemoteSource::Stop(); }

void RemoteSource::Start(PageSink* sink) {
  FetchStream::Options options;
  options.image = image_;
  options.content_id = description_.content_id;
  options.patience = patience_;
  options.trouble_at_first = trouble_at_first_;
  options.urgency = Urgency::kDemand;
  options.watcher = watcher_;
  streams_.push_back(std::make_unique<FetchStream>(endpoint_, options, sink));
  options.urgency = Urgency::kPrefetch;
  options.watcher = nullptr;
  options.compression = compression_;
  options.max_batch_bytes = kBulkBatchBytes;
  for (int i = 0; i < kBulkStreams; ++i) {
    streams_.push_back(std::make_unique<FetchStream>(endpoint_, options, sink));
  }
  std::vector<FetchStream*> watched;
  for (const auto& stream : streams_) watched.push_back(stream.get());
  watch_ = std::make_unique<ProgressWatch>(std::move(watched), patience_ / 4);
}

void RemoteSource::Fetch(ImageRange range, Urgency urgency) {
  FetchAll({range}, urgency);
}

void RemoteSource::FetchAll(absl::Span<const ImageRange> ranges,
                            Urgency urgency) {
  size_t stream = 0;
  if (urgency == Urgency::kPrefetch) {
    stream = 1 + next_bulk_.fetch_add(1, std::memory_order_relaxed) %
                     (streams_.size() - 1);
  }
  streams_[stream]->Fetch(ranges);
}

absl::Duration RemoteSource::ArrivesIn(ImagePage page) const {
  absl::Duration soonest = absl::InfiniteDuration();
  for (size_t i = 1; i < streams_.size(); ++i) {
    soonest = std::min(soonest, streams_[i]->ArrivesIn(page));
  }
  return soonest <= streams_[0]->usual_round_trip() ? soonest
                                                    : absl::InfiniteDuration();
}

void RemoteSource::Stop() {
  for (const auto& stream : streams_) stream->Stop();
}

absl::StatusOr<Recording> RemoteSource::WorkingSet() const {
  return working_set_.Order();
}

absl::Status RemoteSource::KeepRecording(const Recording& recording) {
  return working_set_.Add(recording);
}

uint64_t RemoteSource::bytes_received() const {
  uint64_t sum = 0;
  for (const auto& stream : streams_) sum += stream->stats().bytes_received;
  return sum;
}

uint64_t RemoteSource::checksum_failures() const {
  uint64_t sum = 0;
  for (const auto& stream : streams_) sum += stream->stats().checksum_failures;
  return sum;
}

uint64_t RemoteSource::reconnects() const {
  uint64_t sum = 0;
  for (const auto& stream : streams_) sum += stream->stats().reconnects;
  return sum;
}

std::string RemoteSource::trouble() const {
  if (streams_.empty()) return trouble_at_first_;
  for (const auto& stream : streams_) {
    std::string trouble = stream->trouble();
    if (!trouble.empty()) return trouble;
  }
  return "";
}

}  // namespace pagelift
