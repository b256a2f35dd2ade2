#include "daemon/pager/journal/space_journal.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "daemon/pager/journal/session_journal.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// A journal: a page with its header, a page for messages, the bits of what is
// installed, and two halves for changes.
constexpr size_t kRawAt = 4096;
constexpr size_t kInstalledAt = 8192;

// Changes beyond what an extent for every page takes twice: sets, and what
// comes between two folds.
constexpr uint64_t kMoreOps = 1 << 18;
// A journal is folded when it is this much longer than it need be.
constexpr uint64_t kFoldBeyond = 4096;
// Freeing less is not worth a system call.
constexpr size_t kWorthFreeing = 1 << 20;

constexpr PageStates kNotInstalled = PageState::kMissing | PageState::kLost;

using Word = std::atomic<uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

size_t WholePages(size_t bytes) {
  return (bytes + kPageSize - 1) / kPageSize * kPageSize;
}
size_t InstalledBytes(PageCount image_pages) {
  return WholePages((image_pages.raw() + 63) / 64 * 8);
}
uint64_t MostOps(PageCount image_pages) {
  return 2 * image_pages.raw() + kMoreOps;
}
size_t HalfBytes(PageCount image_pages) {
  return WholePages(MostOps(image_pages) * sizeof(LayoutOp));
}

}  // namespace

size_t SpaceJournal::SizeFor(PageCount image_pages) {
  return kInstalledAt + InstalledBytes(image_pages) +
         2 * HalfBytes(image_pages);
}

SpaceJournal::SpaceJournal(SessionJournal& session, SpaceRecord& record,
                           SharedMapping memory, PageCount image_pages)
    : session_(session),
      record_(record),
      memory_(std::move(memory)),
      image_pages_(image_pages),
      most_ops_(MostOps(image_pages)) {
  // A message is taken off its queue before it is written here. If we are
  // killed at that moment, the kernel does not wait for a page to write it to.
  // It is there from now on; that it stays is worth trying.
  std::byte* const raw_page = memory_.data() + kRawAt;
  reinterpret_cast<Word*>(raw_page)->fetch_or(0);
  if (mlock(raw_page, kPageSize) != 0) {
    LOG(Debug) << "a page for messages cannot be locked";
  }
  absl::MutexLock lock(&mu_);
  appended_ = progress().ops;
  folded_to_ = appended_;
}

LayoutOp* SpaceJournal::ops(uint32_t half) const {
  return memory_.at<LayoutOp>(kInstalledAt + InstalledBytes(image_pages_) +
                              half * HalfBytes(image_pages_));
}

absl::Span<std::byte> SpaceJournal::raw() const {
  return absl::MakeSpan(memory_.data() + kRawAt, kMessages * kMessageSize);
}

void SpaceJournal::Append(const LayoutOp& op) {
  absl::MutexLock lock(&mu_);
  // An extent has at least a page of the image for itself.
  CHECK(appended_ < most_ops_) << "a journal is full";
  ops(progress().half)[appended_++] = op;
}

void SpaceJournal::Commit() { CommitEvents(applied()); }

void SpaceJournal::CommitEvents(size_t applied) {
  absl::MutexLock lock(&mu_);
  header().progress.store(Progress{progress().half, appended_, applied}.Pack(),
                          std::memory_order_release);
}

void SpaceJournal::EndBatch() {
  // In this order: a message that is gone counts as one that never came. The
  // store that commits is a release.
  std::memset(raw().data(), 0, messages() * kMessageSize);
  CommitEvents(0);
}

void SpaceJournal::Fold(const SpaceLayout& layout) {
  absl::MutexLock lock(&mu_);
  if (appended_ < 2 * folded_to_ + kFoldBeyond) return;
  const Progress old = progress();
  WriteLocked(1 - old.half, layout, old.applied);
  if (old.ops * sizeof(LayoutOp) >= kWorthFreeing) {
    madvise(ops(old.half), WholePages(old.ops * sizeof(LayoutOp)), MADV_REMOVE);
  }
}

