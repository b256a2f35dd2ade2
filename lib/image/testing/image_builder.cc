#include "lib/image/testing/image_builder.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "criu/core.pb.h"
#include "criu/inventory.pb.h"
#include "criu/mm.pb.h"
#include "criu/pagemap.pb.h"
#include "criu/pstree.pb.h"
#include "google/protobuf/message.h"
#include "lib/base/log.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

std::string Record(const google::protobuf::Message& message) {
  return FramedRecord(message.SerializeAsString());
}

// What CRIU writes as a mapping's flags and status.
std::pair<uint32_t, uint32_t> FlagsAndStatus(MappingKind kind) {
  switch (kind) {
    case MappingKind::kAnonymous:
      return {0x22, 0x201};
    case MappingKind::kStack:
      return {0x122, 0x201};
    case MappingKind::kLocked:
      return {0x2022, 0x201};
    case MappingKind::kHugePages:
      return {0x40022, 0x201};
    case MappingKind::kFile:
      return {0x2, 0x41};
    case MappingKind::kShared:
      return {0x1, 0x4081};
    case MappingKind::kVdso:
      return {0x22, 0x209};
    case MappingKind::kGuard:
      return {0x22, 0x10000};
  }
  return {0, 0};
}

}  // namespace

ImageBuilder::ImageBuilder(std::string directory)
    : directory_(std::move(directory)) {}

ImageBuilder& ImageBuilder::UseOldCounts() {
  old_counts_ = true;
  return *this;
}

ImageBuilder& ImageBuilder::SetRunId(std::string run_id) {
  run_id_ = std::move(run_id);
  return *this;
}

ImageBuilder& ImageBuilder::SetParent(std::string link, int generation) {
  parent_ = std::move(link);
  generation_ = generation;
  return *this;
}

ImageBuilder& ImageBuilder::AddTask(int32_t pid, int32_t ppid,
                                    std::string comm) {
  tasks_.push_back(
      {pid, ppid, false, std::move(comm), {{pid, 0}}, {}, {}, 0, 0});
  return *this;
}

ImageBuilder& ImageBuilder::AddZombie(int32_t pid, int32_t ppid) {
  tasks_.push_back({pid, ppid, true, "gone", {}, {}, {}, 0, 0});
  return *this;
}

ImageBuilder& ImageBuilder::SetStackPointer(uint64_t stack_pointer) {
  tasks_.back().threads[0].second = stack_pointer;
  return *this;
}

ImageBuilder& ImageBuilder::SetKernelWords(uint64_t clear_tid,
                                           uint64_t robust_list) {
  tasks_.back().clear_tid = clear_tid;
  tasks_.back().robust_list = robust_list;
  return *this;
}

ImageBuilder& ImageBuilder::AddThread(int32_t tid, uint64_t stack_pointer) {
  tasks_.back().threads.push_back({tid, stack_pointer});
  return *this;
}

ImageBuilder& ImageBuilder::AddMapping(PageRange pages, MappingKind kind) {
  tasks_.back().mappings.push_back({pages, kind});
  return *this;
}

ImageBuilder& ImageBuilder::AddPages(PageRange pages, uint32_t flags) {
  tasks_.back().entries.push_back({pages, flags, /*zero=*/false});
  return *this;
}

ImageBuilder& ImageBuilder::AddPages(PageRange pages, uint32_t flags,
                                     const std::byte* contents) {
  tasks_.back().entries.push_back({pages, flags, /*zero=*/false, contents});
  return *this;
}

ImageBuilder& ImageBuilder::AddZeroPages(PageRange pages, uint32_t flags) {
  tasks_.back().entries.push_back({pages, flags, /*zero=*/true});
  return *this;
}

void ImageBuilder::Write() const {
  std::filesystem::create_directories(directory_);
  WriteInventory();
  WriteProcessTree();
  uint32_t pages_id = 0;
  for (const Task& task : tasks_) {
    WriteCores(task);
    if (task.zombie) continue;
    WriteMemory(task);
    WritePages(task, ++pages_id);
  }
  if (!parent_.empty()) {
    std::filesystem::create_directory_symlink(parent_, directory_ + "/parent");
  }
}

PageBytes ImageBuilder::ContentsOf(int32_t pid, PageId page, int generation) {
  uint64_t dump = static_cast<uint64_t>(generation) << 60;
  return PatternOf(
      ImagePage(dump ^ static_cast<uint64_t>(pid) << 40 ^ page.raw()));
}

