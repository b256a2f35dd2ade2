#include "tests/bench/floor_pager.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <utility>
#include <vector>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::bench {
namespace {

using e2e::kPageBytes;

constexpr size_t kMaxStepPages = 256;
constexpr size_t kBulkWrite = size_t{1} << 20;

struct Request {
  uint64_t page = 0;
  uint64_t unused[3] = {};
};
static_assert(sizeof(Request) == 32);

enum Kind : char { kDemandConnection = 'd', kBulkConnection = 'b' };

void Require(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

sockaddr_in SocketAddress(const std::string& address, uint16_t port) {
  sockaddr_in result = {};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  Require(inet_pton(AF_INET, address.c_str(), &result.sin_addr) == 1,
          "address");
  return result;
}

// False if the other side has gone.
bool SendAll(int fd, const void* bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    const ssize_t sent = send(fd, static_cast<const char*>(bytes) + done,
                              length - done, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    done += static_cast<size_t>(sent);
  }
  return true;
}

bool ReceiveAll(int fd, void* bytes, size_t length) {
  return recv(fd, bytes, length, MSG_WAITALL) == static_cast<ssize_t>(length);
}

void SetNoDelay(int fd) {
  const int one = 1;
  Require(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0,
          "TCP_NODELAY");
}

void ServeConnection(UniqueFd connection, const MappedFile& file) {
  char kind;
  if (!ReceiveAll(connection.get(), &kind, 1)) return;
  if (kind == kBulkConnection) {
    const size_t length = file.pages() * kPageBytes;
    for (size_t done = 0; done < length; done += kBulkWrite) {
      if (!SendAll(connection.get(), file.page(0) + done,
                   std::min(kBulkWrite, length - done))) {
        return;
      }
    }
    return;
  }
  Request request;
  while (ReceiveAll(connection.get(), &request, sizeof(request))) {
    Require(request.page < file.pages(), "page of a request");
    if (!SendAll(connection.get(), file.page(request.page), kPageBytes)) return;
  }
}

UniqueFd Connect(const std::string& address, uint16_t port, Kind kind) {
  UniqueFd connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = SocketAddress(address, port);
  Require(connect(connection.get(), reinterpret_cast<const sockaddr*>(&to),
                  sizeof(to)) == 0,
          "connect");
  SetNoDelay(connection.get());
  const char first = kind;
  Require(SendAll(connection.get(), &first, 1), "send");
  return connection;
}

class FileSource : public FloorSource {
 public:
  explicit FileSource(const MappedFile& file) : file_(file) {}
  const std::byte* Demand(size_t page) override { return file_.page(page); }
  const std::byte* Next(size_t most) override {
    return file_.page(std::exchange(next_, next_ + most));
  }

 private:
  const MappedFile& file_;
  size_t next_ = 0;
};

class TcpSource : public FloorSource {
 public:
  TcpSource(const std::string& address, uint16_t port)
      : address_(address),
        port_(port),
        demand_(Connect(address, port, kDemandConnection)),
        bulk_buffer_(kMaxStepPages * kPageBytes) {}

  const std::byte* Demand(size_t page) override {
    Request request;
    request.page = page;
    Require(SendAll(demand_.get(), &request, sizeof(request)), "send");
    Require(ReceiveAll(demand_.get(), page_.data(), kPageBytes), "recv");
    return page_.data();
  }

  const std::byte* Next(size_t most) override {
    if (!bulk_.valid()) bulk_ = Connect(address_, port_, kBulkConnection);
    Require(ReceiveAll(bulk_.get(), bulk_buffer_.data(), most * kPageBytes),
            "recv");
    return bulk_buffer_.data();
  }

 private:
  const std::string address_;
  const uint16_t port_;
  UniqueFd demand_;
  UniqueFd bulk_;
  std::array<std::byte, kPageBytes> page_;
  std::vector<std::byte> bulk_buffer_;
};

UniqueFd OpenUserfaultFd() {
  UniqueFd uffd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC)));
  uffdio_api api = {};
  api.api = UFFD_API;
  Require(ioctl(uffd.get(), UFFDIO_API, &api) == 0, "UFFDIO_API");
  return uffd;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  Require(fstat(fd.get(), &status) == 0, path.c_str());
  const size_t length = static_cast<size_t>(status.st_size);
  void* mapped = mmap(nullptr, length, PROT_READ, MAP_SHARED, fd.get(), 0);
  Require(mapped != MAP_FAILED, "mmap");
  bytes_ = static_cast<const std::byte*>(mapped);
  pages_ = length / kPageBytes;
}

