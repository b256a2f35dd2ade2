"""A client of the page service, made from page_server.proto alone.

Fetches every page of a checkpoint from a running pagelift-server, over both
urgencies, and compares each byte with the checkpoint's own pages files. What
this file does is what docs/wire_protocol.md asks of any client.
"""

import glob
import os
import queue
import re
import struct
import sys

import grpc
import xxhash

from pagelift.v1 import page_server_pb2 as pb
from pagelift.v1 import page_server_pb2_grpc as pb_grpc
from pagelift.v1 import working_set_pb2

PAGE = 4096
DEADLINE = 60  # Seconds; a hanging server fails the test.


def check(condition, message):
    if not condition:
        sys.exit(f"FAILED: {message}")


def open_image(stub, name):
    """The header, and the task parts."""
    header, tasks = None, []
    request = pb.OpenImageRequest(name=name, protocol_version=2)
    for response in stub.OpenImage(request, timeout=DEADLINE):
        if response.WhichOneof("part") == "header":
            header = response.header
        else:
            tasks.append(response.task)
    check(header is not None, "OpenImage sent no header")
    return header, tasks


def description_checksum(header, parts):
    """Of all parts together: a task may come in several."""
    tasks = []
    for part in parts:
        if not tasks or tasks[-1]["pid"] != part.pid:
            tasks.append({"pid": part.pid, "zombie": int(part.zombie),
                          "lists": [[], [], []]})
        regions, extents, must_have = tasks[-1]["lists"]
        regions += [(r.first_page, r.page_count) for r in part.lazy_regions]
        extents += [(e.first_page, e.page_count, e.image_page)
                    for e in part.extents]
        must_have += [(page,) for page in part.must_have_pages]
    numbers = [header.page_count, len(tasks)]
    for task in tasks:
        numbers += [task["pid"], task["zombie"]]
        for entries in task["lists"]:
            numbers.append(len(entries))
            numbers += [field for entry in entries for field in entry]
    return xxhash.xxh3_64_intdigest(
        header.content_id.encode() + struct.pack(f"<{len(numbers)}Q", *numbers))


class FetchStream:
    """One FetchPages stream; requests go in by a queue."""

    def __init__(self, stub, name, header, urgency, max_batch_bytes=0):
        self._requests = queue.Queue()
        self._requests.put(pb.FetchRequest(start=pb.FetchStart(
            image=name, content_id=header.content_id, urgency=urgency,
            max_batch_bytes=max_batch_bytes)))
        self._batches = stub.FetchPages(iter(self._requests.get, None),
                                        timeout=DEADLINE)
        self._last_id = 0
        self._content_id = header.content_id

    def fetch(self, first, count):
        """The bytes of pages [first, first + count), each checked."""
        self._last_id += 1
        self._requests.put(pb.FetchRequest(fetch=pb.PageRequest(
            id=self._last_id, first_page=first, page_count=count)))
        missing = set(range(first, first + count))
        pages = bytearray(count * PAGE)
        while missing:
            batch = next(self._batches)
            check(batch.id == self._last_id, "an answer to another request")
            check(batch.error_code == 0, batch.error_message)
            limit = batch.first_page + batch.page_count
            answered = set(range(batch.first_page, limit))
            check(answered and answered <= missing, "pages not asked for")
            missing -= answered
            check(self._checksum(batch) == batch.checksum, "checksum")
            if batch.encoding == pb.ENCODING_ZERO:
                check(not batch.pages, "zero pages with contents")
                continue
            check(len(batch.pages) == batch.page_count * PAGE, "length")
            at = (batch.first_page - first) * PAGE
            pages[at:at + len(batch.pages)] = batch.pages
        return bytes(pages)

    def _checksum(self, batch):
        """What it has to be; pages are never compressed unless one asks."""
        seed = xxhash.xxh3_64_intdigest(
            self._content_id.encode() + struct.pack(
                "<4Q", batch.first_page, batch.page_count, batch.encoding,
                batch.error_code))
        return xxhash.xxh3_64_intdigest(batch.pages, seed)

    def close(self):
        """Half-closes; the server answers what is left and ends the stream."""
        self._requests.put(None)
        check(not list(self._batches), "batches that nobody asked for")


def expect_code(code, call):
    try:
        list(call)
    except grpc.RpcError as error:
        check(error.code() == code, f"{error.code()} instead of {code}")
        return error.details()
    sys.exit(f"FAILED: no error instead of {code}")


def expect_refusal(code, method, request):
    try:
        method(request, timeout=DEADLINE)
    except grpc.RpcError as error:
        check(error.code() == code, f"{error.code()} instead of {code}")
        return error.details()
    sys.exit(f"FAILED: no error instead of {code}")


