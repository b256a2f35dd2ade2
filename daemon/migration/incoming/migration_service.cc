#include "daemon/migration/incoming/migration_service.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "daemon/migration/hosts/host_facts.h"
#include "daemon/migration/receiver/image_intake.h"
#include "lib/base/byte_span.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/transport/client_identity.h"
#include "lib/transport/grpc_status.h"

namespace pagelift {
namespace {

IncomingMigration::IsCancelled UntilCancelled(grpc::ServerContext* context) {
  return [context] { return context->IsCancelled(); };
}

// The host that a call comes from, as it is written in an address.
std::string HostOf(const grpc::ServerContext& context) {
  // "ipv4:10.0.0.1:4711", "ipv6:%5Bfe80::1%5D:4711", "ipv6:[fe80::1]:4711".
  const std::string peer = context.peer();
  absl::string_view host = peer;
  host = host.substr(host.find(':') + 1);
  host = host.substr(0, host.rfind(':'));
  if (absl::ConsumePrefix(&host, "%5B")) {
    absl::ConsumeSuffix(&host, "%5D");
    return absl::StrCat("[", host, "]");
  }
  return std::string(host);
}

// That they can be parts of a source's URL, and mean nothing else in there.
absl::Status CheckForUrl(const v1::RestoreRequest& request) {
  auto is_plain = [](const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) {
      return absl::ascii_isalnum(c) ||
             absl::StrContains("-._:[]*", static_cast<char>(c));
    });
  };
  if (!IsMigrationId(request.image()) || !is_plain(request.page_server()) ||
      !is_plain(request.certified_as())) {
    return absl::InvalidArgumentError(
        "page_server, image or certified_as is not what it ought to be");
  }
  return absl::OkStatus();
}

// Where the pages are, if the caller has left the host to us.
absl::StatusOr<std::string> PageServerOf(const grpc::ServerContext& context,
                                         const std::string& asked) {
  const size_t colon = asked.rfind(':');
  int port = 0;
  if (colon == std::string::npos ||
      !absl::SimpleAtoi(asked.substr(colon + 1), &port) || port < 1 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_server \"", asked, "\" has no port"));
  }
  if (colon > 0) return asked;
  return absl::StrCat(HostOf(context), asked);
}

// `request`, if it is one that can be done, with the host of its page server.
absl::StatusOr<v1::RestoreRequest> Completed(
    const grpc::ServerContext& context, const v1::RestoreRequest& request) {
  RETURN_IF_ERROR(CheckForUrl(request));
  v1::RestoreRequest completed = request;
  ASSIGN_OR_RETURN(*completed.mutable_page_server(),
                   PageServerOf(context, request.page_server()));
  return completed;
}

