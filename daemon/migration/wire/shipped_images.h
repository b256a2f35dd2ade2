#ifndef PAGELIFT_DAEMON_MIGRATION_WIRE_SHIPPED_IMAGES_H_
#define PAGELIFT_DAEMON_MIGRATION_WIRE_SHIPPED_IMAGES_H_

#include <string>

#include "absl/status/statusor.h"
#include "daemon/migration/wire/migration_client.h"
#include "pagelift/v1/migration.pb.h"

namespace pagelift {

// The messages by which all files of the directory `images` are sent for the
// migration that `restore`, what will be asked for next, is of: one after the
// other, as MigrationClient::ShipImages() wants them. Reads all of them, for
// their digests.
absl::StatusOr<MigrationClient::NextPart> PartsOfImages(
    const v1::RestoreRequest& restore, const std::string& images);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_WIRE_SHIPPED_IMAGES_H_
