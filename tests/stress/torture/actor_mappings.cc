// What changes mappings, or what they hold, without touching a page.

#include <sys/mman.h>

#include <cerrno>
#include <iterator>

#include "tests/stress/torture/actor.h"

// The distribution's headers are older than the kernel.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace pagelift::stress {
namespace {

constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
constexpr size_t kMostPages = 32;

}  // namespace

bool Actor::IsMappedNow(size_t page) const {
  unsigned char ignored;
  return mincore(field_.At(page), kPageBytes, &ignored) == 0;
}

// --- mmap and munmap ---------------------------------------------------------

void Actor::Map() {
  const std::optional<Run> run = field_.PickUnmapped(
      random_, random_.UpTo(random_.OneIn(3) ? Field::kSlotPages : 8));
  if (!run.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kMap, run->first, run->count);
  Change change(field_, record, *run);
  const bool done =
      mmap(field_.At(run->first), run->bytes(), PROT_READ | PROT_WRITE,
           kAnonymous | MAP_FIXED_NOREPLACE, -1, 0) != MAP_FAILED;
  Finish(record, done);
  if (!done) return TellWrong(run->first, "is not free to be mapped");
  field_.MakeFresh(*run);
  if (random_.OneIn(2)) return;  // Stays zero.
  for (size_t page = run->first; page < run->limit(); ++page) {
    field_.Rewrite(page);
  }
}

void Actor::MapOver() {
  const std::optional<Run> run =
      field_.Pick(random_, random_.UpTo(kMostPages), IsMapped);
  if (!run.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kMapOver, run->first, run->count);
  Change change(field_, record, *run);
  const bool done =
      mmap(field_.At(run->first), run->bytes(), PROT_READ | PROT_WRITE,
           kAnonymous | MAP_FIXED, -1, 0) != MAP_FAILED;
  Finish(record, done);
  if (done) field_.MakeFresh(*run);
}

void Actor::Unmap() {
  std::optional<Run> run =
      field_.Pick(random_, random_.UpTo(kMostPages), IsMapped);
  if (!run.has_value()) return;
  // Holes included: one message may be about several mappings.
  if (random_.OneIn(8)) run = Field::Slot(run->first / Field::kSlotPages);
  OperationRecord& record = log_.Begin(Op::kUnmap, run->first, run->count);
  Change change(field_, record, *run);
  const bool done = munmap(field_.At(run->first), run->bytes()) == 0;
  Finish(record, done);
  for (size_t page = run->first; done && page < run->limit(); ++page) {
    field_.shadow(page).BecomeUnmapped();
  }
}

// --- mremap ------------------------------------------------------------------

void Actor::MakeTail(Run tail, const ShadowPage& like) {
  field_.MakeFresh(tail);
  for (size_t page = tail.first; page < tail.limit(); ++page) {
    ShadowPage& shadow = field_.shadow(page);
    shadow.access = like.access;
    shadow.locked = like.locked;
    shadow.wipe_on_fork = like.wipe_on_fork;
    shadow.dont_fork = like.dont_fork;
  }
}

void Actor::SettleHalfMove(Run from, Run to, bool leaves_old) {
  for (size_t i = 0; i < from.count; ++i) {
    const size_t page = from.first + i;
    const bool was_moved = i < to.count && IsMappedNow(to.first + i) &&
                           (leaves_old || !IsMappedNow(page));
    if (!was_moved) {
      if (!IsMappedNow(page)) field_.shadow(page).BecomeUnmapped();
      continue;
    }
    const ShadowPage was = field_.shadow(page);
    field_.Move({page, 1}, to.first + i);
    if (leaves_old) MakeTail({page, 1}, was);
  }
  for (size_t page = to.first; page < to.limit(); ++page) {
    if (!IsMappedNow(page)) field_.shadow(page).BecomeUnmapped();
  }
}

void Actor::Shrink() {
  const std::optional<Run> run = field_.Pick(random_, kMostPages, IsMapped);
  if (!run.has_value() || run->count < 2) return;
  const size_t keep = random_.UpTo(run->count - 1);
  OperationRecord& record = log_.Begin(Op::kShrink, run->first, run->count);
  record.to = record.first;
  record.to_count = static_cast<uint32_t>(keep);
  Change change(field_, record, *run);
  const bool done = mremap(field_.At(run->first), run->bytes(),
                           keep * kPageBytes, 0) != MAP_FAILED;
  Finish(record, done);
  for (size_t page = run->first + keep; page < run->limit(); ++page) {
    if (!IsMappedNow(page)) field_.shadow(page).BecomeUnmapped();
  }
}

