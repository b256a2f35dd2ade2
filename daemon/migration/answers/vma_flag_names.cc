#include "daemon/migration/answers/vma_flag_names.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/process/mapping_line.h"

namespace pagelift {
namespace {

// Newer than the headers that we build with (Linux 6.13).
constexpr int kGuardInstall = 102;

// Mappings of one page each, between pages of none, so that the kernel joins no
// two of them; and each of it as no thread of ours knows of it.
class Samples {
 public:
  Samples() {
    memory_ = mmap(nullptr, 2 * kMost * kPageSize, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  ~Samples() {
    if (memory_ != MAP_FAILED) munmap(memory_, 2 * kMost * kPageSize);
  }
  Samples(const Samples&) = delete;
  Samples& operator=(const Samples&) = delete;

  // What fails is a sample less.
  void* Map(int protection, int flags, int fd = -1) {
    if (memory_ == MAP_FAILED || count_ == kMost) return MAP_FAILED;
    char* place = static_cast<char*>(memory_) + (2 * count_++ + 1) * kPageSize;
    return mmap(place, kPageSize, protection, flags | MAP_FIXED, fd, 0);
  }

  void Advise(int advice) {
    void* page = Map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    if (page != MAP_FAILED) (void)madvise(page, kPageSize, advice);
  }

  bool Has(PageRange pages) const {
    const auto start = reinterpret_cast<uintptr_t>(memory_);
    return PagesOf(start, start + 2 * kMost * kPageSize).Contains(pages);
  }

 private:
  static constexpr size_t kMost = 32;
  void* memory_;
  size_t count_ = 0;
};

void MakeSamples(Samples& samples) {
  const UniqueFd file(memfd_create("sample", MFD_CLOEXEC));
  if (ftruncate(file.get(), kPageSize) != 0) return;
  const UniqueFd read_only(
      open(absl::StrCat("/proc/self/fd/", file.get()).c_str(),
           O_RDONLY | O_CLOEXEC));
  for (int protection :
       {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC}) {
    samples.Map(protection, MAP_PRIVATE | MAP_ANONYMOUS);
    samples.Map(protection, MAP_SHARED | MAP_ANONYMOUS);
    samples.Map(protection, MAP_PRIVATE, file.get());
  }
  samples.Map(PROT_READ, MAP_SHARED, read_only.get());
  samples.Map(PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  samples.Map(PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN);
  for (int advice : {MADV_DONTFORK, MADV_DONTDUMP, MADV_SEQUENTIAL, MADV_RANDOM,
                     MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE,
                     MADV_WIPEONFORK, kGuardInstall}) {
    samples.Advise(advice);
  }
  // Not by mlock(2), which does nothing under a sanitizer.
  samples.Map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED);
}

}  // namespace

absl::StatusOr<VmaFlagNames> VmaFlagNames::Learn(const VmaFlagReader& reader) {
  Samples samples;
  MakeSamples(samples);
  ASSIGN_OR_RETURN(const std::vector<VmaFlags> all, reader.Read(getpid()));
  absl::flat_hash_map<uint64_t, VmaFlags> by_first;
  for (const VmaFlags& vma : all) by_first[vma.pages.first.raw()] = vma;
  ASSIGN_OR_RETURN(const std::string smaps, ReadFile("/proc/self/smaps"));
  VmaFlagNames learned;
  std::optional<MappingLine> mapping;
  for (absl::string_view line : absl::StrSplit(smaps, '\n')) {
    if (std::optional<MappingLine> begins = ParseMappingLine(line)) {
      mapping = begins;
      continue;
    }
    if (!absl::ConsumePrefix(&line, "VmFlags:")) continue;
    if (!mapping.has_value()) continue;
    const auto found = by_first.find(mapping->pages.first.raw());
    // What else there is may be changed by another thread of ours.
    if (found == by_first.end() || found->second.pages != mapping->pages ||
        !(samples.Has(mapping->pages) || mapping->name == "[stack]" ||
          absl::StartsWith(mapping->name, "[v"))) {
      continue;
    }
    RETURN_IF_ERROR(learned.Take(found->second.bits, line));
  }
  learned.names_guards_ =
      std::find(learned.names_.begin(), learned.names_.end(), kMaybeGuarded) !=
      learned.names_.end();
  return learned;
}

// The kernel names them from bit 0 on.
absl::Status VmaFlagNames::Take(uint64_t bits, absl::string_view names) {
  const std::vector<absl::string_view> each =
      absl::StrSplit(names, ' ', absl::SkipEmpty());
  // Some have no name on some machines; they are not to be known, then.
  if (each.size() != static_cast<size_t>(__builtin_popcountll(bits))) {
    return absl::OkStatus();
  }
  for (absl::string_view name : each) {
    std::string& known = names_[static_cast<size_t>(__builtin_ctzll(bits))];
    if (!known.empty() && known != name) {
      return absl::InternalError(absl::StrCat(
          "the kernel calls a flag of mappings ", known, " and ", name));
    }
    known = std::string(name);
    bits &= bits - 1;
  }
  return absl::OkStatus();
}

std::optional<std::string> VmaFlagNames::Of(uint64_t bits) const {
  std::string all;
  for (; bits != 0; bits &= bits - 1) {
    const std::string& name =
        names_[static_cast<size_t>(__builtin_ctzll(bits))];
    if (name.empty()) return std::nullopt;
    absl::StrAppend(&all, all.empty() ? "" : " ", name);
  }
  return all;
}

}  // namespace pagelift
