#ifndef PAGELIFT_LIB_TRANSPORT_FETCH_METHOD_H_
#define PAGELIFT_LIB_TRANSPORT_FETCH_METHOD_H_

// What both ends of a FetchPages call know of it besides its messages.
namespace pagelift {

inline constexpr char kFetchPagesMethod[] =
    "/pagelift.v1.PageServer/FetchPages";
// Among the headers by which a server takes the stream.
inline constexpr char kProtocolMetadata[] = "pagelift-protocol";

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_FETCH_METHOD_H_
