#ifndef PAGELIFT_LIB_TRANSPORT_TESTING_TEST_PAGE_DOOR_H_
#define PAGELIFT_LIB_TRANSPORT_TESTING_TEST_PAGE_DOOR_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/transport/page_door.h"
#include "lib/transport/socket_address.h"
#include "lib/transport/stream_admission.h"

namespace pagelift {

// A page server at `address` that has nothing of gRPC's library behind it: a
// connection that is for that fails the test. `streams` must outlive it.
inline std::unique_ptr<PageDoor> OpenPageDoor(const std::string& address,
                                              StreamAdmission& streams) {
  absl::StatusOr<Listener> listener = Listener::ListenOn(address);
  EXPECT_OK(listener);
  return std::make_unique<PageDoor>(
      *std::move(listener), streams,
      [](UniqueFd, const std::string&) { ADD_FAILURE() << "not for us?"; });
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_TESTING_TEST_PAGE_DOOR_H_
