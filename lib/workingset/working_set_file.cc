#include "lib/workingset/working_set_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/replace_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/workingset/working_set_codec.h"

namespace pagelift {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
// A writer needs milliseconds.
constexpr absl::Duration kLockPatience = absl::Seconds(3);
constexpr absl::Duration kLockInterval = absl::Milliseconds(10);

}  // namespace

absl::StatusOr<WorkingSetFile> WorkingSetFile::Open(
    const std::string& directory, std::string content_id,
    PageCount page_count) {
  UniqueFd fd(open(directory.c_str(), kDirectoryFlags));
  if (!fd.valid()) return SysError("open the image directory ", directory);
  return WorkingSetFile(std::move(fd), directory, std::move(content_id),
                        page_count);
}

WorkingSetFile::WorkingSetFile(UniqueFd directory, std::string path,
                               std::string content_id, PageCount page_count)
    : directory_(std::move(directory)),
      path_(std::move(path)),
      content_id_(std::move(content_id)),
      page_count_(page_count) {}

absl::StatusOr<WorkingSet> WorkingSetFile::Read() const {
  absl::StatusOr<std::string> bytes = ReadBytes();
  if (absl::IsNotFound(bytes.status())) return WorkingSet();
  absl::Status bad = bytes.status();
  if (bad.ok()) {
    absl::StatusOr<WorkingSet> working_set =
        DecodeWorkingSet(*bytes, content_id_, page_count_);
    if (working_set.ok()) return working_set;
    bad = working_set.status();
  } else if (!absl::IsDataLoss(bad)) {
    return bad;
  }
  WorkingSet none;
  none.ignored = absl::StrCat(FilePath(), " is ignored: ", bad.message());
  LOG(Warning) << none.ignored;
  return none;
}

absl::Status WorkingSetFile::Add(const Recording& recording,
                                 absl::Time now) const {
  ASSIGN_OR_RETURN(const UniqueFd lock, Lock());
  ASSIGN_OR_RETURN(WorkingSet working_set, Read());
  std::vector<KeptRecording>& kept = working_set.recordings;
  kept.insert(kept.begin(), {recording, now});
  if (kept.size() > WorkingSet::kMostRecordings) kept.pop_back();
  return Annotate(ReplaceFile(directory_.get(), kName,
                              EncodeWorkingSet(working_set, content_id_)),
                  FilePath());
}

absl::Status WorkingSetFile::Drop() const {
  ASSIGN_OR_RETURN(const UniqueFd lock, Lock());
  return Annotate(RemoveReplaceableFile(directory_.get(), kName), path_);
}

absl::StatusOr<UniqueFd> WorkingSetFile::Lock() const {
  // Opened anew: what shares an open file shares its lock.
  UniqueFd fd(openat(directory_.get(), ".", kDirectoryFlags));
  if (!fd.valid()) return SysError("open the image directory ", path_);
  const absl::Duration deadline = MonotonicNow() + kLockPatience;
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SysError("lock ", path_);
    if (MonotonicNow() >= deadline) {
      return absl::UnavailableError(
          absl::StrCat("another process holds the lock on ", path_));
    }
    absl::SleepFor(kLockInterval);
  }
  return fd;
}

absl::StatusOr<std::string> WorkingSetFile::ReadBytes() const {
  // O_NONBLOCK: not to wait on a FIFO somebody put there.
  const UniqueFd fd(openat(directory_.get(), kName,
                           O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid() && errno != ELOOP) return SysError("open ", FilePath());
  struct stat status = {};
  if (fd.valid() && fstat(fd.get(), &status) != 0) {
    return SysError("stat ", FilePath());
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::DataLossError("it is not a regular file");
  }
  if (static_cast<size_t>(status.st_size) > kMostWorkingSetBytes) {
    return absl::DataLossError("it is too large");
  }
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t n = read(fd.get(), &bytes[filled], bytes.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SysError("read ", FilePath());
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace pagelift
