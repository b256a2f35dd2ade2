#include "lib/migration/destination_protocol.h"

#include "lib/base/log.h"

namespace pagelift {
namespace {

using Recorded = DestinationRecorded;
using Request = MigrationRequest;
using Step = DestinationStep;

constexpr struct {
  Recorded recorded;
  const char* name;
} kRecorded[] = {
    {Recorded::kUnknown, "unknown"},   {Recorded::kPrepared, "prepared"},
    {Recorded::kHeld, "held"},         {Recorded::kCommitted, "committed"},
    {Recorded::kResuming, "resuming"}, {Recorded::kRunning, "running"},
    {Recorded::kReleased, "released"}, {Recorded::kAborted, "aborted"},
};

}  // namespace

std::string ToString(DestinationRecorded recorded) {
  for (const auto& entry : kRecorded) {
    if (entry.recorded == recorded) return entry.name;
  }
  return "";
}

std::optional<DestinationRecorded> ParseDestinationRecorded(
    absl::string_view text) {
  for (const auto& entry : kRecorded) {
    if (entry.name == text) return entry.recorded;
  }
  return std::nullopt;
}

std::string ToString(DestinationStep step) {
  switch (step) {
    case Step::kNothing:
      return "nothing";
    case Step::kRecordPrepared:
      return "record prepared";
    case Step::kLook:
      return "look";
    case Step::kCleanUp:
      return "clean up";
    case Step::kRestore:
      return "restore";
    case Step::kRecordHeld:
      return "record held";
    case Step::kRecordCommitted:
      return "record committed";
    case Step::kRecordResuming:
      return "record resuming";
    case Step::kLetGo:
      return "let go";
    case Step::kRecordRunning:
      return "record running";
    case Step::kForget:
      return "forget";
    case Step::kRecordReleased:
      return "record released";
    case Step::kRecordAborted:
      return "record aborted";
  }
  return "";
}

DestinationProtocol::DestinationProtocol(DestinationRecorded recorded)
    : recorded_(recorded), hold_(Hold::kUnknown) {
  if (recorded == Recorded::kUnknown) hold_ = Hold::kNone;
  if (recorded == Recorded::kRunning || recorded == Recorded::kReleased) {
    hold_ = Hold::kRuns;
  }
}

RequestFate DestinationProtocol::On(MigrationRequest request) {
  // Whoever asked first for one of the two decides; nobody asks for both.
  const bool is_aborting =
      recorded_ == Recorded::kAborted || asked_ == Request::kAbort;
  const bool is_committing =
      recorded_ >= Recorded::kCommitted || asked_ == Request::kCommit;
  switch (request) {
    case Request::kPrepare:
      if (is_aborting) return RequestFate::kRefused;
      if (recorded_ != Recorded::kUnknown) return RequestFate::kDone;
      break;
    case Request::kShip:
      // A late one must not change what is restored from.
      if (is_aborting || recorded_ != Recorded::kPrepared ||
          asked_ == Request::kRestore) {
        return RequestFate::kRefused;
      }
      return RequestFate::kDone;
    case Request::kRestore:
      if (is_aborting || recorded_ == Recorded::kUnknown) {
        return RequestFate::kRefused;
      }
      if (recorded_ != Recorded::kPrepared) return RequestFate::kDone;
      break;
    case Request::kCommit:
      if (recorded_ == Recorded::kRunning || recorded_ == Recorded::kReleased) {
        return RequestFate::kDone;
      }
      // It does; that it is written down is of use only for a next one of us.
      if (RunsUnrecorded()) return RequestFate::kDone;
      if (is_aborting || recorded_ < Recorded::kHeld) {
        return RequestFate::kRefused;
      }
      if (stuck_) return RequestFate::kRefused;
      if (recorded_ != Recorded::kHeld) return RequestFate::kWait;
      break;
    case Request::kAbort:
      if (recorded_ == Recorded::kAborted) {
        return hold_ == Hold::kNone ? RequestFate::kDone : RequestFate::kWait;
      }
      if (is_committing) return RequestFate::kRefused;
      break;
    case Request::kRelease:
      if (recorded_ == Recorded::kReleased || recorded_ == Recorded::kUnknown) {
        return RequestFate::kDone;
      }
      if (recorded_ != Recorded::kRunning && !RunsUnrecorded()) {
        return RequestFate::kRefused;
      }
      break;
  }
  asked_ = request;
  return RequestFate::kWait;
}

DestinationStep DestinationProtocol::Bring() const {
  switch (hold_) {
    case Hold::kNone:
      return Step::kRestore;
    case Hold::kUnknown:
      return Step::kLook;
    case Hold::kDirty:
      return Step::kCleanUp;
    case Hold::kHeld:
    case Hold::kRuns:
      break;
  }
  return Step::kNothing;
}

DestinationStep DestinationProtocol::next() const {
  if (stuck_) return Step::kNothing;
  if (asked_ == Request::kAbort) return Step::kRecordAborted;
  switch (recorded_) {
    case Recorded::kUnknown:
      return asked_ == Request::kPrepare ? Step::kRecordPrepared
                                         : Step::kNothing;
    case Recorded::kPrepared:
      if (hold_ == Hold::kHeld) return Step::kRecordHeld;
      if (hold_ == Hold::kNone && asked_ != Request::kRestore) {
        return Step::kNothing;
      }
      return Bring();
    case Recorded::kHeld:
      if (asked_ != Request::kCommit) return Bring();
      // One write is enough where it can be let go at once: it waits for it.
      return hold_ == Hold::kHeld ? Step::kRecordResuming
                                  : Step::kRecordCommitted;
    case Recorded::kCommitted:
      return hold_ == Hold::kHeld ? Step::kRecordResuming : Bring();
    case Recorded::kResuming:
      if (hold_ == Hold::kHeld) return Step::kLetGo;
      if (hold_ == Hold::kRuns) return Step::kRecordRunning;
      // It is known that none has run: back to where it is restored.
      if (hold_ == Hold::kDirty) return Step::kRecordCommitted;
      return Step::kLook;
    case Recorded::kRunning:
      if (asked_ != Request::kRelease) return Step::kNothing;
      return forgotten_ ? Step::kRecordReleased : Step::kForget;
    case Recorded::kReleased:
      return Step::kNothing;
    case Recorded::kAborted:
      if (hold_ == Hold::kNone) return Step::kNothing;
      return hold_ == Hold::kUnknown ? Step::kLook : Step::kCleanUp;
  }
  return Step::kNothing;
}

void DestinationProtocol::Done(DestinationStep step) {
  switch (step) {
    case Step::kNothing:
    case Step::kLook:
      CHECK(false) << "is not to be done: " << ToString(step);
    case Step::kRecordPrepared:
      recorded_ = Recorded::kPrepared;
      break;
    case Step::kCleanUp:
      hold_ = Hold::kNone;
      return;
    case Step::kRestore:
      hold_ = Hold::kHeld;
      return;
    case Step::kRecordHeld:
      recorded_ = Recorded::kHeld;
      break;
    case Step::kRecordCommitted:
      recorded_ = Recorded::kCommitted;
      break;
    case Step::kRecordResuming:
      recorded_ = Recorded::kResuming;
      break;
    case Step::kLetGo:
      hold_ = Hold::kRuns;
      return;
    case Step::kRecordRunning:
      recorded_ = Recorded::kRunning;
      break;
    case Step::kForget:
      forgotten_ = true;
      return;
    case Step::kRecordReleased:
      recorded_ = Recorded::kReleased;
      break;
    case Step::kRecordAborted:
      recorded_ = Recorded::kAborted;
      break;
  }
  asked_.reset();
}

void DestinationProtocol::Failed(DestinationStep step) {
  switch (step) {
    case Step::kRestore:
      hold_ = Hold::kDirty;
      break;
    case Step::kLetGo:
      hold_ = Hold::kUnknown;
      return;
    case Step::kRecordHeld:
      // Without that we have agreed to nothing.
      hold_ = Hold::kDirty;
      break;
    case Step::kRecordPrepared:
      break;
    default:
      return;  // To be tried again.
  }
  // Whoever asked for it is told; he may ask again.
  if (recorded_ <= Recorded::kPrepared && asked_ != Request::kAbort) {
    asked_.reset();
  }
}

void DestinationProtocol::Found(RestoreFound found) {
  const bool agreed = recorded_ == Recorded::kHeld ||
                      recorded_ == Recorded::kCommitted ||
                      recorded_ == Recorded::kResuming;
  switch (found) {
    case RestoreFound::kNothing:
      hold_ = Hold::kNone;
      stuck_ = recorded_ == Recorded::kResuming;
      break;
    case RestoreFound::kHeld:
      hold_ = agreed ? Hold::kHeld : Hold::kDirty;
      break;
    case RestoreFound::kNoneHasRun:
      hold_ = Hold::kDirty;
      break;
    case RestoreFound::kRuns:
      // Nobody has let it go, unless that was about to be done.
      hold_ = agreed ? Hold::kRuns : Hold::kDirty;
      stuck_ = agreed && recorded_ != Recorded::kResuming;
      break;
  }
}

void DestinationProtocol::LookAgain() {
  if (hold_ == Hold::kHeld) hold_ = Hold::kUnknown;
}

}  // namespace pagelift
