#include "lib/uffd/install_result.h"

#include <cerrno>
#include <cstring>

namespace pagelift {
namespace {

using Outcome = InstallResult::Outcome;

InstallResult DecodeAgain(int64_t result_field, PageCount requested) {
  if (result_field <= 0) return {Outcome::kEventPending, PageCount(0), EAGAIN};
  const uint64_t bytes = static_cast<uint64_t>(result_field);
  if (bytes % kPageSize != 0 || bytes > requested.bytes()) {
    return {Outcome::kFailed, PageCount(0), EAGAIN};
  }
  return {Outcome::kInterrupted, PageCount(bytes >> kPageShift), EAGAIN};
}

Outcome OutcomeOf(int error) {
  switch (error) {
    case EEXIST:
      return Outcome::kAlreadyPresent;
    case ENOENT:
      return Outcome::kRangeGone;
    case EFAULT:
      return Outcome::kSourceFault;
    case ENOMEM:
      return Outcome::kNoMemory;
    case ESRCH:
    case ENOSPC:  // Linux 4.11 to 4.13.
      return Outcome::kTargetGone;
    default:
      return Outcome::kFailed;
  }
}

const char* NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kInstalled:
      return "installed";
    case Outcome::kAlreadyPresent:
      return "already present";
    case Outcome::kInterrupted:
      return "interrupted";
    case Outcome::kEventPending:
      return "event pending";
    case Outcome::kRangeGone:
      return "range gone";
    case Outcome::kSourceFault:
      return "source fault";
    case Outcome::kNoMemory:
      return "no memory";
    case Outcome::kTargetGone:
      return "target gone";
    case Outcome::kFailed:
      return "failed";
  }
  return "?";
}

}  // namespace

InstallResult DecodeInstall(int returned, int error, int64_t result_field,
                            PageCount requested) {
  if (returned == 0) return {Outcome::kInstalled, requested, 0};
  if (error == EAGAIN) return DecodeAgain(result_field, requested);
  return {OutcomeOf(error), PageCount(0), error};
}

std::ostream& operator<<(std::ostream& out, Outcome outcome) {
  return out << NameOf(outcome);
}

std::ostream& operator<<(std::ostream& out, const InstallResult& result) {
  out << result.outcome;
  if (result.installed != PageCount(0)) {
    out << " after " << result.installed.raw() << "p";
  }
  if (result.error != 0) out << " (" << strerrorname_np(result.error) << ")";
  return out;
}

}  // namespace pagelift
