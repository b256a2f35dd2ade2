#include "daemon/migration/parked/complete_pagemaps.h"

#include <fcntl.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/base/write_all.h"
#include "lib/image/complete_pagemap.h"
#include "lib/image/memory_layout.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

absl::Status CompleteOne(const std::string& images, int32_t image_pid,
                         const std::vector<PageRange>& lazy) {
  const std::string of_memory = absl::StrCat(images, "/mm-", image_pid, ".img");
  const std::string of_pages =
      absl::StrCat(images, "/pagemap-", image_pid, ".img");
  ASSIGN_OR_RETURN(const std::string memory, ReadFile(of_memory));
  ASSIGN_OR_RETURN(const MemoryLayout layout,
                   DecodeMemoryLayout(of_memory, memory));
  ASSIGN_OR_RETURN(const std::string pages, ReadFile(of_pages));
  ASSIGN_OR_RETURN(const std::string complete,
                   CompletePagemap(of_pages, pages, layout, lazy));
  const UniqueFd file(open(of_pages.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!file.valid()) return SysError("open ", of_pages);
  return WriteAll(file.get(), complete);
}

}  // namespace

absl::Status CompletePagemaps(const std::string& images, const FrozenTree& tree,
                              MemoryAnswers& answers) {
  for (const FrozenTask& task : tree.tasks()) {
    ASSIGN_OR_RETURN(const std::vector<PageRange> lazy,
                     answers.LazyPagesOf(task.name().process.pid));
    RETURN_IF_ERROR(CompleteOne(images, task.name().image_pid, lazy));
  }
  return absl::OkStatus();
}

}  // namespace pagelift
