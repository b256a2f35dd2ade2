#ifndef PAGELIFT_DAEMON_MIGRATION_WIRE_SHIPPED_IMAGES_H_
#define PAGELIFT_DAEMON_MIGRATION_WIRE_SHIPPED_IMAGES_H_

#include <string>

#include "absl/status/statusor.h"
#include "daemon/migration/wire/migration_client.h"

namespace pagelift {

// The messages by which all files of the directory `images` are sent for the
// migration `id`, one after the other, as MigrationClient::ShipImages() wants
// them. Reads all of them, for their digests.
absl::StatusOr<MigrationClient::NextPart> PartsOfImages(
    const std::string& id, const std::string& images);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_WIRE_SHIPPED_IMAGES_H_
