// A tree that can be dumped: two threads and a forked child count, each its own
// number, in a file that all have mapped. Whoever looks into the file sees who
// runs.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

namespace {

[[noreturn]] void Count(std::atomic<uint64_t>& number) {
  while (true) {
    ++number;
    usleep(1000);
  }
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc != 2) return 2;
  setsid();
  const int file = open(argv[1], O_RDWR | O_CLOEXEC);
  void* mapped =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) return 1;
  // Nothing that criu would have to ask somebody else about.
  close_range(0, ~0u, 0);
  auto* numbers = static_cast<std::atomic<uint64_t>*>(mapped);
  if (fork() == 0) Count(numbers[2]);
  std::thread(Count, std::ref(numbers[1])).detach();
  Count(numbers[0]);
}
