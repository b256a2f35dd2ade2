#include "daemon/migration/parked/parked_store.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/base/log.h"

namespace pagelift {
namespace {

absl::Status NotWhatWasCopied(ImagePage page) {
  return absl::DataLossError(
      absl::StrCat("image page ", page.raw(),
                   " is not in the spool what was copied into it: does its "
                   "disk fail, or has somebody written to it?"));
}

}  // namespace

ParkedStore::ParkedStore(ImageDescription description, const TreePages* tree,
                         const Spool& spool)
    : description_(std::move(description)), tree_(tree), spool_(spool) {
  CHECK(tree != nullptr || spool.complete());
}

ImageRange ParkedStore::InSpool(ImageRange range) const {
  return ImageRange::Between(
      range.first, std::min(range.limit(), ImagePage(spool_.has().raw())));
}

absl::StatusOr<PageCount> ParkedStore::ReadTree(
    ImageRange range, absl::Span<std::byte> buffer) const {
  if (tree_ != nullptr) return tree_->Read(range, buffer);
  return absl::DataLossError("there is no frozen tree any more");
}

absl::StatusOr<PageCount> ParkedStore::Read(
    ImageRange range, absl::Span<std::byte> buffer) const {
  const uint64_t total = description_.page_count.raw();
  if (range.empty() || range.first.raw() >= total ||
      range.count.raw() > total - range.first.raw()) {
    return absl::OutOfRangeError(
        absl::StrCat("image pages from ", range.first.raw(), ", ",
                     range.count.raw(), " of them, of an image of ", total));
  }
  absl::StatusOr<PageCount> read = absl::DataLossError("");
  ImageRange in_spool = InSpool(range);
  if (in_spool.empty()) {
    read = ReadTree(range, buffer);
    // The tree is killed when the spool is complete: look there again.
    in_spool = InSpool(range);
    if (read.ok() || in_spool.empty()) return read;
    return spool_.Read(in_spool, buffer);
  }
  read = spool_.Read(in_spool, buffer);
  if (read.ok()) return read;
  absl::StatusOr<PageCount> from_tree = ReadTree(range, buffer);
  return from_tree.ok() ? from_tree : read;
}

void ParkedStore::WillNeed(ImageRange range) const {
  const ImageRange in_spool = InSpool(range);
  if (!in_spool.empty()) spool_.WillNeed(in_spool);
}

PagesCheck ParkedStore::Check(ImageRange range) const {
  const ImageRange in_spool = InSpool(range);
  if (!in_spool.empty()) {
    const PageCount zeros = spool_.Zeros(in_spool);
    if (PageCount(0) < zeros) return {zeros, absl::OkStatus()};
    return {PageCount(1), NotWhatWasCopied(range.first)};
  }
  // Memory has no holes: what was read from it as zeros is zeros, if it could
  // be read.
  std::array<std::byte, kPageSize> page;
  const absl::StatusOr<PageCount> read =
      ReadTree({range.first, PageCount(1)}, absl::MakeSpan(page));
  if (!read.ok()) return {PageCount(1), read.status()};
  return {range.count, absl::OkStatus()};
}

PagesCheck ParkedStore::Verify(ImagePage first,
                               absl::Span<const std::byte> pages) const {
  const ImageRange range = {first, PageCount(pages.size() / kPageSize)};
  const ImageRange in_spool = InSpool(range);
  // Nothing is known of what comes from the tree but that it was there.
  if (in_spool.empty()) return {range.count, absl::OkStatus()};
  const PageCount unchanged =
      spool_.Unchanged(first, pages.first(in_spool.count.bytes()));
  if (PageCount(0) < unchanged) return {unchanged, absl::OkStatus()};
  return {PageCount(1), NotWhatWasCopied(first)};
}

}  // namespace pagelift
