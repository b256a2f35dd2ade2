// Runs a fuzzer's LLVMFuzzerTestOneInput() without libFuzzer: over every file
// that is named on the command line, then over inputs made from nothing but a
// seed and those files, so that two runs do the same.
//
//   replay [--generated_inputs=N] [--max_len=BYTES] file...
//
// An input that aborts is left in $TEST_UNDECLARED_OUTPUTS_DIR (or /tmp), to be
// given to the fuzzer or named here.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

// Fixed: a test that fails, fails again.
constexpr uint32_t kSeed = 20220623;

// What the signal handler has to save.
const Input* running = nullptr;
char saved_path[4096];

void SaveInputAndDie(int signal) {
  int fd = open(saved_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool saved = fd >= 0 && running != nullptr &&
               write(fd, running->data(), running->size()) ==
                   static_cast<ssize_t>(running->size());
  if (saved) {
    static constexpr char kSaved[] = "replay: the input is in ";
    (void)!write(STDERR_FILENO, kSaved, sizeof(kSaved) - 1);
    (void)!write(STDERR_FILENO, saved_path, strlen(saved_path));
    (void)!write(STDERR_FILENO, "\n", 1);
  }
  raise(signal);  // SA_RESETHAND: the default action now.
}

void SaveInputOnAbort() {
  const char* folder = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  snprintf(saved_path, sizeof(saved_path), "%s/crash-input",
           folder != nullptr ? folder : "/tmp");
  struct sigaction action = {};
  action.sa_handler = SaveInputAndDie;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  sigaction(SIGABRT, &action, nullptr);
}

void Run(const Input& input) {
  running = &input;
  LLVMFuzzerTestOneInput(input.data(), input.size());
  running = nullptr;
}

class Generator {
 public:
  Generator(std::vector<Input> corpus, size_t max_len)
      : corpus_(std::move(corpus)), max_len_(max_len) {}

  // Three in four are mutations if there is something to mutate.
  Input Next() {
    if (corpus_.empty() || Below(4) == 0) return FromNothing();
    Input input = corpus_[Below(corpus_.size())];
    for (size_t changes = 1 + Below(8); changes > 0; --changes) Change(input);
    input.resize(std::min(input.size(), max_len_));
    return input;
  }

 private:
  size_t Below(size_t limit) {
    return std::uniform_int_distribution<size_t>(0, limit - 1)(random_);
  }

  uint8_t Byte() {
    // Values at the borders of things, as often as any others.
    static constexpr uint8_t kBorders[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
    return Below(2) == 0 ? kBorders[Below(std::size(kBorders))]
                         : static_cast<uint8_t>(Below(256));
  }

  // Short ones are likelier: lengths are even on a logarithmic scale.
  Input FromNothing() {
    Input input(Below(std::min(max_len_, size_t{1} << Below(24)) + 1));
    for (uint8_t& byte : input) byte = Byte();
    return input;
  }

  void Change(Input& input) {
    size_t at = Below(input.size() + 1);
    size_t length = std::min(1 + Below(16), input.size() - at);
    auto begin = input.begin() + static_cast<ptrdiff_t>(at);
    auto limit = begin + static_cast<ptrdiff_t>(length);
    switch (Below(6)) {
      case 0:
        if (length > 0) *begin ^= static_cast<uint8_t>(1u << Below(8));
        break;
      case 1:
        std::generate(begin, limit, [this] { return Byte(); });
        break;
      case 2:
        input.erase(begin, limit);
        break;
      case 3: {
        Input piece(begin, limit);  // A copy: it goes into the same vector.
        input.insert(begin, piece.begin(), piece.end());
        break;
      }
      case 4:
        input.insert(begin, 1 + Below(8), Byte());
        break;
      case 5: {
        const Input& other = corpus_[Below(corpus_.size())];
        size_t from = Below(other.size() + 1);
        input.resize(at);
        input.insert(input.end(), other.begin() + static_cast<ptrdiff_t>(from),
                     other.end());
        break;
      }
    }
  }

  std::mt19937 random_{kSeed};
  std::vector<Input> corpus_;
  size_t max_len_;
};

bool TakeFlag(const char* argument, const char* flag, size_t& value) {
  size_t length = strlen(flag);
  if (strncmp(argument, flag, length) != 0) return false;
  value = strtoull(argument + length, nullptr, 10);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  size_t generated_inputs = 0;
  size_t max_len = 4096;
  std::vector<Input> corpus;
  for (int i = 1; i < argc; ++i) {
    if (TakeFlag(argv[i], "--generated_inputs=", generated_inputs) ||
        TakeFlag(argv[i], "--max_len=", max_len)) {
      continue;
    }
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      fprintf(stderr, "replay: cannot open %s\n", argv[i]);
      return 1;
    }
    corpus.emplace_back(std::istreambuf_iterator<char>(file),
                        std::istreambuf_iterator<char>());
  }

  SaveInputOnAbort();
  Run(Input());
  for (const Input& input : corpus) Run(input);
  size_t files = corpus.size();
  Generator generator(std::move(corpus), max_len);
  for (size_t i = 0; i < generated_inputs; ++i) Run(generator.Next());
  printf("replay: %zu files, %zu generated inputs\n", files, generated_inputs);
  return 0;
}