void SpaceJournal::WriteLocked(uint32_t half, const SpaceLayout& layout,
                               size_t applied) {
  uint64_t count = 0;
  LayoutOp* const into = ops(half);
  layout.ForEachOp([&](const LayoutOp& op) {
    CHECK(count < most_ops_) << "a layout is too large for its journal";
    into[count++] = op;
  });
  appended_ = count;
  folded_to_ = count;
  header().progress.store(Progress{half, count, applied}.Pack(),
                          std::memory_order_release);
}

void SpaceJournal::StartWith(const SpaceLayout& layout) {
  layout.map().ForEachTarget({ImagePage(0), image_pages_}, PageState::kPresent,
                             [this](const PageMap::Piece& piece) {
                               MarkInstalled(piece.image_range());
                             });
  absl::MutexLock lock(&mu_);
  WriteLocked(1 - progress().half, layout, 0);
}

void SpaceJournal::MarkInstalled(ImageRange pages) {
  Word* const words = memory_.at<Word>(kInstalledAt);
  uint64_t first = pages.first.raw();
  const uint64_t limit = pages.limit().raw();
  while (first < limit) {
    const uint64_t here = std::min<uint64_t>(64 - first % 64, limit - first);
    const uint64_t ones = here == 64 ? ~uint64_t{0} : (uint64_t{1} << here) - 1;
    words[first / 64].fetch_or(ones << (first % 64), std::memory_order_release);
    first += here;
  }
}

void SpaceJournal::SetProcess(pid_t pid, int pidfd) {
  record_.pid = pid;
  record_.pidfd = pidfd;
  session_.Keep(pidfd, record_.kept, SpaceRecord::kPidFd);
  record_.held = 0;
}

void SpaceJournal::BeginClosing() {
  record_.state.store(SpaceRecord::kClosing, std::memory_order_release);
  session_.TakeOut(record_.uffd, record_.kept, SpaceRecord::kUserfaultFd);
  session_.TakeOut(record_.pidfd, record_.kept, SpaceRecord::kPidFd);
}

void SpaceJournal::EndClosing() { session_.Remove(*this); }

size_t SpaceJournal::applied() const { return progress().applied; }

size_t SpaceJournal::messages() const {
  size_t count = 0;
  // Every message begins with the number of its event, which is not 0.
  while (count < kMessages && raw()[count * kMessageSize] != std::byte{0}) {
    ++count;
  }
  return count;
}

size_t SpaceJournal::length() const {
  return static_cast<size_t>(progress().ops) * sizeof(LayoutOp);
}

absl::StatusOr<SpaceLayout> SpaceJournal::Rebuild() const {
  SpaceLayout layout;
  const Progress committed = progress();
  if (most_ops_ < committed.ops) {
    return absl::DataLossError(
        absl::StrCat("a journal claims to have ", committed.ops, " changes"));
  }
  for (uint64_t i = 0; i < committed.ops; ++i) {
    RETURN_IF_ERROR(layout.Apply(ops(committed.half)[i]));
  }
  const Word* const words = memory_.at<Word>(kInstalledAt);
  layout.map().ForEachTarget(
      {ImagePage(0), image_pages_}, kNotInstalled,
      [&](const PageMap::Piece& piece) {
        const ImageRange image = piece.image_range();
        for (uint64_t i = image.first.raw(); i < image.limit().raw();) {
          const uint64_t here =
              std::min<uint64_t>(64 - i % 64, image.limit().raw() - i);
          uint64_t bits =
              words[i / 64].load(std::memory_order_acquire) >> (i % 64);
          for (uint64_t k = 0; k < here && bits != 0; ++k, bits >>= 1) {
            if ((bits & 1) == 0) continue;
            layout.map().Transition(
                piece.pages.first + PageCount(i + k - image.first.raw()),
                kNotInstalled, PageState::kPresent);
          }
          i += here;
        }
      });
  return layout;
}

}  // namespace pagelift
