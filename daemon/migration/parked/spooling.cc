#include "daemon/migration/parked/spooling.h"

#include <sched.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "lib/base/status_macros.h"
#include "lib/base/thread_name.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

constexpr PageCount kPiece(256);  // 1 MiB.

}  // namespace

Spooling::Spooling(const TreePages& pages, Spool& spool, Done done)
    : pages_(pages),
      spool_(spool),
      thread_([this, done = std::move(done)]() mutable {
        NameThisThread("spooling");
        // Runs where nobody else wants to, and is pushed aside at once by who
        // does: somebody waits for each page that is served meanwhile. Of this
        // thread only.
        const sched_param none = {};
        (void)sched_setscheduler(0, SCHED_IDLE, &none);
        std::move(done)(Run());
      }) {}

Spooling::~Spooling() {
  Stop();
  thread_.join();
}

absl::Status Spooling::Run() {
  const PageCount all = spool_.page_count();
  std::vector<std::byte> buffer(kPiece.bytes());
  while (spool_.has() < all) {
    if (stop_) return absl::CancelledError("the spool is not complete");
    const PageCount has = spool_.has();
    ASSIGN_OR_RETURN(
        const PageCount read,
        pages_.Read({ImagePage(has.raw()), all - has}, absl::MakeSpan(buffer)));
    RETURN_IF_ERROR(
        spool_.Append(absl::MakeConstSpan(buffer).first(read.bytes())));
  }
  if (spool_.complete()) return absl::OkStatus();
  return spool_.Complete([this] { return stop_.load(); });
}

}  // namespace pagelift
