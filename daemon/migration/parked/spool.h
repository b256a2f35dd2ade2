#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_SPOOL_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_SPOOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/byte_span.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"

namespace pagelift {

// A copy of all pages of an image, in memory or in a file that outlives the
// host: page n at n times the page size, pages of zeros as holes. When it is
// complete their digests follow, as a PageSeal: so one descriptor is all of it,
// and one without the seal is not complete and is made anew.
//
// Grows from the first page to the last. Thread-safe, but Append() and
// Complete() are for one thread. Its readers wait for nobody.
class Spool {
 public:
  static constexpr char kName[] = "spool";  // Of the file.

  static absl::StatusOr<std::unique_ptr<Spool>> MakeInMemory(
      const ImageDescription& description);
  // Replaces one that is there.
  static absl::StatusOr<std::unique_ptr<Spool>> MakeInFile(
      const std::string& directory, const ImageDescription& description);

  // A complete one that another worker has made. kNotFound: there is none, or
  // it is not complete. kDataLoss: its digests are damaged.
  // kFailedPrecondition: of another image.
  static absl::StatusOr<std::unique_ptr<Spool>> OpenFile(
      const std::string& directory, const ImageDescription& description);
  // The same of one in memory; `fd` is taken over unless this fails.
  static absl::StatusOr<std::unique_ptr<Spool>> Adopt(
      int fd, const ImageDescription& description);

  // Copies the next pages into it: after those that it has. After an error it
  // has the same ones as before, and this may be tried again:
  // kResourceExhausted says how much room is missing. REQUIRES: whole pages,
  // and not more than are missing.
  absl::Status Append(ByteSpan pages);

  // Writes what it has to the disk, reads it back from there, compares, and
  // seals it. kCancelled if `stop` says so meanwhile. REQUIRES: all pages are
  // in it.
  absl::Status Complete(absl::FunctionRef<bool()> stop);

  // Reads all of it. kDataLoss: a page is not what it was. REQUIRES: as above.
  absl::Status VerifyAll(absl::FunctionRef<bool()> stop) const;

  // Pages [0, has()) are in it.
  PageCount has() const { return PageCount(has_.load()); }
  PageCount page_count() const { return page_count_; }
  bool complete() const { return complete_.load(); }
  int fd() const { return fd_.get(); }  // To be written down; ours.

  // Of pages that it has. Read() as that of PageStore; the others tell how many
  // from the first on have the contents, or held zeros, when they were copied.
  absl::StatusOr<PageCount> Read(ImageRange range,
                                 absl::Span<std::byte> buffer) const;
  PageCount Unchanged(ImagePage first, ByteSpan pages) const;
  PageCount Zeros(ImageRange range) const;
  void WillNeed(ImageRange range) const;

 private:
  Spool(UniqueFd fd, std::string path, const ImageDescription& description);
  static absl::StatusOr<std::unique_ptr<Spool>> Sealed(
      UniqueFd& fd, std::string path, const ImageDescription& description);
  absl::Status WriteAll(ByteSpan bytes, uint64_t offset) const;

  const UniqueFd fd_;
  const std::string path_;  // To print.
  UniqueFd directory_;      // Of a file that is new.
  const std::string content_id_;
  const PageCount page_count_;
  std::vector<uint64_t> digests_;  // Of the pages that it has.
  std::atomic<uint64_t> has_{0};
  std::atomic<bool> complete_{false};
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_SPOOL_H_
