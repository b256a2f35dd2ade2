// The floor under any lazy restore on this machine: plain sockets, a mapped
// file, and UFFDIO_COPY. Prints JSON.
//
//   floor image  --file F --mib N --seed S            writes the pages
//   floor serve  --file F --listen A --port P --ready-fd N
//   floor touch  (--connect A --port P | --file F) [--order random]
//                [--order-seed S] [--mib N] [--seed S]
//                                     all pages: by demand, and a sweep beside
//                                     it
//   floor faults (same source) [--count N]        only faults, nothing beside
//   them floor stream (same source) [--mib N]          only the sweep floor
//   noise                       how fast threads of this machine hand over

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/command_line.h"
#include "lib/base/unique_fd.h"
#include "tests/bench/floor_pager.h"
#include "tests/bench/page_touching.h"
#include "tests/e2e/targets/pattern.h"

namespace pagelift::bench {
namespace {

// Large enough for system calls not to show, small enough for the cache.
constexpr size_t kSweepPages = 32;
constexpr size_t kMebibytePages = (size_t{1} << 20) / e2e::kPageBytes;
constexpr int kRoundTrips = 3000;

struct Options {
  std::string what;
  std::string file;
  std::string listen;
  std::string connect;
  uint64_t port = 0;
  int ready_fd = 1;
  uint64_t mib = 256;
  uint64_t seed = 1;
  std::string order = "random";
  uint64_t order_seed = 1;
  uint64_t count = 5000;

  size_t pages() const { return mib * kMebibytePages; }
};

// A source and what it needs.
class Source {
 public:
  explicit Source(const Options& options) {
    if (options.connect.empty()) {
      file_.emplace(options.file);
      source_ = NewFileSource(*file_);
    } else {
      source_ =
          NewTcpSource(options.connect, static_cast<uint16_t>(options.port));
    }
  }
  FloorSource& operator*() { return *source_; }

