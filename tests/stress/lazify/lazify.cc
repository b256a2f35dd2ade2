// Takes the memory away from a process that runs, and hands it to a pager, as a
// checkpoint and its lazy restore would, but in place and in an instant.
//
//   lazify --pid P --images DIR
//
// Stops the process, writes a checkpoint of its anonymous memory to DIR as CRIU
// would, says "stopped" on stdout and waits for a line on stdin: the path of a
// pager's lazy-pages.socket, or nothing. Given one, it plays `criu restore`
// there: drops all that memory, registers it with a userfaultfd of the
// process's own, hands that over, lets the process go on, and says "running".
// Otherwise the process goes on with its memory.
//
// Only the process itself, not its children. A page that is guarded or locked
// stays.

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/image/testing/image_builder.h"
#include "lib/process/fd_channel.h"
#include "lib/uffd/features.h"
#include "lib/uffd/userfault_fd.h"
#include "tests/stress/lazify/anonymous_memory.h"
#include "tests/stress/lazify/memory_taking.h"
#include "tests/stress/lazify/stopped_process.h"

namespace pagelift::stress {
namespace {

constexpr int32_t kFinishedWord = 0x52535446;

// As restore does: the messages come from the task itself.
absl::Status SendAs(pid_t pid, const FdChannel& channel, int32_t word) {
  ucred sender = {pid, getuid(), getgid()};
  iovec bytes = {&word, sizeof(word)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(sender))] = {};
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_CREDENTIALS;
  header->cmsg_len = CMSG_LEN(sizeof(sender));
  std::memcpy(CMSG_DATA(header), &sender, sizeof(sender));
  if (sendmsg(channel.fd(), &message, MSG_NOSIGNAL) !=
      static_cast<ssize_t>(sizeof(word))) {
    return SysError("send to the pager");
  }
  return absl::OkStatus();
}

// The contents of all present pages, one after the other.
class SavedMemory {
 public:
  static absl::StatusOr<SavedMemory> Of(
      const StoppedProcess& process,
      const std::vector<AnonymousMapping>& mappings) {
    SavedMemory saved;
    size_t bytes = 0;
    for (const AnonymousMapping& mapping : mappings) {
      for (PageRange run : mapping.present) bytes += run.count.bytes();
    }
    saved.bytes_.resize(bytes);
    size_t at = 0;
    for (const AnonymousMapping& mapping : mappings) {
      for (PageRange run : mapping.present) {
        RETURN_IF_ERROR(process.Read(
            run.first,
            absl::MakeSpan(saved.bytes_).subspan(at, run.count.bytes())));
        at += run.count.bytes();
      }
    }
    return saved;
  }

  void Write(const std::string& directory, pid_t pid,
             const std::vector<AnonymousMapping>& mappings) const {
    ImageBuilder images(directory);
    images.SetRunId(absl::StrCat(pid, " at ", absl::GetCurrentTimeNanos()));
    images.AddTask(pid);
    const std::byte* contents = bytes_.data();
    for (const AnonymousMapping& mapping : mappings) {
      images.AddMapping(mapping.pages, mapping.is_stack
                                           ? MappingKind::kStack
                                           : MappingKind::kAnonymous);
      for (PageRange run : mapping.marked) {
        images.AddMapping(run, MappingKind::kGuard);
      }
      for (PageRange run : mapping.present) {
        images.AddPages(run, kLazy | kPresent, contents);
        contents += run.count.bytes();
      }
    }
    images.Write();
  }

  PageCount pages() const { return PageCount(bytes_.size() / kPageSize); }

 private:
  std::vector<std::byte> bytes_;
};

absl::Status HandOver(const StoppedProcess& process,
                      const std::vector<AnonymousMapping>& mappings,
                      const std::string& socket) {
  ASSIGN_OR_RETURN(FdChannel pager, FdChannel::Connect(socket));
  ASSIGN_OR_RETURN(UserfaultFd uffd,
                   TakeMemoryAway(process, mappings, kLayoutEvents));
  RETURN_IF_ERROR(SendAs(process.pid(), pager, process.pid()));
  const std::byte carrier{0};
  RETURN_IF_ERROR(pager.SendWithFd({&carrier, 1}, uffd.fd()));
  return SendAs(process.pid(), pager, kFinishedWord);
}

absl::Status Run(pid_t pid, const std::string& images) {
  std::string socket;
  {
    const absl::Time started = absl::Now();
    ASSIGN_OR_RETURN(StoppedProcess process, StoppedProcess::Stop(pid));
    ASSIGN_OR_RETURN(std::vector<AnonymousMapping> mappings,
                     AnonymousMemoryOf(process));
    {
      ASSIGN_OR_RETURN(SavedMemory saved, SavedMemory::Of(process, mappings));
      saved.Write(images, pid, mappings);
      std::cout << "stopped " << saved.pages().raw() << std::endl;
    }
    if (!std::getline(std::cin, socket) || socket.empty()) {
      return absl::OkStatus();
    }
    const absl::Status handed_over = HandOver(process, mappings, socket);
    if (!handed_over.ok()) {
      // Half its memory is gone: nothing that it does now means anything.
      kill(pid, SIGKILL);
      return handed_over;
    }
    std::cout << "running " << absl::ToInt64Milliseconds(absl::Now() - started)
              << std::endl;
  }
  return absl::OkStatus();
}

int Main(int argc, const char* const argv[]) {
  int pid = 0;
  std::string images;
  CommandLine line("lazify",
                   "Takes the memory away from a process that runs, and hands "
                   "it to a pager.");
  line.Add({"pid", 'p', "PID", "the process", &pid});
  line.Add({"images", 'D', "DIR", "where the checkpoint goes", &images});
  line.Examples("Example:\n  lazify --pid 1000 --images /tmp/images\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  if (pid <= 0 || images.empty()) return line.Complain("which process?");
  const absl::Status status = Run(pid, images);
  if (status.ok()) return 0;
  std::cerr << "lazify: " << status << std::endl;
  return 1;
}

}  // namespace
}  // namespace pagelift::stress

int main(int argc, char** argv) { return pagelift::stress::Main(argc, argv); }
