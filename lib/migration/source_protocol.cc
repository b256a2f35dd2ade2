#include "lib/migration/source_protocol.h"

#include "lib/base/log.h"

namespace pagelift {
namespace {

constexpr struct {
  SourceRecorded recorded;
  const char* name;
  SourceStep go_on_with;
} kRecorded[] = {
    // Somebody died before the commit point: how far he had come nobody knows.
    {SourceRecorded::kPlanned, "planned", SourceStep::kRecordAborted},
    {SourceRecorded::kCommitted, "committed", SourceStep::kCommit},
    {SourceRecorded::kResumed, "resumed", SourceStep::kSpool},
    {SourceRecorded::kSpooled, "spooled", SourceStep::kAwaitDrained},
    {SourceRecorded::kReleased, "released", SourceStep::kNothing},
    {SourceRecorded::kAborted, "aborted", SourceStep::kLetGo},
};

}  // namespace

std::string ToString(SourceRecorded recorded) {
  for (const auto& entry : kRecorded) {
    if (entry.recorded == recorded) return entry.name;
  }
  return "";
}

std::optional<SourceRecorded> ParseSourceRecorded(absl::string_view text) {
  for (const auto& entry : kRecorded) {
    if (entry.name == text) return entry.recorded;
  }
  return std::nullopt;
}

std::string ToString(SourceStep step) {
  switch (step) {
    case SourceStep::kPrepare:
      return "preparing";
    case SourceStep::kPark:
      return "parking";
    case SourceStep::kShip:
      return "shipping";
    case SourceStep::kRestore:
      return "restoring";
    case SourceStep::kFence:
    case SourceStep::kRecordCommitted:
      return "committing";
    case SourceStep::kCommit:
    case SourceStep::kRecordResumed:
      return "resuming";
    case SourceStep::kSpool:
    case SourceStep::kRecordSpooled:
      return "spooling";
    case SourceStep::kAwaitDrained:
      return "draining";
    case SourceStep::kRelease:
    case SourceStep::kRecordReleased:
      return "releasing";
    case SourceStep::kRecordAborted:
    case SourceStep::kLetGo:
    case SourceStep::kAbortThere:
      return "aborting";
    case SourceStep::kNothing:
      return "done";
  }
  return "";
}

SourceProtocol SourceProtocol::GoOn(SourceRecorded recorded) {
  for (const auto& entry : kRecorded) {
    if (entry.recorded == recorded) {
      const bool aborted = recorded == SourceRecorded::kPlanned ||
                           recorded == SourceRecorded::kAborted;
      return SourceProtocol(entry.go_on_with, aborted);
    }
  }
  CHECK(false) << "no such record";
}

void SourceProtocol::Done(SourceStep step) {
  if (step != next_) {
    // Meanwhile somebody wanted it to stay here.
    CHECK(aborted_ && step < SourceStep::kRecordCommitted) << ToString(step);
    return;
  }
  CHECK(next_ != SourceStep::kNothing) << "there was nothing to do";
  // Each way is in the order in which it is gone; both end with kNothing.
  next_ = step == SourceStep::kRecordReleased
              ? SourceStep::kNothing
              : static_cast<SourceStep>(static_cast<int>(step) + 1);
}

void SourceProtocol::Failed(SourceStep step) {
  if (step != next_ || committed()) return;
  switch (step) {
    case SourceStep::kRecordAborted:
      // Nothing is written: that means the same, and the tree waits.
      next_ = SourceStep::kLetGo;
      return;
    default:
      AskToAbort();
  }
}

bool SourceProtocol::AskToAbort() {
  if (aborted_) return true;
  if (committed() || next_ == SourceStep::kNothing) return false;
  aborted_ = true;
  next_ = SourceStep::kRecordAborted;
  return true;
}

bool SourceProtocol::committed() const {
  if (next_ == SourceStep::kNothing) return !aborted_;
  return next_ >= SourceStep::kCommit && next_ <= SourceStep::kRecordReleased;
}

bool SourceProtocol::aborted() const { return aborted_; }

}  // namespace pagelift
