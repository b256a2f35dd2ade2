// How fast pages come from a page server over loopback: bulk throughput, and
// the round trip of one page by demand while no bulk runs. The sink
// only counts. Prints one line; the constants of lib/transport were chosen with
// it.
//
//   transport_bench --batch=256 --streams=1

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/command_line.h"
#include "lib/base/log.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/door_server.h"
#include "lib/transport/fetch_stream.h"
#include "lib/transport/page_service.h"
#include "lib/transport/testing/test_page_server.h"

namespace pagelift {
namespace {

constexpr char kName[] = "bench";

struct BenchOptions {
  uint64_t mebibytes = 512;
  uint64_t batch_kib = 256;
  int streams = 1;
  uint64_t request_kib = 256;
  uint64_t in_flight_kib = 4096;
  int round_trips = 2000;
};

PageCount PagesOfKib(uint64_t kib) { return PageCount(kib / 4); }

// Counts pages, and keeps the time of the last delivery. Thread-safe.
class CountingSink : public PageSink {
 public:
  void OnPages(const PageBatch& batch) override { Count(batch.range.count); }
  void OnUnavailable(ImageRange range, const absl::Status& status) override {
    CHECK(false) << range << ": " << status.ToString();
  }
  void WaitForPages(uint64_t pages) {
    auto came = [this, pages]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return pages_ >= pages;
    };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&came));
  }

 private:
  void Count(PageCount pages) {
    absl::MutexLock lock(&mu_);
    pages_ += pages.raw();
  }

  absl::Mutex mu_;
  uint64_t pages_ ABSL_GUARDED_BY(mu_) = 0;
};

class Bench {
 public:
  explicit Bench(const BenchOptions& options) : options_(options) {
    catalog_.Put(kName, store_);
    grpc::ServerBuilder builder;
    absl::StatusOr<std::unique_ptr<DoorServer>> server =
        DoorServer::Start("127.0.0.1:0", service_, builder);
    CHECK(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
  }

  void Run() {
    // The first pass brings connections and page tables up.
    Bulk();
    const double bulk = Bulk();
    std::vector<double> alone = RoundTrips();
    printf(
        "batch %4lu KiB, %d bulk: %7.1f MiB/s; demand p50 %5.1f p99 %6.1f us\n",
        options_.batch_kib, options_.streams, bulk, At(alone, 0.5),
        At(alone, 0.99));
  }

 private:
  std::unique_ptr<FetchStream> Connect(Urgency urgency, PageSink* sink) {
    FetchStream::Options stream;
    stream.image = kName;
    stream.content_id = store_->description().content_id;
    stream.urgency = urgency;
    stream.max_batch_bytes = static_cast<uint32_t>(options_.batch_kib << 10);
    return std::make_unique<FetchStream>(server_->address(), stream, sink);
  }

  // MiB/s of the whole image, with so much in flight.
  double Bulk() {
    CountingSink sink;
    std::vector<std::unique_ptr<FetchStream>> streams;
    for (int i = 0; i < options_.streams; ++i) {
      streams.push_back(Connect(Urgency::kPrefetch, &sink));
    }
    const uint64_t total = options_.mebibytes * 256;
    const PageCount request = PagesOfKib(options_.request_kib);
    const uint64_t window = PagesOfKib(options_.in_flight_kib).raw();
    const absl::Time start = absl::Now();
    size_t next_stream = 0;
    for (uint64_t first = 0; first < total; first += request.raw()) {
      if (first + request.raw() > window) {
        sink.WaitForPages(first + request.raw() - window);
      }
      streams[next_stream++ % streams.size()]->Fetch(
          {{ImagePage(first), std::min(request, PageCount(total - first))}});
    }
    sink.WaitForPages(total);
    const absl::Duration elapsed = absl::Now() - start;
    for (auto& stream : streams) stream->Stop();
    return static_cast<double>(options_.mebibytes) /
           absl::ToDoubleSeconds(elapsed);
  }

  // Microseconds, sorted.
  std::vector<double> RoundTrips() {
    CountingSink sink;
    std::unique_ptr<FetchStream> stream = Connect(Urgency::kDemand, &sink);
    std::vector<double> times;
    for (int i = 0; i < options_.round_trips; ++i) {
      const absl::Time start = absl::Now();
      stream->Fetch({{ImagePage(static_cast<uint64_t>(i) * 7919 %
                                (options_.mebibytes * 256)),
                      PageCount(1)}});
      sink.WaitForPages(static_cast<uint64_t>(i) + 1);
      times.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
    }
    stream->Stop();
    std::sort(times.begin(), times.end());
    return times;
  }

  static double At(const std::vector<double>& sorted, double quantile) {
    return sorted[static_cast<size_t>(quantile *
                                      static_cast<double>(sorted.size() - 1))];
  }

  const BenchOptions options_;
  const std::shared_ptr<FakePageStore> store_ = std::make_shared<FakePageStore>(
      OneTaskImage(1, {PageId(0), PageCount(options_.mebibytes * 256)}));
  FakeCatalog catalog_;
  PageService service_{catalog_};
  std::unique_ptr<DoorServer> server_;
};

}  // namespace
}  // namespace pagelift

int main(int argc, char* argv[]) {
  pagelift::SetLogSink(2, pagelift::LogLevel::kWarning);
  pagelift::BenchOptions options;
  pagelift::CommandLine line("transport_bench",
                             "Measures fetching pages over loopback TCP.");
  line.Add({"size", 0, "MIB", "of the image", &options.mebibytes});
  line.Add({"batch", 0, "KIB", "the most in one message", &options.batch_kib});
  line.Add({"streams", 0, "N", "bulk streams", &options.streams});
  line.Add({"request", 0, "KIB", "in one request", &options.request_kib});
  line.Add({"in-flight", 0, "KIB", "asked for and not yet here",
            &options.in_flight_kib});
  line.Add({"round-trips", 0, "N", "of one page", &options.round_trips});
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  pagelift::Bench(options).Run();
  return 0;
}