void Actor::GrowInPlace() {
  // The last page before a hole.
  std::optional<Run> last;
  for (int attempt = 0; attempt < 16 && !last.has_value(); ++attempt) {
    const std::optional<Run> run = field_.Pick(random_, kMostPages, IsMapped);
    if (!run.has_value()) return;
    const size_t after = run->limit();
    if (after % Field::kSlotPages == 0 || field_.shadow(after).mapped()) {
      continue;
    }
    last = Run{after - 1, 1};
  }
  if (!last.has_value()) return;
  Run tail{last->limit(), 0};
  const size_t room = Field::RestOfSlot(tail.first).count;
  const size_t wanted = random_.UpTo(room);
  while (tail.count < wanted && !field_.shadow(tail.limit()).mapped()) {
    ++tail.count;
  }
  OperationRecord& record = log_.Begin(Op::kGrowInPlace, last->first, 1);
  record.to = record.first;
  record.to_count = static_cast<uint32_t>(1 + tail.count);
  Change change(field_, record, tail);
  const bool done = mremap(field_.At(last->first), kPageBytes,
                           kPageBytes + tail.bytes(), 0) != MAP_FAILED;
  Finish(record, done);
  if (done) MakeTail(tail, field_.shadow(last->first));
}

void Actor::Move(Op op) {
  const std::optional<Run> from =
      field_.Pick(random_, random_.UpTo(kMostPages), IsMapped);
  if (!from.has_value()) return;
  size_t count = from->count;
  if (op == Op::kMoveAndGrow) {
    count += random_.UpTo(Field::kSlotPages - count);
  } else if (op == Op::kMoveAndShrink) {
    count = random_.UpTo(count);
  }
  std::optional<Run> to = field_.PickUnmapped(random_, count);
  if (op == Op::kMoveOver) {
    // Whatever is there. The kernel refuses to move a range into itself.
    const size_t slot = random_.Below(field_.slots());
    if (slot == from->first / Field::kSlotPages) return;
    to = Run{
        Field::Slot(slot).first + random_.Below(Field::kSlotPages - count + 1),
        count};
  }
  if (!to.has_value()) return;
  OperationRecord& record = log_.Begin(op, from->first, from->count);
  record.to = static_cast<uint32_t>(to->first);
  record.to_count = static_cast<uint32_t>(count);
  Change change(field_, record, *from, *to);
  const bool done =
      mremap(field_.At(from->first), from->bytes(), to->bytes(),
             MREMAP_MAYMOVE | MREMAP_FIXED, field_.At(to->first)) != MAP_FAILED;
  Finish(record, done);
  if (!done) return SettleHalfMove(*from, *to, /*leaves_old=*/false);
  const ShadowPage like = field_.shadow(from->first);
  const size_t moved = std::min(from->count, count);
  field_.Move({from->first, moved}, to->first);
  for (size_t page = from->first + moved; page < from->limit(); ++page) {
    field_.shadow(page).BecomeUnmapped();
  }
  MakeTail({to->first + moved, count - moved}, like);
}

void Actor::MoveDontUnmap() {
  const std::optional<Run> from =
      field_.Pick(random_, random_.UpTo(8), IsMapped);
  if (!from.has_value()) return;
  const std::optional<Run> to = field_.PickUnmapped(random_, from->count);
  if (!to.has_value()) return;
  OperationRecord& record =
      log_.Begin(Op::kMoveDontUnmap, from->first, from->count);
  record.to = static_cast<uint32_t>(to->first);
  record.to_count = static_cast<uint32_t>(to->count);
  Change change(field_, record, *from, *to);
  const bool done = mremap(field_.At(from->first), from->bytes(), to->bytes(),
                           MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
                           field_.At(to->first)) != MAP_FAILED;
  Finish(record, done);
  if (!done) return SettleHalfMove(*from, *to, /*leaves_old=*/true);
  ShadowPage like = field_.shadow(from->first);
  field_.Move(*from, to->first);
  like.locked = false;  // That goes along.
  MakeTail(*from, like);
}

// --- madvise and the like ----------------------------------------------------

void Actor::DontNeed() {
  const std::optional<Run> run =
      field_.Pick(random_, random_.UpTo(kMostPages), IsMapped);
  if (!run.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kDontNeed, run->first, run->count);
  record.detail =
      field_.shadow(run->first).locked ? MADV_DONTNEED_LOCKED : MADV_DONTNEED;
  Change change(field_, record, *run);
  const bool done =
      madvise(field_.At(run->first), run->bytes(), record.detail) == 0;
  Finish(record, done);
  for (size_t page = run->first; done && page < run->limit(); ++page) {
    field_.shadow(page).BecomeZero();
  }
}

