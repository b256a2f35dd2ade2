#include "lib/base/fault_guard.h"

#include <setjmp.h>
#include <signal.h>

#include <atomic>

#include "lib/base/log.h"

namespace pagelift {
namespace {

// Where the innermost RunGuarded() of this thread goes on after a SIGBUS. The
// handler reads it, so it must never be allocated on first use.
__attribute__((
    tls_model("initial-exec"))) thread_local sigjmp_buf* t_innermost = nullptr;

// Nothing of ours is blocked when the handler runs, but ThreadSanitizer runs
// handlers with all signals blocked. Saving the mask costs a system call.
#if defined(__SANITIZE_THREAD__)
constexpr int kSaveMask = 1;
#else
constexpr int kSaveMask = 0;
#endif

struct sigaction g_previous;

// Does what would have happened without our handler.
void PassOn(int signal, siginfo_t* info, void* context) {
  if ((g_previous.sa_flags & SA_SIGINFO) != 0) {
    g_previous.sa_sigaction(signal, info, context);
    return;
  }
  bool from_memory = info->si_code > 0;
  if (g_previous.sa_handler == SIG_IGN && !from_memory) return;
  if (g_previous.sa_handler != SIG_IGN && g_previous.sa_handler != SIG_DFL) {
    g_previous.sa_handler(signal);
    return;
  }
  // The kernel does not let a process ignore a SIGBUS that its own access
  // caused: it dies of either disposition.
  struct sigaction fatal = {};
  fatal.sa_handler = SIG_DFL;
  sigaction(SIGBUS, &fatal, nullptr);
  raise(SIGBUS);
}

void OnSigbus(int signal, siginfo_t* info, void* context) {
  bool from_memory = info->si_code > 0;
  if (t_innermost != nullptr && from_memory) siglongjmp(*t_innermost, 1);
  PassOn(signal, info, context);
}

bool InstallHandler() {
  struct sigaction action = {};
  action.sa_sigaction = &OnSigbus;
  // SA_NODEFER: the handler is left by a jump that does not restore the mask.
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  CHECK(sigaction(SIGBUS, &action, &g_previous) == 0) << "sigaction(SIGBUS)";
  return true;
}

}  // namespace

bool RunGuarded(absl::FunctionRef<void()> read) {
  static const bool installed = InstallHandler();
  (void)installed;
  sigjmp_buf here;
  sigjmp_buf* const outer = t_innermost;
  if (sigsetjmp(here, kSaveMask) != 0) {
    t_innermost = outer;
    return false;
  }
  t_innermost = &here;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  read();
  std::atomic_signal_fence(std::memory_order_seq_cst);
  t_innermost = outer;
  return true;
}

}  // namespace pagelift
