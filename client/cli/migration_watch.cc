#include "client/cli/migration_watch.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/status_macros.h"
#include "lib/migration/record_file.h"
#include "lib/transport/grpc_status.h"

namespace pagelift {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(10);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(20);
// A server that was killed is there again within milliseconds.
constexpr absl::Duration kRestartPatience = absl::Seconds(3);

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& socket) {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  return grpc::CreateCustomChannel(absl::StrCat("unix:", socket),
                                   grpc::InsecureChannelCredentials(), args);
}

}  // namespace

MigrationWatch::MigrationWatch(MigrationPlace place)
    : place_(std::move(place)),
      stub_(v1::MigrationSource::NewStub(ChannelTo(place_.socket()))) {}

absl::StatusOr<v1::MigrationProgress> MigrationWatch::GetOnce() {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kDeadline));
  v1::MigrationProgress progress;
  const grpc::Status status =
      stub_->GetProgress(&context, v1::GetProgressRequest(), &progress);
  if (status.ok()) return progress;
  // Nobody need be there any more to tell how it ended.
  ASSIGN_OR_RETURN(std::optional<v1::MigrationProgress> result,
                   ReadRecord<v1::MigrationProgress>(place_.directory,
                                                     MigrationPlace::kResult));
  if (result.has_value()) return *std::move(result);
  return FromGrpc(status);
}

absl::StatusOr<v1::MigrationProgress> MigrationWatch::Get() {
  const absl::Time give_up = absl::Now() + kRestartPatience;
  while (true) {
    absl::StatusOr<v1::MigrationProgress> progress = GetOnce();
    if (!absl::IsUnavailable(progress.status())) return progress;
    if (give_up <= absl::Now()) {
      return absl::UnavailableError(absl::StrCat(
          "nobody is at the migration in ", place_.directory,
          " any more: `pagelift migrate --resume` goes on; its log: ",
          place_.log()));
    }
    absl::SleepFor(kBetweenLooks);
  }
}

absl::Status MigrationWatch::Abort(const std::string& reason) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kDeadline));
  context.set_wait_for_ready(true);
  v1::AbortMigrationRequest request;
  request.set_reason(reason);
  v1::AbortMigrationResponse response;
  return FromGrpc(stub_->AbortMigration(&context, request, &response));
}

}  // namespace pagelift
