#ifndef PAGELIFT_DAEMON_MIGRATION_ANSWERS_MEMORY_ANSWERS_H_
#define PAGELIFT_DAEMON_MIGRATION_ANSWERS_MEMORY_ANSWERS_H_

#include <linux/filter.h>
#include <sys/types.h>

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "daemon/migration/answers/pagemap_scan.h"
#include "daemon/migration/answers/vma_flag_names.h"
#include "daemon/migration/answers/vma_flag_reader.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/process/asked_calls.h"

namespace pagelift {

// Answers a criu dump that asks the kernel about the memory of the processes
// which it has frozen, so that it does not look at each page, three times over.
//
// It asks by two system calls, which its filter hands to us. It opens
// /proc/PID/smaps, and reads the flags of mappings there: what it is given has
// these and nothing else. It scans /proc/PID/pagemap for pages: it is told of
// none in lazy memory. All else it learns from the kernel as ever. Its images
// then lack the lazy pages; which there are is found here meanwhile, for
// CompletePagemaps().
//
// What it asks of memory in a way that we do not know, or of a process of which
// we do not know all that is needed, fails, and so does its dump: it would
// write all the pages that it is not to see.
//
// Thread-safe. Of one dump.
class MemoryAnswers {
 public:
  // Takes some 50 ms, in which no process stands still. Not OK where the kernel
  // lacks something, or we may not use it: CRIU can do without.
  static absl::StatusOr<std::unique_ptr<MemoryAnswers>> Prepare();
  ~MemoryAnswers();

  // Looks at the processes while they still run, so that there is less to be
  // looked at when they stand: what fills page tables now is taken for present
  // then. To be called before Start(), if at all.
  void LookAhead(absl::Span<const pid_t> processes) ABSL_LOCKS_EXCLUDED(mu_);

  // The filter of that criu dump, see ProgramStart.
  static std::vector<sock_filter> Filter();
  // Answers what is asked there, until nobody is left who could ask or until
  // this object ends. To be called once.
  void Start(UniqueFd listener);

  // Why something that it asked was refused; OK: nothing was.
  absl::Status Refused();
  // OK if CRIU, when it has dumped, has asked for the pages of each process
  // that has lazy memory, and nothing was refused.
  absl::Status CheckAllAnswered();

  // The lazy pages of a process of the parked tree that CRIU was not told of,
  // and some that have no contents, if it has changed since LookAhead().
  // kNotFound: it was not dumped.
  absl::StatusOr<std::vector<PageRange>> LazyPagesOf(pid_t pid);

 private:
  struct Process {
    UniqueFd pagemap;
    std::vector<PageRange> lazy;  // The mappings.
    bool maybe_guarded = false;   // Of lazy memory.
    bool was_asked_of = false;    // Its pages.
    std::shared_future<absl::StatusOr<ScannedPages>> found;
  };

  MemoryAnswers(VmaFlagReader reader, VmaFlagNames names, UniqueFd stop);
  void Run(const AskedCalls& calls);
  // Whether it is answered; otherwise the kernel is to do it. An error says why
  // it fails.
  absl::StatusOr<bool> AnswerOpen(const AskedCalls& calls,
                                  const AskedCall& call);
  absl::StatusOr<bool> AnswerScan(const AskedCalls& calls,
                                  const AskedCall& call);
  // All but a scan, which is to be begun; and what is told for its smaps.
  absl::StatusOr<Process> LookAt(pid_t pid, std::string* smaps) const;
  void BeginScan(Process& process, std::vector<PageRange> known) const;
  Process* Find(pid_t pid);

  const VmaFlagReader reader_;
  const VmaFlagNames names_;
  const UniqueFd stop_;
  absl::Mutex mu_;
  // None is taken away, and nothing else than the mark that it was asked of is
  // changed.
  std::map<pid_t, Process> processes_ ABSL_GUARDED_BY(mu_);
  absl::Status refused_ ABSL_GUARDED_BY(mu_);  // The first.
  std::map<pid_t, std::vector<PageRange>> ahead_ ABSL_GUARDED_BY(mu_);
  std::optional<std::thread> thread_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_ANSWERS_MEMORY_ANSWERS_H_
