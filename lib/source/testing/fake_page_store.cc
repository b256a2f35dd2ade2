#include "lib/source/testing/fake_page_store.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {

FakePageStore::FakePageStore(ImageDescription description)
    : description_(std::move(description)), most_(description_.page_count) {
  size_t size = description_.page_count.bytes();
  if (size == 0) return;
  file_.reset(memfd_create("fake_page_store", MFD_CLOEXEC));
  CHECK(file_.valid() && ftruncate(file_.get(), size) == 0) << "memfd";
  void* mapped =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  CHECK(mapped != MAP_FAILED) << "mmap of " << size;
  bytes_ = static_cast<std::byte*>(mapped);
  for (uint64_t page = 0; page < description_.page_count.raw(); ++page) {
    PageBytes pattern = PatternOf(ImagePage(page));
    std::memcpy(bytes_ + PageCount(page).bytes(), pattern.data(), kPageSize);
  }
}

FakePageStore::~FakePageStore() {
  if (bytes_ != nullptr) munmap(bytes_, description_.page_count.bytes());
}

void FakePageStore::MakeZero(ImageRange range) {
  std::memset(bytes_ + PageCount(range.first.raw()).bytes(), 0,
              range.count.bytes());
}

void FakePageStore::MakeRepetitive(ImageRange range) {
  for (ImagePage page = range.first; page < range.limit();
       page = page + PageCount(1)) {
    const PageBytes bytes = RepetitiveOf(page);
    std::memcpy(bytes_ + PageCount(page.raw()).bytes(), bytes.data(),
                kPageSize);
  }
}

void FakePageStore::Lose(ImageRange range) {
  absl::MutexLock lock(&mu_);
  lost_.push_back(range);
}

void FakePageStore::PunchHole(ImageRange range) {
  MakeZero(range);
  absl::MutexLock lock(&mu_);
  holes_.push_back(range);
}

int FakePageStore::checks() const {
  absl::MutexLock lock(&mu_);
  return checks_;
}

void FakePageStore::LimitRuns(PageCount most) {
  absl::MutexLock lock(&mu_);
  most_ = most;
}

void FakePageStore::TruncateAt(ImagePage first) {
  CHECK(ftruncate(file_.get(), PageCount(first.raw()).bytes()) == 0) << "cut";
}

absl::StatusOr<PageCount> FakePageStore::Read(
    ImageRange range, absl::Span<std::byte> buffer) const {
  if (range.empty() ||
      ImagePage(description_.page_count.raw()) < range.limit()) {
    return absl::OutOfRangeError(absl::StrCat("no pages ", ToString(range)));
  }
  absl::MutexLock lock(&mu_);
  for (const ImageRange& lost : lost_) {
    if (lost.Contains(range.first)) {
      return absl::DataLossError(absl::StrCat("lost ", ToString(lost)));
    }
    ImageRange common = lost.Intersect(range);
    if (!common.empty()) range.count = common.first - range.first;
  }
  const PageCount room(buffer.size() / kPageSize);
  const PageCount count = std::min({range.count, most_, room});
  const ssize_t n =
      pread(file_.get(), buffer.data(), count.bytes(),
            static_cast<off_t>(PageCount(range.first.raw()).bytes()));
  CHECK(n >= 0) << "pread";
  const PageCount read(static_cast<size_t>(n) / kPageSize);
  if (read == PageCount(0)) return absl::DataLossError("truncated");
  return read;
}

PagesCheck FakePageStore::Check(ImageRange range) const {
  absl::MutexLock lock(&mu_);
  ++checks_;
  for (const ImageRange& hole : holes_) {
    const ImageRange common = hole.Intersect(range);
    if (common.empty()) continue;
    if (common.first == range.first) {
      return {common.count,
              absl::DataLossError(absl::StrCat("hole ", ToString(hole)))};
    }
    range = ImageRange::Between(range.first, common.first);
  }
  return {range.count, absl::OkStatus()};
}

}  // namespace pagelift
