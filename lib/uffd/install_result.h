#ifndef PAGELIFT_LIB_UFFD_INSTALL_RESULT_H_
#define PAGELIFT_LIB_UFFD_INSTALL_RESULT_H_

#include <cstdint>
#include <limits>
#include <ostream>

#include "lib/memory/page.h"

namespace pagelift {

// What became of an attempt to install pages, or to change them. On the fault
// path a lost race is ordinary weather, so it is a value the caller switches
// over, not an error.
//
// Nothing but kInstalled and kInterrupted woke anybody, and kInterrupted woke
// only those who wait for its first `installed` pages.
struct InstallResult {
  enum class Outcome {
    kInstalled,       // Every page of the range is done.
    kAlreadyPresent,  // The first page was there already. Wake it: nobody did.
                      // Copy() of a huge page says so, too, if none is left.
    kInterrupted,     // Stopped after `installed` pages, at least one. Go on
                      // there; the next attempt tells the reason.
    kEventPending,    // An event waits to be read: nothing can be installed
                      // before it is, and for some microseconds after.
    kRangeGone,       // Some part is unmapped or not registered, or the range
                 // crosses from one mapping into another: split, try again.
    kSourceFault,  // The bytes to copy cannot be read. Also: beyond the end
                   // of a shared file, or (Continue) not in the page cache.
    kNoMemory,     // The target's memory limit, or the machine's. Wait.
    kTargetGone,   // The target has exited or executed another program.
    kFailed,       // Anything else; `error` says what.
  };

  Outcome outcome = Outcome::kFailed;
  PageCount installed;
  int error = 0;  // The errno; 0 if kInstalled.
};

// What an ioctl that installs wrote to its result field, if it wrote nothing.
// Preset the field to it: several errors leave the field alone.
inline constexpr int64_t kResultUntouched = std::numeric_limits<int64_t>::min();

// The one place where the answer of an installing ioctl is understood: its
// return value, its errno, and its *signed* result field, which counts only
// under EAGAIN: bytes done if positive, else "events first".
InstallResult DecodeInstall(int returned, int error, int64_t result_field,
                            PageCount requested);

std::ostream& operator<<(std::ostream& out, InstallResult::Outcome outcome);
// "interrupted after 3p (EAGAIN)"
std::ostream& operator<<(std::ostream& out, const InstallResult& result);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_INSTALL_RESULT_H_
