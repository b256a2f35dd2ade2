#include "tests/e2e/targets/patterned_region.h"

#include <sys/mman.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace pagelift::e2e {
namespace {

// FNV-1a; a name makes its region's pages unlike all others'.
uint64_t HashOf(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : name) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

}  // namespace

PatternedRegion::PatternedRegion(std::string name, std::byte* base,
                                 size_t pages, uint64_t seed)
    : name_(std::move(name)),
      base_(base),
      seed_(seed ^ HashOf(name_)),
      expected_(pages) {}

PatternedRegion PatternedRegion::Map(std::string name, size_t pages,
                                     uint64_t seed) {
  void* base = mmap(nullptr, pages * kPageBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    std::perror(("mmap " + name).c_str());
    std::abort();
  }
  return PatternedRegion(std::move(name), static_cast<std::byte*>(base), pages,
                         seed);
}

PageTag PatternedRegion::TagOf(size_t index) const {
  return PageTag{seed_, index, expected_[index].generation};
}

void PatternedRegion::Rewrite(size_t index) {
  ++expected_[index].generation;
  expected_[index].zeros = false;
  WritePattern(TagOf(index), At(index));
}

void PatternedRegion::RewriteAll() {
  for (size_t index = 0; index < pages(); ++index) Rewrite(index);
}

void PatternedRegion::WriteZeros(size_t index) {
  expected_[index].zeros = true;
  std::memset(At(index), 0, kPageBytes);
}

void PatternedRegion::AllBecameZeros() {
  for (Expected& page : expected_) page.zeros = true;
}

void PatternedRegion::MakeReadOnly() {
  if (mprotect(base_, bytes(), PROT_READ) != 0) {
    std::perror(("mprotect " + name_).c_str());
    std::abort();
  }
  writable_ = false;
}

std::optional<std::string> PatternedRegion::Check(size_t index) const {
  const std::optional<WrongWord> wrong =
      expected_[index].zeros ? FindNonZeroWord(At(index))
                             : FindWrongWord(TagOf(index), At(index));
  if (!wrong.has_value()) return std::nullopt;
  char text[256];
  std::snprintf(text, sizeof(text),
                "page=%s:%zu address=%p offset=%zu expected=%016" PRIx64
                " got=%016" PRIx64,
                name_.c_str(), index, static_cast<void*>(At(index)),
                wrong->offset, wrong->expected, wrong->got);
  return text;
}

}  // namespace pagelift::e2e
