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

absl::StatusOr<std::vector<VmaFlags>> VmaFlagReader::Read(pid_t pid) const {
  bpf_iter_link_info one = {};
  // Not `tid`: of one thread the kernel (6.18) begins the last part of a list
  // that takes several reads again and again.
  one.task.pid = static_cast<uint32_t>(pid);
  bpf_iter_attach_opts options = {};
  options.sz = sizeof(options);
  options.link_info = &one;
  options.link_info_len = sizeof(one);
  const std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(
      bpf_program__attach_iter(program_->list, &options), &bpf_link__destroy);
  if (link == nullptr) return SysError("look at the mappings of process ", pid);
  const UniqueFd list(bpf_iter_create(bpf_link__fd(link.get())));
  if (!list.valid()) return SysError("list the mappings of process ", pid);
  std::vector<VmaFlags> all;
  std::array<Record, 512> records;
  while (true) {
    const ssize_t size = read(list.get(), records.data(), sizeof(records));
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) return SysError("read the mappings of process ", pid);
    if (size == 0) break;
    if (static_cast<size_t>(size) % sizeof(Record) != 0) {
      return absl::InternalError("the kernel gives half a mapping");
    }
    for (size_t i = 0; i < static_cast<size_t>(size) / sizeof(Record); ++i) {
      all.push_back(
          {PagesOf(records[i].start, records[i].limit), records[i].bits});
    }
  }
  if (all.empty()) {
    return absl::NotFoundError(absl::StrCat("process ", pid, " has no memory"));
  }
  return all;
}

}  // namespace pagelift
