#ifndef PAGELIFT_DAEMON_PAGER_SESSION_LINEAGE_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_LINEAGE_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "daemon/pager/session/address_space.h"

namespace pagelift {

// The address spaces that want the pages of one task of the image: the task's
// own and those of its forked descendants, a child always behind its parent.
//
// A child is added while its parent's exclusive lock is held. So whoever walks
// the list by index and delivers pages misses nobody: a child that is added
// behind him after he filled the parent was copied with those pages present,
// and any other he still meets. Places of removed ones are used again only at
// the end, where whoever has walked past has walked past the child's parent
// too.
//
// Thread-safe.
class Lineage {
 public:
  void Add(std::shared_ptr<AddressSpace> space) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    spaces_.push_back(std::move(space));
    was_used_ = true;
  }

  // A space that is closed: nobody delivers to it any more.
  void Remove(const AddressSpace& space) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    for (std::shared_ptr<AddressSpace>& entry : spaces_) {
      if (entry.get() == &space) entry.reset();
    }
    while (!spaces_.empty() && spaces_.back() == nullptr) spaces_.pop_back();
  }

  // The first one at or after `index`, which becomes its place; null behind the
  // last one.
  std::shared_ptr<AddressSpace> NextFrom(size_t& index) const
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    while (index < spaces_.size() && spaces_[index] == nullptr) ++index;
    return index < spaces_.size() ? spaces_[index] : nullptr;
  }

  // Whether there ever was one.
  bool was_used() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return was_used_;
  }

 private:
  mutable absl::Mutex mu_;
  std::vector<std::shared_ptr<AddressSpace>> spaces_ ABSL_GUARDED_BY(mu_);
  bool was_used_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_LINEAGE_H_