void Actor::Free() {
  const std::optional<Run> run =
      field_.Pick(random_, random_.UpTo(kMostPages),
                  [](const ShadowPage& s) { return s.mapped() && !s.locked; });
  if (!run.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kFree, run->first, run->count);
  Change change(field_, record, *run);
  const bool done =
      madvise(field_.At(run->first), run->bytes(), MADV_FREE) == 0;
  Finish(record, done);
  for (size_t page = run->first; done && page < run->limit(); ++page) {
    ShadowPage& shadow = field_.shadow(page);
    if (shadow.contents == ShadowPage::Contents::kPattern) {
      shadow.contents = ShadowPage::Contents::kPatternOrZero;
    }
  }
}

void Actor::Advise() {
  constexpr int kAdvice[] = {
      MADV_NORMAL,     MADV_RANDOM,        MADV_SEQUENTIAL,
      MADV_WILLNEED,   MADV_COLD,          MADV_PAGEOUT,
      MADV_HUGEPAGE,   MADV_NOHUGEPAGE,    MADV_COLLAPSE,
      MADV_DONTFORK,   MADV_DOFORK,        MADV_POPULATE_READ,
      MADV_WIPEONFORK, MADV_KEEPONFORK,    MADV_POPULATE_WRITE,
      MADV_MERGEABLE,  MADV_UNMERGEABLE,   MADV_DONTDUMP,
      MADV_DODUMP,     MADV_POPULATE_READ, MADV_POPULATE_WRITE};
  const std::optional<Run> run =
      field_.Pick(random_, random_.UpTo(kMostPages), IsMapped);
  if (!run.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kAdvise, run->first, run->count);
  record.detail = kAdvice[random_.Below(std::size(kAdvice))];
  const bool marks_for_fork =
      record.detail == MADV_WIPEONFORK || record.detail == MADV_KEEPONFORK;
  if (marks_for_fork && !world_.MayMarkForFork()) return;
  Change change(field_, record, *run);
  const bool done =
      madvise(field_.At(run->first), run->bytes(), record.detail) == 0;
  Finish(record, done);
  for (size_t page = run->first; done && page < run->limit(); ++page) {
    ShadowPage& shadow = field_.shadow(page);
    if (record.detail == MADV_DONTFORK) shadow.dont_fork = true;
    if (record.detail == MADV_DOFORK) shadow.dont_fork = false;
    if (record.detail == MADV_WIPEONFORK) shadow.wipe_on_fork = true;
    if (record.detail == MADV_KEEPONFORK) shadow.wipe_on_fork = false;
  }
}

void Actor::Protect() {
  using Access = ShadowPage::Access;
  constexpr struct {
    int protection;
    Access access;
  } kKinds[] = {{PROT_READ | PROT_WRITE, Access::kReadWrite},
                {PROT_READ | PROT_WRITE, Access::kReadWrite},
                {PROT_READ, Access::kRead},
                {PROT_NONE, Access::kNone}};
  const std::optional<Run> run =
      field_.Pick(random_, random_.UpTo(kMostPages), IsMapped);
  if (!run.has_value()) return;
  const auto& kind = kKinds[random_.Below(std::size(kKinds))];
  OperationRecord& record = log_.Begin(Op::kProtect, run->first, run->count);
  record.detail = kind.protection;
  Change change(field_, record, *run);
  const bool done =
      mprotect(field_.At(run->first), run->bytes(), kind.protection) == 0;
  Finish(record, done);
  for (size_t page = run->first; done && page < run->limit(); ++page) {
    field_.shadow(page).access = kind.access;
  }
}

void Actor::Lock() {
  const std::optional<Run> run =
      field_.Pick(random_, random_.UpTo(8), IsMapped);
  if (!run.has_value()) return;
  std::byte* const at = field_.At(run->first);
  OperationRecord& record = log_.Begin(Op::kLock, run->first, run->count);
  record.detail = static_cast<int32_t>(random_.Below(4));
  Change change(field_, record, *run);
  bool locked = record.detail < 2;
  const int result = record.detail == 0 ? mlock(at, run->bytes())
                     : record.detail == 1
                         ? mlock2(at, run->bytes(), MLOCK_ONFAULT)
                         : munlock(at, run->bytes());
  Finish(record, result == 0);
  if (result != 0) {
    // It may be locked without all of its pages.
    munlock(at, run->bytes());
    locked = false;
  }
  for (size_t page = run->first; page < run->limit(); ++page) {
    field_.shadow(page).locked = locked;
  }
}

}  // namespace pagelift::stress
