#include "lib/image/content_id.h"

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

bool Counts(const std::string& name) {
  return name == "inventory.img" || name == "pstree.img" ||
         (absl::EndsWith(name, ".img") &&
          (absl::StartsWith(name, "mm-") || absl::StartsWith(name, "core-")));
}

class Hash {
 public:
  Hash() : state_(XXH3_createState()) { XXH3_128bits_reset(state_.get()); }

  void Add(const void* bytes, size_t size) {
    XXH3_128bits_update(state_.get(), bytes, size);
  }
  void Add(uint64_t number) { Add(&number, sizeof(number)); }

  std::string Hex() const {
    XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return absl::StrFormat("%016x%016x", hash.high64, hash.low64);
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

}  // namespace

absl::StatusOr<std::string> ContentIdOf(
    const ImageDirectory& directory,
    const std::vector<TaskDescription>& tasks) {
  ASSIGN_OR_RETURN(std::vector<std::string> names, directory.List());
  Hash hash;
  for (const std::string& name : names) {
    if (!Counts(name)) continue;
    ASSIGN_OR_RETURN(std::string contents, directory.ReadFile(name));
    // With its zero byte, which no name holds.
    hash.Add(name.c_str(), name.size() + 1);
    hash.Add(contents.size());
    hash.Add(contents.data(), contents.size());
  }
  for (const TaskDescription& task : tasks) {
    hash.Add(static_cast<uint64_t>(task.pid));
    hash.Add(task.extents.size());
    for (const ImageExtent& extent : task.extents) {
      hash.Add(extent.pages.first.raw());
      hash.Add(extent.pages.count.raw());
      hash.Add(extent.image.raw());
    }
  }
  return hash.Hex();
}

}  // namespace pagelift
