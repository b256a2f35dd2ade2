#ifndef PAGELIFT_LIB_IMAGE_TESTING_IMAGE_BUILDER_H_
#define PAGELIFT_LIB_IMAGE_TESTING_IMAGE_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lib/memory/page.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {

enum class MappingKind {
  kAnonymous,  // Private anonymous: restored lazily, as is
  kStack,      // the main stack.
  kLocked,     // The rest are not.
  kHugePages,
  kFile,
  kShared,
  kVdso,
  kGuard,  // No mapping, but guarded pages in one.
};

// Flags of pagemap entries.
inline constexpr uint32_t kInParent = 1;
inline constexpr uint32_t kLazy = 2;
inline constexpr uint32_t kPresent = 4;

// Writes a directory as CRIU's dump would. What is added belongs to the task
// that was added last; mappings and pages are added in address order.
//
//   ImageBuilder(dir.path())
//       .AddTask(7)
//       .AddMapping({PageId(0x1000), PageCount(16)}, MappingKind::kAnonymous)
//       .AddPages({PageId(0x1000), PageCount(4)}, kLazy | kPresent)
//       .Write();
//
// Thread-compatible. What cannot be written fails a CHECK.
class ImageBuilder {
 public:
  // `directory` is made if it does not exist.
  explicit ImageBuilder(std::string directory);

  // Page counts as CRIU up to 4.1 wrote them.
  ImageBuilder& UseOldCounts();
  ImageBuilder& SetRunId(std::string run_id);
  // What the link `parent` says; the contents of this dump's pages then differ
  // from those of the parent's: see ContentsOf().
  ImageBuilder& SetParent(std::string link, int generation = 1);

  ImageBuilder& AddTask(int32_t pid, int32_t ppid = 0,
                        std::string comm = "task");
  ImageBuilder& AddZombie(int32_t pid, int32_t ppid);
  ImageBuilder& SetStackPointer(uint64_t stack_pointer);
  // Of the task's first thread: the word that is cleared when it ends, and its
  // robust list.
  ImageBuilder& SetKernelWords(uint64_t clear_tid, uint64_t robust_list);
  ImageBuilder& AddThread(int32_t tid, uint64_t stack_pointer);
  ImageBuilder& AddMapping(PageRange pages, MappingKind kind);
  ImageBuilder& AddPages(PageRange pages, uint32_t flags);
  // Present pages with the contents at `contents`, which must outlive Write().
  ImageBuilder& AddPages(PageRange pages, uint32_t flags,
                         const std::byte* contents);
  // Present pages whose contents are zero.
  ImageBuilder& AddZeroPages(PageRange pages, uint32_t flags);

  void Write() const;

  // What a present page holds, unless it was added as zero or with contents.
  static PageBytes ContentsOf(int32_t pid, PageId page, int generation = 0);

 private:
  struct Entry {
    PageRange pages;
    uint32_t flags;
    bool zero;
    const std::byte* contents = nullptr;  // Null: ContentsOf().
  };
  struct Task {
    int32_t pid;
    int32_t ppid;
    bool zombie;
    std::string comm;
    std::vector<std::pair<int32_t, uint64_t>> threads;  // Id, stack pointer.
    std::vector<std::pair<PageRange, MappingKind>> mappings;
    std::vector<Entry> entries;
    uint64_t clear_tid = 0;
    uint64_t robust_list = 0;
  };

  void WriteFile(const std::string& name, const std::string& contents) const;
  void WriteInventory() const;
  void WriteProcessTree() const;
  void WriteCores(const Task& task) const;
  void WriteMemory(const Task& task) const;
  void WritePages(const Task& task, uint32_t pages_id) const;

  std::string directory_;
  std::string parent_;
  std::string run_id_ = "run 1";
  int generation_ = 0;
  bool old_counts_ = false;
  std::vector<Task> tasks_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_TESTING_IMAGE_BUILDER_H_
