// A criu as those before PAGEMAP_SCAN: it asks for the mappings of what it is
// to dump, and then looks at the pages in some way of its own.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "criu/rpc.pb.h"

namespace pagelift {
namespace {

criu::RpcRequest Receive(int socket) {
  char packet[4096];
  const ssize_t size = recv(socket, packet, sizeof(packet), 0);
  criu::RpcRequest request;
  if (size <= 0 || !request.ParseFromArray(packet, static_cast<int>(size))) {
    _exit(1);
  }
  return request;
}

void Send(int socket, const criu::RpcResponse& response) {
  const std::string packet = response.SerializeAsString();
  if (send(socket, packet.data(), packet.size(), MSG_NOSIGNAL) < 0) _exit(1);
}

// Whether it is to go on.
bool AskAt(const char* point, int socket) {
  criu::RpcResponse response;
  response.set_kind(criu::RPC_NOTIFY);
  response.set_success(true);
  response.mutable_notice()->set_point(point);
  Send(socket, response);
  return Receive(socket).go_on();
}

int Run(int socket) {
  const criu::RpcRequest request = Receive(socket);
  if (!AskAt("pre-dump", socket)) return 1;
  const int proc = open("/proc", O_RDONLY | O_DIRECTORY);
  const std::string smaps = std::to_string(request.options().root()) + "/smaps";
  const int fd = openat(proc, smaps.c_str(), O_RDONLY);
  char byte;
  if (fd < 0 || read(fd, &byte, 1) != 1) return 1;
  const bool goes_on = AskAt("post-dump", socket);
  criu::RpcResponse response;
  response.set_kind(criu::RPC_DUMP);
  response.set_success(goes_on);
  Send(socket, response);
  return goes_on ? 0 : 1;
}

}  // namespace
}  // namespace pagelift

// criu swrk SOCKET
int main(int argc, char** argv) {
  return argc == 3 ? pagelift::Run(std::atoi(argv[2])) : 2;
}
