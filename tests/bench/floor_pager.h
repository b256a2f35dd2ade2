#ifndef TESTS_BENCH_FLOOR_PAGER_H_
#define TESTS_BENCH_FLOOR_PAGER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "lib/base/unique_fd.h"

namespace pagelift::bench {

// The least that can be done to bring pages: a socket or a mapped file, and
// UFFDIO_COPY. Failures end the program.

// Pages of a file, mapped.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  const std::byte* page(size_t number) const;
  size_t pages() const { return pages_; }

 private:
  const std::byte* bytes_;
  size_t pages_;
};

// One thread for each connection: a demand connection gets a page for each
// request of 32 bytes, a bulk connection gets all pages. Does not return.
[[noreturn]] void ServePages(const MappedFile& file, const std::string& address,
                             uint16_t port, int ready_fd);

// Where a pager's pages come from. Each function is called by one thread.
class FloorSource {
 public:
  virtual ~FloorSource() = default;
  // One page; valid until the next call.
  virtual const std::byte* Demand(size_t page) = 0;
  // The next pages from 0 on, at most `most` of them; valid until the next
  // call.
  virtual const std::byte* Next(size_t most) = 0;
};

std::unique_ptr<FloorSource> NewFileSource(const MappedFile& file);
std::unique_ptr<FloorSource> NewTcpSource(const std::string& address,
                                          uint16_t port);

// Anonymous memory whose missing pages a thread brings by demand.
class FloorPager {
 public:
  FloorPager(FloorSource& source, size_t pages);
  ~FloorPager();

  const std::byte* memory() const { return memory_; }
  uint64_t demand_fetches() const { return demand_fetches_; }

  // Brings all pages in order, `step` at a time.
  void Sweep(size_t step);

 private:
  void ServeFaults();
  void Install(size_t first, const std::byte* bytes, size_t count);

  FloorSource& source_;
  const size_t pages_;
  std::byte* memory_;  // One page more, whose fault means "stop".
  UniqueFd uffd_;
  std::unique_ptr<std::atomic<bool>[]> installed_;
  std::atomic<uint64_t> demand_fetches_{0};
  std::thread thread_;  // Last: needs all of the above.
};

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_FLOOR_PAGER_H_
