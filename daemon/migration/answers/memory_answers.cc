#include "daemon/migration/answers/memory_answers.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "daemon/migration/answers/frozen_mappings.h"
#include "lib/base/log.h"
#include "lib/base/memory_file.h"
#include "lib/base/read_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"

namespace pagelift {
namespace {

// The low halves of what is loaded, as this machine has them.
constexpr uint32_t kArgument(size_t number) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args) +
                               number * sizeof(uint64_t));
}

// "smaps" of "/proc/PID/smaps"; nothing if it is no such path.
struct ProcFile {
  pid_t pid = 0;
  std::string name;
};

std::optional<ProcFile> ParseProcPath(absl::string_view path) {
  if (!absl::ConsumePrefix(&path, "/proc/")) return std::nullopt;
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  ProcFile file;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &file.pid)) {
    return std::nullopt;
  }
  file.name = parts[1];
  return file;
}

std::string PathOfDescriptor(pid_t tid, uint64_t fd) {
  std::error_code none;
  return std::filesystem::read_symlink(
             absl::StrCat("/proc/", tid, "/fd/", static_cast<uint32_t>(fd)),
             none)
      .string();
}

// The string of a caller, if it is as short as all that we look for.
std::string ShortStringAt(pid_t tid, uint64_t address) {
  char bytes[32] = {};
  // Not over the end of a page, behind which there may be nothing.
  const size_t size =
      std::min<uint64_t>(sizeof(bytes), kPageSize - address % kPageSize);
  if (!ReadMemoryOf(tid, address, bytes, size).ok()) return "";
  const size_t length = strnlen(bytes, sizeof(bytes));
  return length < sizeof(bytes) ? std::string(bytes, length) : "";
}

// What a scan is for.
enum class Asked { kPages, kGuards, kOther };

Asked WhatIsAsked(const PagemapScan& scan) {
  if (scan.size != sizeof(scan) || scan.flags != 0 || scan.max_pages != 0 ||
      scan.region_count == 0 || scan.start % kPageSize != 0 ||
      scan.limit % kPageSize != 0 || scan.limit < scan.start) {
    return Asked::kOther;
  }
  if (scan.category_inverted == 0 && scan.category_mask == kPageIsGuard &&
      scan.category_anyof_mask == 0 && scan.return_mask == kPageIsGuard) {
    return Asked::kGuards;
  }
  constexpr uint64_t kNot = kPageIsFile | kPageIsZeroPage;
  if ((scan.category_mask & ~kNot) == 0 &&
      scan.category_inverted == scan.category_mask &&
      (scan.category_mask & kPageIsZeroPage) != 0 &&
      scan.category_anyof_mask == (kPageIsPresent | kPageIsSwapped)) {
    return Asked::kPages;
  }
  return Asked::kOther;
}

// Answers one scan, piece by piece.
class ScanAnswer {
 public:
  ScanAnswer(int pagemap, const PagemapScan& scan)
      : pagemap_(pagemap), scan_(scan), regions_(scan.region_count) {
    scan_.walk_end = scan.start;
  }

  // All up to here is answered, or there is no more room.
  bool IsFull() const { return count_ == regions_.size(); }
  PageId at() const { return PageContaining(scan_.walk_end); }
  PageId limit() const { return PageContaining(scan_.limit); }

  // Has the kernel answer up to there. Returns errno, or 0.
  int Ask(PageId limit) {
    PagemapScan part = scan_;
    part.limit = std::min(AddressOf(limit), scan_.limit);
    while (!IsFull() && scan_.walk_end < part.limit) {
      part.start = scan_.walk_end;
      part.regions = reinterpret_cast<uint64_t>(&regions_[count_]);
      part.region_count = regions_.size() - count_;
      const int found = ioctl(pagemap_, kPagemapScan, &part);
      if (found < 0 && errno == EINTR) continue;
      if (found < 0) return errno;
      scan_.walk_end =
          ScannedTo(part, &regions_[count_], static_cast<size_t>(found));
      count_ += static_cast<size_t>(found);
    }
    return 0;
  }

  // Answers up to there that there are these, with what CRIU wants to know.
  void Tell(PageId limit, absl::Span<const PageRange> pages) {
    const PageRange asked =
        PageRange::Between(at(), std::min(limit, this->limit()));
    for (PageRange range : pages) {
      const PageRange part = asked.Intersect(range);
      if (part.empty()) continue;
      if (IsFull()) return;
      regions_[count_++] = {AddressOf(part.first), AddressOf(part.limit()),
                            scan_.return_mask};
      scan_.walk_end = AddressOf(part.limit());
    }
    scan_.walk_end = AddressOf(asked.limit());
  }