 private:
  std::optional<MappedFile> file_;
  std::unique_ptr<FloorSource> source_;
};

int WriteImage(const Options& options) {
  std::vector<std::byte> bytes(options.pages() * e2e::kPageBytes);
  FillPages(bytes.data(), options.pages(), options.seed);
  std::FILE* file = std::fopen(options.file.c_str(), "wb");
  const bool written =
      file != nullptr &&
      std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() &&
      std::fclose(file) == 0;
  if (!written) std::perror(options.file.c_str());
  return written ? 0 : 1;
}

int Touch(const Options& options) {
  Source source(options);
  const std::vector<uint32_t> order =
      options.order == "random"
          ? ShuffledOrder(options.pages(), options.order_seed)
          : SequentialOrder(options.pages());
  FloorPager pager(*source, options.pages());
  const uint64_t start = MonotonicNanoseconds();
  uint64_t all_in = 0;
  std::thread sweep([&] {
    pager.Sweep(kSweepPages);
    all_in = MonotonicNanoseconds() - start;
  });
  const TouchReport report = TouchPages(pager.memory(), order, options.seed);
  sweep.join();
  std::printf(
      "{%s, \"all_in_ms\": %.3f, \"demand_fetches\": %llu, "
      "\"wrong_pages\": %zu}\n",
      report.ToJsonMembers().c_str(), static_cast<double>(all_in) / 1e6,
      static_cast<unsigned long long>(pager.demand_fetches()),
      CountWrongPages(pager.memory(), options.pages(), options.seed));
  return 0;
}

int Faults(const Options& options) {
  Source source(options);
  std::vector<uint32_t> order =
      ShuffledOrder(options.pages(), options.order_seed);
  order.resize(std::min<size_t>(order.size(), options.count));
  FloorPager pager(*source, options.pages());
  const TouchReport report = TouchPages(pager.memory(), order, options.seed);
  std::printf("{%s}\n", report.ToJsonMembers().c_str());
  return report.wrong == 0 ? 0 : 1;
}

int Stream(const Options& options) {
  Source source(options);
  FloorPager pager(*source, options.pages());
  const uint64_t start = MonotonicNanoseconds();
  pager.Sweep(kSweepPages);
  const double seconds =
      static_cast<double>(MonotonicNanoseconds() - start) / 1e9;
  std::printf("{\"all_in_ms\": %.3f, \"mib_per_second\": %.0f}\n",
              seconds * 1e3, static_cast<double>(options.mib) / seconds);
  return 0;
}

// Has `there` do its half of kRoundTrips in a thread; times ours.
Latencies TimeRoundTrips(const std::function<void()>& here,
                         const std::function<void()>& there) {
  std::thread other([&there] {
    for (int i = 0; i < kRoundTrips; ++i) there();
  });
  Latencies latencies;
  for (int i = 0; i < kRoundTrips; ++i) {
    const uint64_t start = MonotonicNanoseconds();
    here();
    latencies.nanoseconds.push_back(MonotonicNanoseconds() - start);
  }
  other.join();
  latencies.Sort();
  return latencies;
}

void Check(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

Latencies EventfdPingPong() {
  const UniqueFd ping(eventfd(0, EFD_CLOEXEC));
  const UniqueFd pong(eventfd(0, EFD_CLOEXEC));
  auto wait = [](const UniqueFd& fd) {
    eventfd_t value;
    Check(eventfd_read(fd.get(), &value) == 0, "eventfd");
  };
  return TimeRoundTrips(
      [&] {
        eventfd_write(ping.get(), 1);
        wait(pong);
      },
      [&] {
        wait(ping);
        eventfd_write(pong.get(), 1);
      });
}

std::pair<UniqueFd, UniqueFd> TcpPair() {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  Check(bind(listener.get(), generic, length) == 0 &&
            listen(listener.get(), 1) == 0 &&
            getsockname(listener.get(), generic, &length) == 0,
        "listen");
  UniqueFd left(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Check(connect(left.get(), generic, length) == 0, "connect");
  UniqueFd right(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const int one = 1;
  for (int fd : {left.get(), right.get()}) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  }
  return {std::move(left), std::move(right)};
}

Latencies TcpRoundTrip() {
  const auto [left, right] = TcpPair();
  const int client = left.get();
  const int server = right.get();
  auto send_all = [](int fd, size_t length) {
    static const char kBytes[e2e::kPageBytes] = {};
    Check(send(fd, kBytes, length, 0) == static_cast<ssize_t>(length), "send");
  };
  auto receive_all = [](int fd, size_t length) {
    char bytes[e2e::kPageBytes];
    Check(recv(fd, bytes, length, MSG_WAITALL) == static_cast<ssize_t>(length),
          "recv");
  };
  return TimeRoundTrips(
      [&] {
        send_all(client, 32);
        receive_all(client, e2e::kPageBytes);
      },
      [&] {
        receive_all(server, 32);
        send_all(server, e2e::kPageBytes);
      });
}

int Noise() {
  std::printf("{\"eventfd_us\": %s, ", EventfdPingPong().ToJson().c_str());
  std::printf("\"tcp_us\": %s}\n", TcpRoundTrip().ToJson().c_str());
  return 0;
}

int Run(const Options& options) {
  if (options.what == "image") return WriteImage(options);
  if (options.what == "serve") {
    ServePages(MappedFile(options.file), options.listen,
               static_cast<uint16_t>(options.port), options.ready_fd);
  }
  if (options.what == "touch") return Touch(options);
  if (options.what == "faults") return Faults(options);
  if (options.what == "stream") return Stream(options);
  if (options.what == "noise") return Noise();
  std::fprintf(stderr, "floor: no such thing as %s\n", options.what.c_str());
  return CommandLine::kUsageExitCode;
}

}  // namespace
}  // namespace pagelift::bench

int main(int argc, char* argv[]) {
  pagelift::bench::Options options;
  pagelift::CommandLine line("floor", "Measures what this machine can do.");
  line.AddPositional(
      {"WHAT", "image, serve, touch, faults, stream or noise", &options.what});
  line.Add({"file", 0, "F", "the pages", &options.file});
  line.Add({"listen", 0, "A", "address to serve at", &options.listen});
  line.Add({"connect", 0, "A", "address that serves", &options.connect});
  line.Add({"port", 0, "P", "of either", &options.port});
  line.Add({"ready-fd", 0, "N", "gets a byte when serving", &options.ready_fd});
  line.Add({"mib", 0, "N", "how much memory", &options.mib});
  line.Add({"seed", 0, "S", "of the contents", &options.seed});
  line.Add({"order", 0, "O", "sequential or random", &options.order});
  line.Add({"order-seed", 0, "S", "of a random order", &options.order_seed});
  line.Add({"count", 0, "N", "how many faults", &options.count});
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  return pagelift::bench::Run(options);
}
