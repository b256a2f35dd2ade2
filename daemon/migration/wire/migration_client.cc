#include "daemon/migration/wire/migration_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/transport/channel.h"
#include "lib/transport/grpc_status.h"

namespace pagelift {
namespace {

// Of one try. A restore takes as long as CRIU does.
constexpr absl::Duration kDeadline = absl::Seconds(10);
constexpr absl::Duration kLongDeadline = absl::Seconds(120);
// Between tries: what restarts does so within milliseconds.
constexpr absl::Duration kFirstPause = absl::Milliseconds(10);
constexpr absl::Duration kLongestPause = absl::Seconds(1);

bool IsNoAnswer(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kCancelled;
}

}  // namespace

MigrationClient::MigrationClient(const Endpoint& receiver, std::string id)
    : receiver_(receiver.address),
      id_(std::move(id)),
      stub_(v1::Migration::NewStub(NewPageChannel(receiver))) {}

absl::Status MigrationClient::Try(Call call, absl::Duration deadline) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
  {
    absl::MutexLock lock(&mu_);
    under_way_ = &context;
  }
  const grpc::Status status = call(context);
  absl::MutexLock lock(&mu_);
  under_way_ = nullptr;
  return FromGrpc(status);
}

absl::Status MigrationClient::Ask(Call call, absl::Duration deadline,
                                  absl::Duration patience) {
  const absl::Time give_up = absl::Now() + patience;
  absl::Duration pause = kFirstPause;
  int cancels;
  {
    absl::MutexLock lock(&mu_);
    cancels = cancels_;
  }
  while (true) {
    const absl::Status status = Try(call, deadline);
    absl::MutexLock lock(&mu_);
    if (status.ok()) return status;
    if (cancels_ != cancels) return absl::CancelledError("cancelled");
    if (!IsNoAnswer(status)) {
      return absl::Status(status.code(),
                          absl::StrCat(receiver_, ": ", status.message()));
    }
    if (give_up <= absl::Now()) {
      return absl::UnavailableError(absl::StrCat(
          "the receiver ", receiver_, " does not answer (", status.message(),
          "): is `pageliftd --accept-migrations` there, and does a firewall "
          "let the port through?"));
    }
    cancelled_.WaitWithTimeout(&mu_, pause);
    if (cancels_ != cancels) return absl::CancelledError("cancelled");
    pause = std::min(2 * pause, kLongestPause);
  }
}

void MigrationClient::Cancel() {
  absl::MutexLock lock(&mu_);
  ++cancels_;
  if (under_way_ != nullptr) under_way_->TryCancel();
  cancelled_.SignalAll();
}

absl::StatusOr<v1::PrepareResponse> MigrationClient::Prepare(
    v1::PrepareRequest request, absl::Duration patience) {
  request.set_id(id_);
  v1::PrepareResponse response;
  const absl::Status status = Ask(
      [&](grpc::ClientContext& context) {
        return stub_->Prepare(&context, request, &response);
      },
      kDeadline, patience);
  if (!status.ok()) return status;
  return response;
}

absl::Status MigrationClient::ShipImages(
    absl::FunctionRef<absl::StatusOr<NextPart>()> begin,
    absl::Duration patience) {
  absl::Status failed;  // On our side.
  const absl::Status status = Ask(
      [&](grpc::ClientContext& context) -> grpc::Status {
        v1::ShipImagesResponse response;
        const absl::StatusOr<NextPart> next = begin();
        if (!next.ok()) {
          failed = next.status();
          return grpc::Status::OK;
        }
        auto writer = stub_->ShipImages(&context, &response);
        while (true) {
          v1::ShipImagesRequest part;
          const absl::StatusOr<bool> more = (*next)(&part);
          if (!more.ok()) {
            failed = more.status();
            context.TryCancel();
            writer->Finish();
            return grpc::Status::OK;
          }
          // A receiver that takes no more says why when it ends.
          if (!*more || !writer->Write(part)) break;
        }
        writer->WritesDone();
        return writer->Finish();
      },
      kLongDeadline, patience);
  return failed.ok() ? status : failed;
}

absl::Status MigrationClient::Restore(v1::RestoreRequest request,
                                      absl::Duration patience) {
  request.set_id(id_);
  return Ask(
      [&](grpc::ClientContext& context) {
        v1::RestoreResponse response;
        return stub_->Restore(&context, request, &response);
      },
      kLongDeadline, patience);
}

absl::Status MigrationClient::Commit(absl::Duration patience) {
  v1::CommitRequest request;
  request.set_id(id_);
  return Ask(
      [&](grpc::ClientContext& context) {
        v1::CommitResponse response;
        return stub_->Commit(&context, request, &response);
      },
      kLongDeadline, patience);
}

absl::Status MigrationClient::Abort(const std::string& reason,
                                    absl::Duration patience) {
  v1::AbortRequest request;
  request.set_id(id_);
  request.set_reason(reason);
  return Ask(
      [&](grpc::ClientContext& context) {
        v1::AbortResponse response;
        return stub_->Abort(&context, request, &response);
      },
      kLongDeadline, patience);
}

absl::StatusOr<v1::GetMigrationResponse> MigrationClient::GetMigration() {
  v1::GetMigrationRequest request;
  request.set_id(id_);
  v1::GetMigrationResponse response;
  const absl::Status status = Ask(
      [&](grpc::ClientContext& context) {
        return stub_->GetMigration(&context, request, &response);
      },
      kDeadline, absl::ZeroDuration());
  if (!status.ok()) return status;
  return response;
}

absl::Status MigrationClient::Release(absl::Duration patience) {
  v1::ReleaseRequest request;
  request.set_id(id_);
  return Ask(
      [&](grpc::ClientContext& context) {
        v1::ReleaseResponse response;
        return stub_->Release(&context, request, &response);
      },
      kDeadline, patience);
}

}  // namespace pagelift
