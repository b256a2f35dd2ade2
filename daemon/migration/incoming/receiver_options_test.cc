#include "daemon/migration/incoming/receiver_options.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

TEST(ReceiverOptionsTest, NoneIsNothing) {
  EXPECT_OK(CheckReceiverOptions({}));
}

TEST(ReceiverOptionsTest, PlainTextIsToBeSpelledOut) {
  ReceiverOptions options;
  // On loopback, too: every user of the host can connect there.
  for (const char* address : {"0.0.0.0:7078", "127.0.0.1:7078"}) {
    options.listen = address;
    options.insecure = false;
    EXPECT_THAT(CheckReceiverOptions(options),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("--migration-insecure")));
    options.insecure = true;
    EXPECT_OK(CheckReceiverOptions(options));
  }
  options.tls = "/tls";
  EXPECT_THAT(CheckReceiverOptions(options),
              StatusIs(absl::StatusCode::kInvalidArgument));
  options.insecure = false;
  EXPECT_OK(CheckReceiverOptions(options));
}

TEST(ReceiverOptionsTest, NamesNeedCertificates) {
  ReceiverOptions options;
  options.listen = "0.0.0.0:7078";
  options.insecure = true;
  options.allowed = {"DNS:a.example"};
  EXPECT_THAT(CheckReceiverOptions(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--migration-tls")));
}

TEST(ReceiverOptionsTest, OptionsOfNothingAreRefused) {
  ReceiverOptions options;
  options.tls = "/tls";
  EXPECT_THAT(CheckReceiverOptions(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--accept-migrations")));
}

}  // namespace
}  // namespace pagelift