void ImageBuilder::WriteFile(const std::string& name,
                             const std::string& contents) const {
  std::string path = directory_ + "/" + name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << contents;
  file.close();
  CHECK(file.good()) << path;
}

void ImageBuilder::WriteInventory() const {
  criu::Inventory inventory;
  inventory.set_img_version(2);
  inventory.set_run_id(run_id_);
  WriteFile("inventory.img",
            ImageMagic(ImageKind::kInventory) + Record(inventory));
}

void ImageBuilder::WriteProcessTree() const {
  std::string contents = ImageMagic(ImageKind::kProcessTree);
  for (const Task& task : tasks_) {
    criu::Task message;
    message.set_pid(task.pid);
    message.set_ppid(task.ppid);
    for (const auto& thread : task.threads) message.add_threads(thread.first);
    if (task.zombie) message.add_threads(0);
    contents += Record(message);
  }
  WriteFile("pstree.img", contents);
}

void ImageBuilder::WriteCores(const Task& task) const {
  criu::Core core;
  core.mutable_task()->set_comm(task.comm);
  if (task.zombie) {
    WriteFile(absl::StrCat("core-", task.pid, ".img"),
              ImageMagic(ImageKind::kCore) + Record(core));
  }
  if (task.clear_tid != 0) {
    core.mutable_thread_x86()->set_clear_tid(task.clear_tid);
    core.mutable_thread()->set_robust_list(task.robust_list);
  }
  for (const auto& [tid, stack_pointer] : task.threads) {
    core.mutable_thread_x86()->mutable_registers()->set_stack_pointer(
        stack_pointer);
    WriteFile(absl::StrCat("core-", tid, ".img"),
              ImageMagic(ImageKind::kCore) + Record(core));
    core.clear_task();
    core.mutable_thread_x86()->clear_clear_tid();
    core.clear_thread();
  }
}

void ImageBuilder::WriteMemory(const Task& task) const {
  criu::MemoryMap map;
  for (bool guards : {false, true}) {
    for (const auto& [pages, kind] : task.mappings) {
      if ((kind == MappingKind::kGuard) != guards) continue;
      criu::Mapping* mapping = map.add_mappings();
      mapping->set_start(AddressOf(pages.first));
      mapping->set_limit(AddressOf(pages.limit()));
      auto [flags, status] = FlagsAndStatus(kind);
      mapping->set_flags(flags);
      mapping->set_status(status);
    }
  }
  WriteFile(absl::StrCat("mm-", task.pid, ".img"),
            ImageMagic(ImageKind::kMemory) + Record(map));
}

void ImageBuilder::WritePages(const Task& task, uint32_t pages_id) const {
  criu::PagemapHead head;
  head.set_pages_id(pages_id);
  std::string pagemap = ImageMagic(ImageKind::kPagemap) + Record(head);
  const std::string path =
      absl::StrCat(directory_, "/pages-", pages_id, ".img");
  std::ofstream pages(path, std::ios::binary | std::ios::trunc);
  const auto append = [&pages](const std::byte* bytes, uint64_t count) {
    pages.write(reinterpret_cast<const char*>(bytes),
                static_cast<std::streamsize>(count));
  };
  for (const Entry& entry : task.entries) {
    criu::PagemapEntry message;
    message.set_address(AddressOf(entry.pages.first));
    message.set_flags(entry.flags);
    uint64_t count = entry.pages.count.raw();
    message.set_old_page_count(old_counts_ ? count : 0);
    if (!old_counts_) message.set_page_count(count);
    pagemap += Record(message);
    if ((entry.flags & kPresent) == 0) continue;
    if (entry.contents != nullptr) {
      append(entry.contents, entry.pages.count.bytes());
      continue;
    }
    for (uint64_t i = 0; i < count; ++i) {
      PageBytes bytes{};
      if (!entry.zero) {
        bytes =
            ContentsOf(task.pid, entry.pages.first + PageCount(i), generation_);
      }
      append(bytes.data(), bytes.size());
    }
  }
  WriteFile(absl::StrCat("pagemap-", task.pid, ".img"), pagemap);
  pages.close();
  CHECK(pages.good()) << path;
}

}  // namespace pagelift
