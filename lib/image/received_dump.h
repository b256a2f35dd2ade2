#ifndef PAGELIFT_LIB_IMAGE_RECEIVED_DUMP_H_
#define PAGELIFT_LIB_IMAGE_RECEIVED_DUMP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/image/pagemap_writer.h"
#include "lib/image/staged_directory.h"
#include "lib/memory/page.h"

namespace pagelift {

// A directory with the pages of a dump that arrives from elsewhere, and with
// the pagemaps that say where they belong; docs/sink.md. It lacks the rest of a
// checkpoint: see adopt_dump.h.
//
// Thread-compatible. After an error it is to be thrown away; one that is not
// published leaves nothing behind.
class ReceivedDump {
 public:
  // As many tasks, and pieces of shared memory, as a dump may have.
  static constexpr uint32_t kMostObjects = 1 << 15;

  // kAlreadyExists if there is anything at `path`.
  static absl::StatusOr<ReceivedDump> Start(const std::string& path);

  // Pages of a task, or of shared memory, follow. Each comes once.
  absl::Status OpenTask(int32_t pid);
  absl::Status OpenSharedMemory(uint64_t id);
  // The next pages of what is open, in address order; their contents follow.
  // kInvalidArgument if something does not come in order.
  absl::Status Add(PageRange pages, bool lazy);
  absl::Status Append(absl::Span<const std::byte> contents);

  // All came, and is on the disk: gives the directory its name.
  absl::Status Publish();

  uint32_t objects() const { return objects_; }
  PageCount pages() const { return pages_; }

 private:
  // The task or shared memory whose pages come.
  struct Open {
    std::string name;  // Of its pagemap.
    PagemapWriter writer;
    UniqueFd pagemap;
    UniqueFd pages;
    PageId next;         // The least that may come.
    size_t missing = 0;  // Contents of pages that were added.
  };

  explicit ReceivedDump(StagedDirectory directory)
      : directory_(std::move(directory)) {}

  absl::Status OpenPagemap(const std::string& name);
  absl::Status FinishPagemap();

  StagedDirectory directory_;
  std::optional<Open> open_;
  uint32_t objects_ = 0;
  PageCount pages_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_RECEIVED_DUMP_H_
