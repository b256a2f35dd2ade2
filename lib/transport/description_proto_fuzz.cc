// What a hostile page server may answer to OpenImage. The input is a list of
// parts, each with its length as two bytes before it. What is put together from
// them fits together, can be asked for the owner of each page, and is the same
// after another journey.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "google/protobuf/stubs/logging.h"
#include "lib/base/log.h"
#include "lib/source/image_description.h"
#include "lib/source/lazy_page_index.h"
#include "lib/transport/description_proto.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {
namespace {

std::string_view TakePart(std::string_view& rest) {
  if (rest.size() < 2) return std::exchange(rest, {});
  const size_t size =
      static_cast<uint8_t>(rest[0]) + 256 * static_cast<uint8_t>(rest[1]);
  std::string_view part = rest.substr(2, size);
  rest.remove_prefix(2 + part.size());
  return part;
}

std::optional<ImageDescription> Assemble(std::string_view input) {
  const google::protobuf::LogSilencer silencer;  // It tells of all bad UTF-8.
  DescriptionAssembler assembler;
  while (!input.empty()) {
    const std::string_view bytes = TakePart(input);
    v1::OpenImageResponse part;
    if (!part.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
        !assembler.Add(part).ok()) {
      return std::nullopt;
    }
  }
  absl::StatusOr<ImageDescription> description =
      std::move(assembler).FinishWithoutChecksum();
  if (!description.ok()) return std::nullopt;
  return *std::move(description);
}

bool Same(const ImageExtent& a, const ImageExtent& b) {
  return a.pages == b.pages && a.image == b.image;
}

bool Same(const TaskDescription& a, const TaskDescription& b) {
  return a.pid == b.pid && a.zombie == b.zombie &&
         a.lazy_regions == b.lazy_regions &&
         std::equal(a.extents.begin(), a.extents.end(), b.extents.begin(),
                    b.extents.end(),
                    [](const auto& x, const auto& y) { return Same(x, y); }) &&
         a.must_have_pages == b.must_have_pages;
}

void CheckJourney(const ImageDescription& description) {
  DescriptionAssembler assembler;
  DescribeInParts(description, [&](const v1::OpenImageResponse& part) {
    absl::Status added = assembler.Add(part);
    CHECK(added.ok()) << added;
    return true;
  });
  absl::StatusOr<ImageDescription> again = std::move(assembler).Finish();
  CHECK(again.ok()) << again.status();
  CHECK(again->content_id == description.content_id);
  CHECK(again->page_count == description.page_count);
  CHECK(again->tasks.size() == description.tasks.size());
  for (size_t i = 0; i < again->tasks.size(); ++i) {
    CHECK(Same(again->tasks[i], description.tasks[i]));
  }
}

void CheckOwners(const ImageDescription& description) {
  const LazyPageIndex index(description);
  for (const TaskDescription& task : description.tasks) {
    for (const ImageExtent& extent : task.extents) {
      const ImageRange image = {extent.image, extent.pages.count};
      std::optional<LazyPageIndex::Owner> owner = index.OwnerOf(image);
      CHECK(owner.has_value());
      CHECK(!owner->pages.empty() &&
            owner->pages.count.raw() <= image.count.raw());
      CHECK(description.FindTask(owner->pid) != nullptr);
    }
  }
}

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::optional<pagelift::ImageDescription> description =
      pagelift::Assemble({reinterpret_cast<const char*>(data), size});
  if (!description.has_value()) return 0;
  CHECK(description->Validate().ok());
  pagelift::CheckJourney(*description);
  pagelift::CheckOwners(*description);
  return 0;
}