absl::Status TakeIn(const v1::ShipImagesRequest& part, ImageIntake& intake) {
  for (const v1::ShipImagesRequest::Piece& piece : part.pieces()) {
    switch (piece.piece_case()) {
      case v1::ShipImagesRequest::Piece::kFile:
        RETURN_IF_ERROR(intake.BeginFile(
            {piece.file().name(), piece.file().size(), piece.file().digest()}));
        break;
      case v1::ShipImagesRequest::Piece::kContents:
        RETURN_IF_ERROR(intake.Add(BytesOf(piece.contents())));
        break;
      default:
        return absl::InvalidArgumentError(
            "a piece of images with nothing in it");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MigrationService::CheckAllowed(
    const grpc::ServerContext& context) const {
  const ClientIdentity client = ClientIdentity::OfCall(context);
  if (!client.refusal().empty()) {
    return absl::UnauthenticatedError(client.refusal());
  }
  if (options_.allowed.empty()) return absl::OkStatus();
  for (const std::string& name : client.names()) {
    if (options_.allowed.count(name) > 0) return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      absl::StrCat(client.ToString(), " may not migrate to here"));
}

absl::StatusOr<std::shared_ptr<IncomingMigration>> MigrationService::Find(
    const grpc::ServerContext& context, const std::string& id) const {
  RETURN_IF_ERROR(CheckAllowed(context));
  return migrations_.Find(id);
}

grpc::Status MigrationService::Prepare(grpc::ServerContext* context,
                                       const v1::PrepareRequest* request,
                                       v1::PrepareResponse* response) {
  auto prepare = [&]() -> absl::Status {
    RETURN_IF_ERROR(CheckAllowed(*context));
    *response->mutable_destination() = GatherHostFacts(options_.criu);
    for (std::string& obstacle :
         ObstaclesAt(response->destination(), *request)) {
      response->add_obstacles(std::move(obstacle));
    }
    if (request->dry_run()) return absl::OkStatus();
    if (response->obstacles_size() > 0) {
      return absl::FailedPreconditionError(
          absl::StrJoin(response->obstacles(), "; "));
    }
    ASSIGN_OR_RETURN(const std::shared_ptr<IncomingMigration> migration,
                     migrations_.FindOrMake(request->id()));
    return migration->Prepare(UntilCancelled(context));
  };
  return ToGrpc(prepare());
}

absl::Status MigrationService::Ship(
    const grpc::ServerContext& context,
    grpc::ServerReader<v1::ShipImagesRequest>& reader) {
  v1::ShipImagesRequest part;
  if (!reader.Read(&part) || !part.has_start()) {
    return absl::InvalidArgumentError("ShipImages begins with `start`");
  }
  const std::string id = part.start().id();
  ASSIGN_OR_RETURN(const std::shared_ptr<IncomingMigration> migration,
                   Find(context, id));
  absl::MutexLock shipping(&migration->shipping());
  RETURN_IF_ERROR(migration->MayShip());
  if (part.start().has_restore()) {
    ASSIGN_OR_RETURN(const v1::RestoreRequest expected,
                     Completed(context, part.start().restore()));
    migration->Expect(expected);
  }
  ASSIGN_OR_RETURN(ImageIntake intake,
                   ImageIntake::Begin(migrations_.DirectoryOf(id),
                                      part.start().file_count()));
  RETURN_IF_ERROR(TakeIn(part, intake));
  while (reader.Read(&part)) {
    if (part.has_start()) {
      return absl::InvalidArgumentError("ShipImages begins once");
    }
    RETURN_IF_ERROR(TakeIn(part, intake));
  }
  // A caller who has gone has perhaps not sent all; he sends it again.
  if (context.IsCancelled()) return absl::CancelledError("the caller has gone");
  return migration->Publish([&intake] { return intake.Publish(); });
}

grpc::Status MigrationService::ShipImages(
    grpc::ServerContext* context,
    grpc::ServerReader<v1::ShipImagesRequest>* reader,
    v1::ShipImagesResponse* /*response*/) {
  return ToGrpc(Ship(*context, *reader));
}

grpc::Status MigrationService::Restore(grpc::ServerContext* context,
                                       const v1::RestoreRequest* request,
                                       v1::RestoreResponse* /*response*/) {
  auto restore = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::shared_ptr<IncomingMigration> migration,
                     Find(*context, request->id()));
    ASSIGN_OR_RETURN(const v1::RestoreRequest with_host,
                     Completed(*context, *request));
    return migration->Restore(with_host, UntilCancelled(context));
  };
  return ToGrpc(restore());
}

grpc::Status MigrationService::Commit(grpc::ServerContext* context,
                                      const v1::CommitRequest* request,
                                      v1::CommitResponse* /*response*/) {
  auto commit = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::shared_ptr<IncomingMigration> migration,
                     Find(*context, request->id()));
    return migration->Commit(UntilCancelled(context));
  };
  return ToGrpc(commit());
}

grpc::Status MigrationService::Abort(grpc::ServerContext* context,
                                     const v1::AbortRequest* request,
                                     v1::AbortResponse* /*response*/) {
  auto abort = [&]() -> absl::Status {
    RETURN_IF_ERROR(CheckAllowed(*context));
    // Also one that was never heard of: its other messages may be late.
    ASSIGN_OR_RETURN(const std::shared_ptr<IncomingMigration> migration,
                     migrations_.FindOrMake(request->id()));
    return migration->Abort(request->reason(), UntilCancelled(context));
  };
  return ToGrpc(abort());
}

grpc::Status MigrationService::GetMigration(
    grpc::ServerContext* context, const v1::GetMigrationRequest* request,
    v1::GetMigrationResponse* response) {
  auto get = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::shared_ptr<IncomingMigration> migration,
                     Find(*context, request->id()));
    *response = migration->Describe();
    return absl::OkStatus();
  };
  return ToGrpc(get());
}

grpc::Status MigrationService::Release(grpc::ServerContext* context,
                                       const v1::ReleaseRequest* request,
                                       v1::ReleaseResponse* /*response*/) {
  auto release = [&]() -> absl::Status {
    const auto migration = Find(*context, request->id());
    if (absl::IsNotFound(migration.status())) return absl::OkStatus();
    RETURN_IF_ERROR(migration.status());
    return (*migration)->Release(UntilCancelled(context));
  };
  return ToGrpc(release());
}

}  // namespace pagelift
