#ifndef PAGELIFT_LIB_TRANSPORT_TESTING_FETCH_REQUESTS_H_
#define PAGELIFT_LIB_TRANSPORT_TESTING_FETCH_REQUESTS_H_

#include <cstdint>
#include <string>

#include "pagelift/v1/page_server.pb.h"

// The requests of a FetchPages stream, as tests write them.
namespace pagelift {

inline v1::FetchRequest Start(const std::string& image,
                              const std::string& content_id,
                              v1::Urgency urgency) {
  v1::FetchRequest request;
  request.mutable_start()->set_image(image);
  request.mutable_start()->set_content_id(content_id);
  request.mutable_start()->set_urgency(urgency);
  return request;
}

inline v1::FetchRequest Fetch(uint64_t id, uint64_t first, uint64_t count) {
  v1::FetchRequest request;
  request.mutable_fetch()->set_id(id);
  request.mutable_fetch()->set_first_page(first);
  request.mutable_fetch()->set_page_count(count);
  return request;
}

inline v1::FetchRequest Cancel(uint64_t id) {
  v1::FetchRequest request;
  request.mutable_cancel()->set_id(id);
  return request;
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_TESTING_FETCH_REQUESTS_H_
