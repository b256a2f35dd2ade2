#include "tests/e2e/targets/control_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

namespace pagelift::e2e {
namespace {

constexpr useconds_t kPollMicroseconds = 20'000;

[[noreturn]] void Die(const std::string& what) {
  std::perror(what.c_str());
  std::_Exit(70);
}

struct Numbered {
  uint64_t number = 0;
  std::string text;
};

std::optional<Numbered> ReadNumbered(const std::string& path) {
  std::ifstream file(path);
  Numbered content;
  if (!(file >> content.number)) return std::nullopt;
  file.ignore(1);
  std::getline(file, content.text);
  return content;
}

}  // namespace

ControlFolder::ControlFolder(std::string path, std::string result_name)
    : path_(std::move(path)), result_name_(std::move(result_name)) {}

void ControlFolder::TakeOverStandardStreams() const {
  const std::string log = path_ + "/log";
  const int out =
      open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (out < 0 || in < 0) Die(log);
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) Die("dup2");
  close(out);
  close(in);
}

uint64_t ControlFolder::WaitForCommandAfter(uint64_t previous) const {
  for (;;) {
    const std::optional<Numbered> command = ReadNumbered(path_ + "/command");
    if (command.has_value() && command->number > previous) {
      return command->number;
    }
    usleep(kPollMicroseconds);
  }
}

void ControlFolder::Answer(uint64_t number, const std::string& text) const {
  const std::string name = path_ + "/" + result_name_;
  // A fork answers beside its parent, perhaps to the same command.
  const std::string draft = name + "." + std::to_string(getpid());
  {
    std::ofstream file(draft, std::ios::trunc);
    file << number << ' ' << text << '\n';
    if (!file.flush()) Die(draft);
  }
  if (std::rename(draft.c_str(), name.c_str()) != 0) Die(name);
}

std::string ControlFolder::WaitForAnswer(const std::string& name,
                                         uint64_t number, int seconds) const {
  const useconds_t polls_a_second = 1'000'000 / kPollMicroseconds;
  for (useconds_t left = seconds * polls_a_second; left > 0; --left) {
    const std::optional<Numbered> answer = ReadNumbered(path_ + "/" + name);
    if (answer.has_value() && answer->number >= number) return answer->text;
    usleep(kPollMicroseconds);
  }
  return "WRONG no answer from " + name;
}

}  // namespace pagelift::e2e
