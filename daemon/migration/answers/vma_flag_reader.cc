#include "daemon/migration/answers/vma_flag_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

alignas(8) constexpr unsigned char kProgram[] = {
#include "daemon/migration/answers/vma_flags.bpf.inc"
};

struct Record {  // See vma_flags.bpf.c.
  uint64_t start;
  uint64_t limit;
  uint64_t bits;
};

constexpr size_t kMany = 1 << 14;

int SayNothing(libbpf_print_level, const char*, va_list) { return 0; }

}  // namespace

struct VmaFlagReader::Program {
  ~Program() { bpf_object__close(object); }
  bpf_object* object = nullptr;
  bpf_program* list = nullptr;
};

VmaFlagReader::VmaFlagReader(std::unique_ptr<Program> program)
    : program_(std::move(program)) {}
VmaFlagReader::~VmaFlagReader() = default;
VmaFlagReader::VmaFlagReader(VmaFlagReader&& other) noexcept = default;
VmaFlagReader& VmaFlagReader::operator=(VmaFlagReader&& other) noexcept =
    default;

absl::StatusOr<VmaFlagReader> VmaFlagReader::Load() {
  // All that it would say is said by errno.
  libbpf_set_print(&SayNothing);
  auto program = std::make_unique<Program>();
  program->object =
      bpf_object__open_mem(kProgram, sizeof(kProgram), /*opts=*/nullptr);
  if (program->object == nullptr) return SysError("open the BPF program");
  const int error = bpf_object__load(program->object);
  if (error != 0) return SysErrorOf(-error, "load the BPF program");
  program->list =
      bpf_object__find_program_by_name(program->object, "list_mappings");
  if (program->list == nullptr) return SysError("find the BPF program");
  return VmaFlagReader(std::move(program));
}

absl::StatusOr<std::vector<VmaFlags>> VmaFlagReader::Read(pid_t tid) const {
  bpf_iter_link_info one = {};
  one.task.tid = static_cast<uint32_t>(tid);
  bpf_iter_attach_opts options = {};
  options.sz = sizeof(options);
  options.link_info = &one;
  options.link_info_len = sizeof(one);
  const std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(
      bpf_program__attach_iter(program_->list, &options), &bpf_link__destroy);
  if (link == nullptr) return SysError("look at the mappings of task ", tid);
  const UniqueFd list(bpf_iter_create(bpf_link__fd(link.get())));
  if (!list.valid()) return SysError("list the mappings of task ", tid);
  std::vector<VmaFlags> all;
  // Room for all, and before they are listed: of our own process, what is
  // mapped to make room would be listed next, and so on without end.
  all.reserve(kMany);
  std::array<Record, 512> records;
  while (true) {
    const ssize_t size = read(list.get(), records.data(), sizeof(records));
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) return SysError("read the mappings of task ", tid);
    if (size == 0) break;
    if (static_cast<size_t>(size) % sizeof(Record) != 0) {
      return absl::InternalError("the kernel gives half a mapping");
    }
    for (size_t i = 0; i < static_cast<size_t>(size) / sizeof(Record); ++i) {
      // Of many mappings the kernel does not find the end, and begins again.
      // Whether these are all is checked by who has another list of them.
      if (!all.empty() &&
          records[i].start < AddressOf(all.back().pages.limit())) {
        return all;
      }
      all.push_back(
          {PagesOf(records[i].start, records[i].limit), records[i].bits});
    }
  }
  if (all.empty()) {
    return absl::NotFoundError(absl::StrCat("task ", tid, " has no memory"));
  }
  return all;
}

}  // namespace pagelift