const std::byte* MappedFile::page(size_t number) const {
  return bytes_ + number * kPageBytes;
}

void ServePages(const MappedFile& file, const std::string& address,
                uint16_t port, int ready_fd) {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  const sockaddr_in at = SocketAddress(address, port);
  Require(bind(listener.get(), reinterpret_cast<const sockaddr*>(&at),
               sizeof(at)) == 0 &&
              listen(listener.get(), 8) == 0,
          "listen");
  Require(write(ready_fd, "\n", 1) == 1, "ready-fd");
  close(ready_fd);
  for (;;) {
    UniqueFd connection(
        accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    Require(connection.valid(), "accept");
    SetNoDelay(connection.get());
    // The process ends by a signal: there is nobody to join them.
    std::thread(ServeConnection, std::move(connection), std::cref(file))
        .detach();
  }
}

std::unique_ptr<FloorSource> NewFileSource(const MappedFile& file) {
  return std::make_unique<FileSource>(file);
}

std::unique_ptr<FloorSource> NewTcpSource(const std::string& address,
                                          uint16_t port) {
  return std::make_unique<TcpSource>(address, port);
}

FloorPager::FloorPager(FloorSource& source, size_t pages)
    : source_(source),
      pages_(pages),
      uffd_(OpenUserfaultFd()),
      installed_(std::make_unique<std::atomic<bool>[]>(pages)) {
  const size_t length = (pages + 1) * kPageBytes;
  void* mapped = mmap(nullptr, length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Require(mapped != MAP_FAILED, "mmap");
  Require(madvise(mapped, length, MADV_NOHUGEPAGE) == 0, "madvise");
  memory_ = static_cast<std::byte*>(mapped);
  uffdio_register region = {};
  region.range.start = reinterpret_cast<uint64_t>(mapped);
  region.range.len = length;
  region.mode = UFFDIO_REGISTER_MODE_MISSING;
  Require(ioctl(uffd_.get(), UFFDIO_REGISTER, &region) == 0, "UFFDIO_REGISTER");
  thread_ = std::thread([this] { ServeFaults(); });
}

FloorPager::~FloorPager() {
  (void)*reinterpret_cast<volatile std::byte*>(memory_ + pages_ * kPageBytes);
  thread_.join();
  munmap(memory_, (pages_ + 1) * kPageBytes);
}

void FloorPager::Install(size_t first, const std::byte* bytes, size_t count) {
  while (count > 0) {
    uffdio_copy copy = {};
    copy.dst = reinterpret_cast<uint64_t>(memory_ + first * kPageBytes);
    copy.src = reinterpret_cast<uint64_t>(bytes);
    copy.len = count * kPageBytes;
    size_t done = count;
    if (ioctl(uffd_.get(), UFFDIO_COPY, &copy) != 0) {
      if (errno == EAGAIN && copy.copy > 0) {
        done = static_cast<size_t>(copy.copy) / kPageBytes;
      } else {
        Require(errno == EEXIST, "UFFDIO_COPY");
        uffdio_range present = {copy.dst, kPageBytes};
        ioctl(uffd_.get(), UFFDIO_WAKE, &present);
        done = 1;
      }
    }
    for (size_t page = first; page < first + done && page < pages_; ++page) {
      installed_[page].store(true, std::memory_order_relaxed);
    }
    first += done;
    bytes += done * kPageBytes;
    count -= done;
  }
}

void FloorPager::Sweep(size_t step) {
  for (size_t first = 0; first < pages_;) {
    const size_t count = std::min({step, kMaxStepPages, pages_ - first});
    Install(first, source_.Next(count), count);
    first += count;
  }
}

void FloorPager::ServeFaults() {
  alignas(kPageBytes) static const std::byte kZeros[kPageBytes] = {};
  uffd_msg message;
  while (read(uffd_.get(), &message, sizeof(message)) == sizeof(message)) {
    const size_t page =
        (message.arg.pagefault.address - reinterpret_cast<uint64_t>(memory_)) /
        kPageBytes;
    if (page == pages_) {
      Install(page, kZeros, 1);
      return;
    }
    if (installed_[page].load(std::memory_order_relaxed)) {
      continue;  // The copy that came between has woken the thread.
    }
    ++demand_fetches_;
    Install(page, source_.Demand(page), 1);
  }
  Require(false, "read of the userfaultfd");
}

}  // namespace pagelift::bench