  absl::Status WriteTo(pid_t tid, uint64_t address) const {
    RETURN_IF_ERROR(WriteMemoryOf(tid, scan_.regions, regions_.data(),
                                  count_ * sizeof(PageRegion)));
    return WriteMemoryOf(tid, address + offsetof(PagemapScan, walk_end),
                         &scan_.walk_end, sizeof(scan_.walk_end));
  }
  int count() const { return static_cast<int>(count_); }

 private:
  const int pagemap_;
  PagemapScan scan_;
  std::vector<PageRegion> regions_;
  size_t count_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MemoryAnswers>> MemoryAnswers::Prepare() {
  ASSIGN_OR_RETURN(VmaFlagReader reader, VmaFlagReader::Load());
  ASSIGN_OR_RETURN(VmaFlagNames names, VmaFlagNames::Learn(reader));
  UniqueFd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) return SysError("eventfd");
  return std::unique_ptr<MemoryAnswers>(
      new MemoryAnswers(std::move(reader), std::move(names), std::move(stop)));
}

MemoryAnswers::MemoryAnswers(VmaFlagReader reader, VmaFlagNames names,
                             UniqueFd stop)
    : reader_(std::move(reader)),
      names_(std::move(names)),
      stop_(std::move(stop)) {}

MemoryAnswers::~MemoryAnswers() {
  eventfd_write(stop_.get(), 1);
  if (thread_.has_value()) thread_->join();
}

// openat(2) of a path below a directory, as CRIU opens what is in /proc, and
// only to read it; and PAGEMAP_SCAN. Who answers may be gone before CRIU is, so
// what it calls once it has parked the tree is not among it, nor what the
// programs call that it starts then.
std::vector<sock_filter> MemoryAnswers::Filter() {
  return {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 9),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 5, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 6),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArgument(0)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x80000000, 4, 0),  // AT_FDCWD.
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArgument(2)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, O_RDONLY, 3, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArgument(1)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kPagemapScan, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
  };
}

void MemoryAnswers::Start(UniqueFd listener) {
  CHECK(!thread_.has_value());
  thread_.emplace([this, calls = AskedCalls(std::move(listener))] {
    NameThisThread("pl-answers");
    Run(calls);
  });
}

void MemoryAnswers::Run(const AskedCalls& calls) {
  while (true) {
    const absl::StatusOr<AskedCall> call = calls.Next(stop_.get());
    if (!call.ok()) return;
    const absl::StatusOr<bool> answered = call->number == SYS_openat
                                              ? AnswerOpen(calls, *call)
                                              : AnswerScan(calls, *call);
    if (!answered.ok()) {
      {
        // First: it may have ended before we are back.
        absl::MutexLock lock(&mu_);
        refused_.Update(answered.status());
      }
      calls.Fail(*call, EOPNOTSUPP);
    } else if (!*answered) {
      calls.Continue(*call);
    }
  }
}

absl::StatusOr<bool> MemoryAnswers::AnswerOpen(const AskedCalls& calls,
                                               const AskedCall& call) {
  const std::string path = ShortStringAt(call.tid, call.arguments[1]);
  if (path != "smaps" && !absl::StrContains(path, "/smaps")) return false;
  const std::optional<ProcFile> file = ParseProcPath(
      absl::StrCat(PathOfDescriptor(call.tid, call.arguments[0]), "/", path));
  if (!file.has_value() || file->name != "smaps" || file->pid == call.tid) {
    return false;
  }
  std::string text;
  ASSIGN_OR_RETURN(Process process, LookAt(file->pid, &text));
  ASSIGN_OR_RETURN(const UniqueFd smaps, MemoryFile("smaps", text));
  // What was read under this number is of who is still frozen.
  if (!calls.StillWaits(call)) return false;
  {
    absl::MutexLock lock(&mu_);
    std::vector<PageRange> known;
    // Of another process that had its number it is of no use, and no harm.
    if (!process.maybe_guarded) known = std::move(ahead_[file->pid]);
    BeginScan(process, std::move(known));
    processes_.insert_or_assign(file->pid, std::move(process));
  }
  const absl::Status given = calls.ReturnDescriptor(call, smaps.get());
  if (given.ok()) return true;
  absl::MutexLock lock(&mu_);
  processes_.erase(file->pid);
  return given;
}

absl::StatusOr<MemoryAnswers::Process> MemoryAnswers::LookAt(
    pid_t pid, std::string* smaps) const {
  ASSIGN_OR_RETURN(const std::string maps,
                   ReadFile(absl::StrCat("/proc/", pid, "/maps")));
  ASSIGN_OR_RETURN(const std::vector<VmaFlags> flags, reader_.Read(pid));
  ASSIGN_OR_RETURN(FrozenMappings mappings,
                   FrozenMappings::Of(maps, flags, names_));
  *smaps = std::move(mappings.smaps);
  Process process;
  const std::string path = absl::StrCat("/proc/", pid, "/pagemap");
  process.pagemap.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!process.pagemap.valid()) return SysError("open ", path);
  process.lazy = std::move(mappings.lazy);
  process.maybe_guarded = mappings.maybe_guarded;
  return process;
}

