#ifndef PAGELIFT_LIB_TRANSPORT_SERVED_STREAM_H_
#define PAGELIFT_LIB_TRANSPORT_SERVED_STREAM_H_

namespace pagelift {

// A FetchPages stream that is being served, by whatever means.
class ServedStream {
 public:
  virtual ~ServedStream() = default;

  // Ends the stream as soon as everything that was read is answered. From any
  // thread; does not block.
  virtual void Drain() = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_SERVED_STREAM_H_
