#ifndef PAGELIFT_DAEMON_PAGE_SERVER_DUMP_SINK_H_
#define PAGELIFT_DAEMON_PAGE_SERVER_DUMP_SINK_H_

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/page_server/dump_connection.h"
#include "daemon/page_server/dump_names.h"
#include "lib/base/unique_fd.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/client_quota.h"
#include "lib/transport/criu_dump_receiver.h"
#include "lib/transport/socket_address.h"

namespace pagelift {

// Receives dumps of `criu dump --page-server` into a directory; docs/sink.md.
//
// Thread-safe. Receives from Start() on.
class DumpSink {
 public:
  static constexpr size_t kMostDumps = 64;  // At a time.
  static constexpr size_t kMostOfAHost = 16;

  struct Options {
    std::string listen;                   // HOST:PORT
    std::string directory;                // It has to be there.
    std::shared_ptr<TlsCredentials> tls;  // A server's. Null: plain text.
    CriuDumpPatience patience;
  };

  // Removes what a sink that died has left of dumps under way. kUnavailable if
  // another sink uses the directory.
  static absl::StatusOr<std::unique_ptr<DumpSink>> Start(Options options);
  // As Stop() with no time to lose.
  ~DumpSink();

  // With the port that was chosen.
  const std::string& address() const { return address_; }

  // Accepts no more, and breaks off after `deadline` the dumps that are then
  // still coming. Idempotent.
  void Stop(absl::Duration deadline) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Dump {
    ClientQuota::Place place;
    std::unique_ptr<DumpConnection> connection;
  };

  DumpSink(Options options, UniqueFd lock, Listener listener);

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void Accept(int listener) ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetThoseThatAreOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;
  const UniqueFd lock_;  // Of the directory.
  const std::string address_;
  DumpNames names_;
  ClientQuota quota_;
  // Eventfds: accept no more; receive no more.
  const UniqueFd stop_;
  const UniqueFd break_off_;

  std::optional<Listener> listener_;  // Of the thread.

  absl::Mutex mu_;
  std::list<Dump> dumps_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;  // Last: uses all of the above.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGE_SERVER_DUMP_SINK_H_