void MemoryAnswers::BeginScan(Process& process,
                              std::vector<PageRange> known) const {
  process.found = std::async(std::launch::async,
                             [lazy = process.lazy, known = std::move(known),
                              pagemap = process.pagemap.get()] {
                               NameThisThread("pl-scan");
                               return ScanPages(pagemap, lazy, known);
                             });
}

void MemoryAnswers::LookAhead(absl::Span<const pid_t> processes) {
  for (const pid_t pid : processes) {
    std::string unused;
    // One that changes just now may not fit together.
    const absl::StatusOr<Process> process = LookAt(pid, &unused);
    if (!process.ok() || process->maybe_guarded) continue;
    const absl::StatusOr<ScannedPages> found =
        ScanPages(process->pagemap.get(), process->lazy);
    if (!found.ok()) continue;
    absl::MutexLock lock(&mu_);
    ahead_[pid] = WholeTables(found->present);
  }
}

MemoryAnswers::Process* MemoryAnswers::Find(pid_t pid) {
  absl::MutexLock lock(&mu_);
  const auto found = processes_.find(pid);
  return found == processes_.end() ? nullptr : &found->second;
}

absl::StatusOr<bool> MemoryAnswers::AnswerScan(const AskedCalls& calls,
                                               const AskedCall& call) {
  const std::optional<ProcFile> file =
      ParseProcPath(PathOfDescriptor(call.tid, call.arguments[0]));
  if (!file.has_value() || file->name != "pagemap") return false;
  // Of itself it finds out what the kernel can do.
  if (file->pid == call.tid) return false;
  Process* const process = Find(file->pid);
  if (process == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("criu asks for pages of process ", file->pid,
                     ", and has not asked for its mappings"));
  }
  PagemapScan scan;
  RETURN_IF_ERROR(
      ReadMemoryOf(call.tid, call.arguments[2], &scan, sizeof(scan)));
  const Asked asked = WhatIsAsked(scan);
  if (asked == Asked::kOther) {
    return absl::UnimplementedError(
        absl::StrCat("criu asks for pages of process ", file->pid,
                     " in a way that is not known"));
  }
  if (asked == Asked::kPages) {
    absl::MutexLock lock(&mu_);
    process->was_asked_of = true;
  }
  // All that it is told of in lazy memory. Only what has to be known now is
  // waited for.
  absl::Span<const PageRange> guards;
  if (asked == Asked::kGuards && process->maybe_guarded) {
    const absl::StatusOr<ScannedPages>& found = process->found.get();
    RETURN_IF_ERROR(found.status());
    guards = found->guards;
  }
  ScanAnswer answer(process->pagemap.get(), scan);
  auto lazy = std::partition_point(
      process->lazy.begin(), process->lazy.end(),
      [&](PageRange range) { return range.limit() <= answer.at(); });
  while (!answer.IsFull() && answer.at() < answer.limit()) {
    int error = 0;
    if (lazy == process->lazy.end()) {
      error = answer.Ask(answer.limit());
    } else if (answer.at() < lazy->first) {
      error = answer.Ask(lazy->first);
    } else {
      answer.Tell(lazy->limit(), guards);
    }
    if (error != 0) {
      calls.Fail(call, error);
      return true;
    }
    if (lazy != process->lazy.end() && lazy->limit() <= answer.at()) ++lazy;
  }
  RETURN_IF_ERROR(answer.WriteTo(call.tid, call.arguments[2]));
  calls.Return(call, answer.count());
  return true;
}

absl::Status MemoryAnswers::Refused() {
  absl::MutexLock lock(&mu_);
  return refused_;
}

absl::Status MemoryAnswers::CheckAllAnswered() {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(refused_);
  for (const auto& [pid, process] : processes_) {
    if (process.lazy.empty() || process.was_asked_of) continue;
    return absl::UnimplementedError(
        absl::StrCat("criu has not asked for the pages of process ", pid,
                     " by PAGEMAP_SCAN; those from 4.1 on do"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PageRange>> MemoryAnswers::LazyPagesOf(pid_t pid) {
  Process* const process = Find(pid);
  if (process == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("process ", pid, " was not dumped"));
  }
  const absl::StatusOr<ScannedPages>& found = process->found.get();
  RETURN_IF_ERROR(found.status());
  return found->present;
}

}  // namespace pagelift