def check_listing(stub, name, header):
    response = stub.ListImages(pb.ListImagesRequest(), timeout=DEADLINE)
    images = {image.name: image for image in response.images}
    check(name in images, f"{name} is not listed: {list(images)}")
    check(images[name].content_id == header.content_id, "listed content id")
    check(images[name].page_count == header.page_count, "listed page count")
    check("missing" in images and images["missing"].error,
          "the missing image is not reported")


def check_errors(stub, name, header):
    details = expect_code(grpc.StatusCode.NOT_FOUND, stub.OpenImage(
        pb.OpenImageRequest(name="../etc", protocol_version=2)))
    check(name in details, f"NOT_FOUND does not say what there is: {details}")
    start = pb.FetchRequest(start=pb.FetchStart(
        image=name, content_id="another", urgency=pb.URGENCY_DEMAND))
    expect_code(grpc.StatusCode.FAILED_PRECONDITION,
                stub.FetchPages(iter([start])))
    fetch = pb.FetchRequest(fetch=pb.PageRequest(id=1, page_count=1))
    expect_code(grpc.StatusCode.INVALID_ARGUMENT,
                stub.FetchPages(iter([fetch])))
    start.start.content_id = header.content_id
    fetch.fetch.first_page = header.page_count
    expect_code(grpc.StatusCode.INVALID_ARGUMENT,
                stub.FetchPages(iter([start, fetch])))


def check_working_set(stub, name, header):
    """There is none, and this server keeps none."""
    image = {"image": name, "content_id": header.content_id}
    told = stub.GetWorkingSet(pb.GetWorkingSetRequest(**image),
                              timeout=DEADLINE)
    check(not told.order.steps and not told.recordings, f"recordings: {told}")
    recording = working_set_pb2.Recording(steps=[0], page_counts=[1])
    details = expect_refusal(
        grpc.StatusCode.FAILED_PRECONDITION, stub.AddRecording,
        pb.AddRecordingRequest(recording=recording, **image))
    check("--keep-working-sets" in details, f"does not say why: {details}")


def check_health(channel):
    """grpc.health.v1 by hand: HealthCheckResponse{status=SERVING} is 08 01."""
    health = channel.unary_unary("/grpc.health.v1.Health/Check")
    for service in ("", "pagelift.v1.PageServer"):
        name = service.encode()
        request = bytes([0x0a, len(name)]) + name if name else b""
        check(health(request, timeout=DEADLINE) == b"\x08\x01",
              f"health of '{service}'")


def check_reflection(channel):
    """ServerReflectionRequest{list_services="*"} names our service."""
    method = ("/grpc.reflection.v1alpha.ServerReflection/"
              "ServerReflectionInfo")
    reflection = channel.stream_stream(method)
    answers = list(reflection(iter([b"\x3a\x01*"]), timeout=DEADLINE))
    check(any(b"pagelift.v1.PageServer" in answer for answer in answers),
          "reflection does not name the page service")


def expected_pages(directory):
    """The pages files one after the other: one per task, in task order here."""
    files = glob.glob(os.path.join(directory, "pages-*.img"))
    files.sort(key=lambda path: int(re.search(r"pages-(\d+)", path)[1]))
    return b"".join(open(path, "rb").read() for path in files)


def main():
    address, name, directory = sys.argv[1:]
    channel = grpc.insecure_channel(address)
    stub = pb_grpc.PageServerStub(channel)
    header, tasks = open_image(stub, name)
    check(header.protocol_version == 2, "protocol version")
    check(header.page_size == PAGE, "page size")
    check(header.checksum == pb.CHECKSUM_XXH3_64_BOUND, "checksum kind")
    check(header.description_checksum == description_checksum(header, tasks),
          "checksum of the description")
    check(header.task_count == len({task.pid for task in tasks}), "task count")
    expected = expected_pages(directory)
    check(header.page_count * PAGE == len(expected), "page count")

    demand = FetchStream(stub, name, header, pb.URGENCY_DEMAND)
    one_by_one = b"".join(demand.fetch(page, 1)
                          for page in range(header.page_count))
    check(one_by_one == expected, "pages fetched by demand differ")
    demand.close()
    for max_batch_bytes in (0, 1, 3 * PAGE + 17, 1 << 20):
        bulk = FetchStream(stub, name, header, pb.URGENCY_PREFETCH,
                           max_batch_bytes)
        check(bulk.fetch(0, header.page_count) == expected,
              "pages fetched in bulk differ")
        bulk.close()

    check_listing(stub, name, header)
    check_errors(stub, name, header)
    check_working_set(stub, name, header)
    check_health(channel)
    check_reflection(channel)
    print(f"{header.page_count} pages fetched five times, every byte right")


if __name__ == "__main__":
    main()
