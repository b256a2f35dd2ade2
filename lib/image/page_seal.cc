#include "lib/image/page_seal.h"

#include <fcntl.h>

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/base/replace_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/base/xxh3.h"

namespace pagelift {
namespace {

constexpr char kMagic[] = "PGLFSEAL";
constexpr uint64_t kVersion = 1;
constexpr size_t kContentIdBytes = 32;
constexpr size_t kHeaderBytes = 8 + 8 + 8 + kContentIdBytes;

void AppendNumber(uint64_t number, std::string* bytes) {
  for (int i = 0; i < 8; ++i) {
    bytes->push_back(static_cast<char>(number >> (8 * i)));
  }
}

// REQUIRES: there are eight.
uint64_t NumberAt(absl::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) {
    number |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return number;
}

uint64_t Digest(absl::string_view bytes) {
  Xxh3 hash;
  hash.Add(bytes);
  return hash.Get();
}

absl::Status Damaged() { return absl::DataLossError("it is damaged"); }

}  // namespace

std::string PageSeal::Encode(absl::string_view content_id,
                             absl::Span<const uint64_t> digests) {
  std::string bytes(kMagic);
  bytes.reserve(kHeaderBytes + 8 * digests.size() + 8);
  AppendNumber(kVersion, &bytes);
  AppendNumber(digests.size(), &bytes);
  absl::StrAppend(&bytes, content_id);
  for (uint64_t digest : digests) AppendNumber(digest, &bytes);
  AppendNumber(Digest(bytes), &bytes);
  return bytes;
}

absl::StatusOr<PageSeal> PageSeal::Decode(absl::string_view bytes,
                                          absl::string_view content_id,
                                          PageCount page_count) {
  if (bytes.size() < kHeaderBytes + 8 || bytes.size() % 8 != 0) {
    return Damaged();
  }
  const absl::string_view checked = bytes.substr(0, bytes.size() - 8);
  if (NumberAt(bytes.substr(checked.size())) != Digest(checked)) {
    return Damaged();
  }
  absl::string_view rest = checked;
  if (!absl::ConsumePrefix(&rest, kMagic)) return Damaged();
  if (NumberAt(rest) != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("its format is of version ", NumberAt(rest),
                     ", and this program knows version ", kVersion));
  }
  rest.remove_prefix(8);
  const uint64_t count = NumberAt(rest);
  rest.remove_prefix(8);
  const absl::string_view id = rest.substr(0, kContentIdBytes);
  rest.remove_prefix(kContentIdBytes);
  if (rest.size() / 8 != count) return Damaged();
  if (id != content_id || count != page_count.raw()) {
    return absl::FailedPreconditionError(
        absl::StrCat("it is of another checkpoint (content id ", id, ")"));
  }
  std::vector<uint64_t> digests;
  digests.reserve(count);
  for (; !rest.empty(); rest.remove_prefix(8)) {
    digests.push_back(NumberAt(rest));
  }
  return PageSeal(std::move(digests));
}

absl::StatusOr<std::optional<PageSeal>> PageSeal::Read(
    const ImageDirectory& directory, absl::string_view content_id,
    PageCount page_count) {
  const absl::StatusOr<std::string> bytes = directory.ReadFile(kName);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  absl::Status bad = bytes.status();
  if (bad.ok()) {
    absl::StatusOr<PageSeal> seal = Decode(*bytes, content_id, page_count);
    if (seal.ok()) return *std::move(seal);
    bad = seal.status();
  }
  return absl::Status(
      bad.code(),
      absl::StrCat(directory.PathOf(kName), ": ", bad.message(),
                   "; copy it again with its checkpoint, or remove it and "
                   "trust the pages as they are"));
}

absl::Status PageSeal::Write(const std::string& directory,
                             absl::string_view content_id,
                             absl::Span<const uint64_t> digests) {
  const UniqueFd fd(
      open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SysError("open the image directory ", directory);
  return Annotate(ReplaceFile(fd.get(), kName, Encode(content_id, digests)),
                  directory);
}

PageCount PageSeal::Unchanged(ImagePage first, ByteSpan pages) const {
  PageCount count;
  for (; !pages.empty(); pages.remove_prefix(kPageSize)) {
    const uint64_t expected = digests_[first.raw() + count.raw()];
    if (Xxh3::Of(pages.first(kPageSize)) != expected) break;
    count = count + PageCount(1);
  }
  return count;
}

}  // namespace pagelift
