#include "tests/stress/torture/touch.h"

#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::stress {
namespace {

// Where the innermost access of this thread goes on after a signal. The handler
// reads it, so it must never be allocated on first use.
__attribute__((
    tls_model("initial-exec"))) thread_local sigjmp_buf* t_innermost = nullptr;

void OnSignal(int signal) {
  if (t_innermost != nullptr) siglongjmp(*t_innermost, signal);
  struct sigaction fatal = {};
  fatal.sa_handler = SIG_DFL;
  sigaction(signal, &fatal, nullptr);
  // Returning repeats the access, which is then fatal.
}

// Not std::function: nothing here may allocate.
template <typename Access>
int SignalOf(Access access) {
  sigjmp_buf here;
  sigjmp_buf* const outer = t_innermost;
  const int signal = sigsetjmp(here, /*savemask=*/0);
  if (signal == 0) {
    t_innermost = &here;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    access();
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  t_innermost = outer;
  return signal;
}

}  // namespace

void CatchMemorySignals() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  // The handler is left by a jump that does not restore the mask.
  action.sa_flags = SA_NODEFER;
  if (sigaction(SIGSEGV, &action, nullptr) != 0 ||
      sigaction(SIGBUS, &action, nullptr) != 0) {
    std::abort();
  }
}

int TouchRead(const std::byte* from, std::byte* to) {
  return SignalOf([from, to] {
    // Not memcpy(3), which sanitizers replace: it must be left by a signal.
    const auto* words = reinterpret_cast<const volatile uint64_t*>(from);
    auto* copy = reinterpret_cast<volatile uint64_t*>(to);
    for (size_t i = 0; i < e2e::kPageBytes / sizeof(uint64_t); ++i) {
      copy[i] = words[i];
    }
  });
}

int TouchWrite(std::byte* at) {
  return SignalOf([at] {
    auto* byte = reinterpret_cast<volatile unsigned char*>(at);
    *byte = *byte;
  });
}

}  // namespace pagelift::stress
