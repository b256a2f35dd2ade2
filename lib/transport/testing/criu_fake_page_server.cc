#include "lib/transport/testing/criu_fake_page_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/base/log.h"
#include "lib/source/testing/page_pattern.h"

namespace pagelift {
namespace {

constexpr timeval kLongWhile = {60, 0};
constexpr uint32_t kPagesFollow = 6 | 4 << 16;
constexpr size_t kHeaderSize = 32;

template <typename Number>
Number At(const std::byte* bytes, size_t offset) {
  Number value;
  std::memcpy(&value, bytes + offset, sizeof(value));
  return value;
}

template <typename Number>
void Append(Number value, std::vector<std::byte>* bytes) {
  const auto* first = reinterpret_cast<const std::byte*>(&value);
  bytes->insert(bytes->end(), first, first + sizeof(value));
}

}  // namespace

CriuFakePageServer::CriuFakePageServer(ImageDescription image)
    : image_(std::move(image)),
      listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CHECK(bind(listener_.get(), generic, size) == 0) << std::strerror(errno);
  CHECK(listen(listener_.get(), 1) == 0) << std::strerror(errno);
  CHECK(getsockname(listener_.get(), generic, &size) == 0);
  port_ = ntohs(address.sin_port);
}

void CriuFakePageServer::Accept() {
  connection_.reset(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  CHECK(connection_.valid()) << std::strerror(errno);
  for (int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    CHECK(setsockopt(connection_.get(), SOL_SOCKET, option, &kLongWhile,
                     sizeof(kLongWhile)) == 0);
  }
  listener_.reset();
}

bool CriuFakePageServer::ReceiveAll(absl::Span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t got =
        recv(connection_.get(), into.data(), into.size(), MSG_WAITALL);
    if (got <= 0) return false;
    into.remove_prefix(static_cast<size_t>(got));
  }
  return true;
}

std::optional<CriuFakePageServer::Request> CriuFakePageServer::Receive() {
  std::byte bytes[kHeaderSize];
  if (!ReceiveAll(absl::MakeSpan(bytes))) return std::nullopt;
  CHECK(At<uint32_t>(bytes, 4) == 0) << "padding";
  return Request{At<uint32_t>(bytes, 0), At<uint64_t>(bytes, 8),
                 At<uint64_t>(bytes, 16), At<uint64_t>(bytes, 24)};
}

bool CriuFakePageServer::HasInput() const {
  pollfd poll_fd = {connection_.get(), POLLIN, 0};
  return poll(&poll_fd, 1, 0) == 1;
}

bool CriuFakePageServer::HasMessage() const {
  std::byte bytes[kHeaderSize];
  return recv(connection_.get(), bytes, sizeof(bytes),
              MSG_PEEK | MSG_DONTWAIT) == sizeof(bytes);
}

std::optional<ImagePage> CriuFakePageServer::Find(uint64_t pid,
                                                  PageId page) const {
  const TaskDescription* task = image_.FindTask(static_cast<int32_t>(pid));
  if (task == nullptr) return std::nullopt;
  for (const ImageExtent& extent : task->extents) {
    if (extent.pages.Contains(page)) {
      return extent.image + (page - extent.pages.first);
    }
  }
  return std::nullopt;
}

bool CriuFakePageServer::Reply(const Request& request, uint64_t most) {
  const uint64_t pages = std::min(request.pages, most);
  std::vector<std::byte> bytes;
  Append<uint32_t>(kPagesFollow, &bytes);
  Append<uint32_t>(0xdeadbeef, &bytes);  // Padding, which may be anything.
  Append<uint64_t>(pages, &bytes);
  Append<uint64_t>(request.address, &bytes);
  Append<uint64_t>(request.id, &bytes);
  for (uint64_t i = 0; i < request.pages; ++i) {
    const PageId page = PageContaining(request.address) + PageCount(i);
    std::optional<ImagePage> image = Find(request.id, page);
    if (!image.has_value() || request.address % kPageSize != 0) return false;
    if (i >= pages) continue;
    const PageBytes contents = PatternOf(*image);
    bytes.insert(bytes.end(), contents.begin(), contents.end());
  }
  Send(bytes);
  return true;
}

std::optional<CriuFakePageServer::Request> CriuFakePageServer::ReplyUntilOther(
    uint64_t most) {
  while (true) {
    std::optional<Request> request = Receive();
    if (!request.has_value() || request->command != kGet) return request;
    if (!Reply(*request, most)) return request;
  }
}

void CriuFakePageServer::Send(absl::Span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent =
        send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    // A client that is gone shows when it is read from.
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void CriuFakePageServer::SendStatus(int32_t status) {
  std::vector<std::byte> bytes;
  Append(status, &bytes);
  Send(bytes);
}

CriuFakePageServer::End CriuFakePageServer::WaitForEnd() {
  std::byte byte;
  const ssize_t got = recv(connection_.get(), &byte, 1, 0);
  if (got == 0) return End::kInOrder;
  return got < 0 && errno == ECONNRESET ? End::kReset : End::kNotYet;
}

void CriuFakePageServer::Reset() {
  const linger value = {1, 0};
  CHECK(setsockopt(connection_.get(), SOL_SOCKET, SO_LINGER, &value,
                   sizeof(value)) == 0);
  connection_.reset();
}

}  // namespace pagelift
