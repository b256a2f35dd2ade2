#include "lib/uffd/event.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <array>
#include <cstring>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using Message = std::array<std::byte, kEventMessageSize>;

constexpr uint64_t kTop = ~uint64_t{0} << kPageShift;  // The last page.

// The event number in byte 0, three 64-bit words from byte 8.
Message MessageOf(int event, uint64_t a, uint64_t b = 0, uint64_t c = 0) {
  Message message = {};
  message[0] = static_cast<std::byte>(event);
  const uint64_t words[] = {a, b, c};
  std::memcpy(message.data() + 8, words, sizeof(words));
  return message;
}

template <typename Kind>
Kind Decoded(const Message& message) {
  auto event = DecodeEvent(message);
  EXPECT_OK(event);
  return std::get<Kind>(*std::move(event));
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(DecodeEventTest, Fault) {
  const auto fault = Decoded<PageFault>(MessageOf(0x12, 1, 0x7fff12345678, 42));
  EXPECT_EQ(fault.page, PageId(0x7fff12345));
  EXPECT_EQ(fault.address, 0x7fff12345678u);
  EXPECT_EQ(fault.kind, FaultKind::kMissing);
  EXPECT_TRUE(fault.is_write);
  EXPECT_EQ(fault.thread, 42u);
}

TEST(DecodeEventTest, FaultKinds) {
  EXPECT_FALSE(Decoded<PageFault>(MessageOf(0x12, 0, 0x1000)).is_write);
  EXPECT_EQ(Decoded<PageFault>(MessageOf(0x12, 3, 0x1000)).kind,
            FaultKind::kWriteProtect);
  EXPECT_EQ(Decoded<PageFault>(MessageOf(0x12, 4, 0x1000)).kind,
            FaultKind::kMinor);
  EXPECT_EQ(Decoded<PageFault>(MessageOf(0x12, 1u << 20, 0x1000)).kind,
            FaultKind::kMissing);
  EXPECT_THAT(DecodeEvent(MessageOf(0x12, 6, 0x1000)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(DecodeEventTest, ForkOwnsTheDescriptorOfTheChild) {
  const int raw = eventfd(0, EFD_CLOEXEC);
  {
    auto forked = Decoded<Forked>(MessageOf(0x13, static_cast<uint64_t>(raw)));
    EXPECT_EQ(forked.child.get(), raw);
    UniqueFd kept = std::move(forked.child);
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

TEST(DecodeEventTest, AForkCanBeLookedAtAndMadeVoid) {
  auto message = MessageOf(0x13, 77);
  EXPECT_EQ(ChildNamedIn(message), 77);
  EXPECT_EQ(ChildNamedIn(MessageOf(0x12, 77)), std::nullopt);
  EXPECT_EQ(ChildNamedIn(MessageOf(0x13, uint64_t{1} << 31)), std::nullopt);
  MakeVoid(absl::MakeSpan(message));
  EXPECT_EQ(Decoded<PageFault>(message).page, PageId(0));
}

TEST(DecodeEventTest, Remap) {
  const auto remapped =
      Decoded<Remapped>(MessageOf(0x14, 0x10000, 0x7f0000000000, 0x3000));
  EXPECT_EQ(remapped.from, PagesOf(0x10000, 0x13000));
  EXPECT_EQ(remapped.to, PageId(0x7f0000000));
}

TEST(DecodeEventTest, RemapOfADoubledMappingIsEmpty) {
  EXPECT_TRUE(
      Decoded<Remapped>(MessageOf(0x14, 0x10000, 0x20000, 0)).from.empty());
}

TEST(DecodeEventTest, RemoveAndUnmap) {
  EXPECT_EQ(Decoded<Removed>(MessageOf(0x15, 0x1000, 0x5000)).range,
            PagesOf(0x1000, 0x5000));
  EXPECT_EQ(Decoded<Unmapped>(MessageOf(0x16, 0x1000, uint64_t{1} << 47)).range,
            PagesOf(0x1000, uint64_t{1} << 47));
}

TEST(DecodeEventTest, RefusesWhatNoKernelSends) {
  for (const Message& message : {
           MessageOf(0x00, 0),
           MessageOf(0x11, 0),
           MessageOf(0x17, 0),
           MessageOf(0xff, 0),
           MessageOf(0x13, 0x80000000),                // Descriptor below 0.
           MessageOf(0x14, 0x10001, 0x20000, 0x1000),  // Off page borders.
           MessageOf(0x14, 0x10000, 0x20001, 0x1000),
           MessageOf(0x14, 0x10000, 0x20000, 0x1001),
           MessageOf(0x14, kTop, 0x20000, 0x2000),  // Wraps around.
           MessageOf(0x14, 0x10000, kTop, 0x2000),
           MessageOf(0x15, 0x1001, 0x3000),
           MessageOf(0x15, 0x1000, 0x3001),
           MessageOf(0x15, 0x3000, 0x1000),  // Backwards.
           MessageOf(0x16, 0x3000, 0x1000),
           MessageOf(0x16, kTop, 0),
       }) {
    EXPECT_THAT(DecodeEvent(message),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(DecodeEventTest, NamesTheUnknownEvent) {
  EXPECT_THAT(DecodeEvent(MessageOf(0x17, 0)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0x17")));
}

TEST(DecodeEventDeathTest, WantsOneWholeMessage) {
  const Message message = {};
  EXPECT_DEATH((void)DecodeEvent(absl::MakeConstSpan(message).first(31)),
               "kEventMessageSize");
}

}  // namespace
}  // namespace pagelift
