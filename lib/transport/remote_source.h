#ifndef PAGELIFT_LIB_TRANSPORT_REMOTE_SOURCE_H_
#define PAGELIFT_LIB_TRANSPORT_REMOTE_SOURCE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/ready_watcher.h"
#include "lib/source/page_source.h"
#include "lib/transport/compression_choice.h"
#include "lib/transport/endpoint.h"
#include "lib/transport/fetch_stream.h"
#include "lib/transport/progress_watch.h"
#include "lib/transport/remote_working_set.h"
#include "lib/workingset/recording.h"

namespace pagelift {

// An image of a page server: streams for demand and for bulk, each on a
// connection of its own, and a channel of gRPC for everything else.
//
// Thread-safe. A server that is lost, or there but silent, is waited for, for
// ever; the pages stay outstanding, and trouble() says why.
class RemoteSource : public PageSource {
 public:
  // How long a server may be silent before it is asked again.
  static constexpr absl::Duration kPatience = absl::Seconds(10);

  // Asks the server at `endpoint` for the description of `image`. Fails with
  // what the operator can do about it: kUnavailable if the server cannot be
  // reached within `deadline`, kNotFound, kFailedPrecondition.
  static absl::StatusOr<std::unique_ptr<RemoteSource>> Open(
      const Endpoint& endpoint, const std::string& image,
      absl::Duration deadline, absl::Duration patience = kPatience);
  // A server that could not be asked, because of `trouble`, is waited for; from
  // then on as any other. The image's `description` is known from elsewhere.
  static std::unique_ptr<RemoteSource> Await(
      const Endpoint& endpoint, const std::string& image,
      ImageDescription description, std::string trouble,
      absl::Duration patience = kPatience);
  ~RemoteSource() override;

  // Of what is prefetched; before Start(). Compression::kAuto at first.
  void SetCompression(Compression compression) { compression_ = compression; }

  const ImageDescription& description() const override { return description_; }
  void DeliverOn(ReadyWatcher* watcher) override { watcher_ = watcher; }
  void Start(PageSink* sink) override;
  void Fetch(ImageRange range, Urgency urgency) override;
  void FetchAll(absl::Span<const ImageRange> ranges, Urgency urgency) override;
  absl::Duration ArrivesIn(ImagePage page) const override;
  void Stop() override;
  uint64_t bytes_received() const override;
  std::string trouble() const override;
  uint64_t checksum_failures() const override;
  uint64_t reconnects() const override;
  absl::StatusOr<Recording> WorkingSet() const override;
  absl::Status KeepRecording(const Recording& recording) override;

  // What the page server keeps of this image's restores.
  const RemoteWorkingSet& working_set() const { return working_set_; }

 private:
  static absl::StatusOr<std::unique_ptr<RemoteSource>> OpenOnce(
      const Endpoint& endpoint, const std::string& image, absl::Time give_up,
      absl::Duration patience);
  RemoteSource(Endpoint endpoint, std::string image,
               ImageDescription description, absl::Duration patience,
               std::shared_ptr<grpc::Channel> channel);

  const Endpoint endpoint_;
  const std::string image_;
  const ImageDescription description_;
  const absl::Duration patience_;
  const std::shared_ptr<grpc::Channel> channel_;
  const RemoteWorkingSet working_set_;
  std::string trouble_at_first_;
  ReadyWatcher* watcher_ = nullptr;
  Compression compression_ = Compression::kAuto;
  // Set by Start(), then unchanged: demand first, then bulk.
  std::vector<std::unique_ptr<FetchStream>> streams_;
  std::unique_ptr<ProgressWatch> watch_;  // After them: it uses them.
  std::atomic<uint64_t> next_bulk_{0};
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_REMOTE_SOURCE_H_
