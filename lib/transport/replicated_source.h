#ifndef PAGELIFT_LIB_TRANSPORT_REPLICATED_SOURCE_H_
#define PAGELIFT_LIB_TRANSPORT_REPLICATED_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/base/ready_watcher.h"
#include "lib/memory/page.h"
#include "lib/source/page_source.h"
#include "lib/transport/hedge_timing.h"
#include "lib/transport/replica_requests.h"
#include "lib/workingset/recording.h"

namespace pagelift {

// Several sources of one and the same image, of which one is asked, and the
// others where that one is late or fails; docs/replicas.md has the rules.
//
// Thread-safe. Delivers on the threads of the replicas.
class ReplicatedSource : public PageSource {
 public:
  struct Replica {
    std::string name;  // For people.
    std::unique_ptr<PageSource> source;
  };
  struct Options {
    // How long a replica may be silent while it owes answers.
    absl::Duration demand_patience = absl::Milliseconds(200);
    absl::Duration prefetch_patience = absl::Seconds(2);
  };

  // They come in the order in which they are preferred, and have the same
  // description. REQUIRES: there is one, and not more than kMostReplicas.
  explicit ReplicatedSource(std::vector<Replica> replicas);
  ReplicatedSource(std::vector<Replica> replicas, Options options);
  ~ReplicatedSource() override;

  const ImageDescription& description() const override;
  void DeliverOn(ReadyWatcher* watcher) override;
  void Start(PageSink* sink) override;
  void Fetch(ImageRange range, Urgency urgency) override;
  void FetchAll(absl::Span<const ImageRange> ranges, Urgency urgency) override;
  absl::Duration ArrivesIn(ImagePage page) const override;
  void Stop() override;
  uint64_t bytes_received() const override;
  std::string trouble() const override;
  // Read from the current replica; kept on all that are well.
  absl::StatusOr<Recording> WorkingSet() const override;
  absl::Status KeepRecording(const Recording& recording) override;
  uint64_t checksum_failures() const override;
  uint64_t reconnects() const override;
  ReplicaCounts replica_counts() const override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Ask = ReplicaRequests::Ask;

  // What one replica delivers.
  class Inlet : public PageSink {
   public:
    Inlet(ReplicatedSource& all, size_t number) : all_(all), number_(number) {}
    void OnPages(const PageBatch& batch) override {
      all_.OnPages(number_, batch);
    }
    void OnUnavailable(ImageRange range, const absl::Status& status) override {
      all_.OnUnavailable(number_, range, status);
    }

   private:
    ReplicatedSource& all_;
    const size_t number_;
  };
  struct State {
    bool troubled = false;  // Says so itself.
    bool silent = false;    // Owes answers, and nothing comes.
    absl::Duration last_arrival;
    bool well() const { return !troubled && !silent; }
  };

  void OnPages(size_t number, const PageBatch& batch) ABSL_LOCKS_EXCLUDED(mu_);
  void OnUnavailable(size_t number, ImageRange range,
                     const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  void DeliverPart(ImageRange part, const PageBatch& batch);
  // Without the lock: a replica may answer from within.
  void FetchFrom(absl::Span<const Ask> asks) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteArrival(size_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // The thread that looks.
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void Look() ABSL_LOCKS_EXCLUDED(mu_);
  void LookAtHealth(const std::vector<bool>& troubled, absl::Duration now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsSilent(size_t number, absl::Duration now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  ReplicaSet Well() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Of all replicas.
  uint64_t SumOf(uint64_t (PageSource::*count)() const) const;
  // All replicas, the current one first.
  std::vector<size_t> InOrder() const ABSL_LOCKS_EXCLUDED(mu_);

  const std::vector<Replica> replicas_;
  const Options options_;
  std::vector<std::unique_ptr<Inlet>> inlets_;
  PageSink* sink_ = nullptr;  // Set by Start(), then unchanged.

  mutable absl::Mutex mu_;
  ReplicaRequests requests_ ABSL_GUARDED_BY(mu_);
  HedgeTiming timing_ ABSL_GUARDED_BY(mu_);
  std::vector<State> states_ ABSL_GUARDED_BY(mu_);
  size_t current_ ABSL_GUARDED_BY(mu_) = 0;
  ReplicaCounts counts_ ABSL_GUARDED_BY(mu_);
  bool idle_ ABSL_GUARDED_BY(mu_) = false;  // The thread waits for requests.
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  absl::Mutex join_mu_ ABSL_ACQUIRED_BEFORE(mu_);  // Held to join thread_.
  std::thread thread_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_REPLICATED_SOURCE_H_
