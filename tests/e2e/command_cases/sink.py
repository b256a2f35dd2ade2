"""`pagelift-server --sink`: an unmodified criu dump sends its pages there, and
they are restored from there."""

import json
import re
import select
import shutil
import signal
import socket
from pathlib import Path

from harness import tools
from harness.certificates import Authority
from harness.checkpoint import dump_command
from harness.namespaces import Failed, Process
from harness.setting import Result, Setting
from harness.waiting import wait_until
from harness.ways import start_when_ready, stop

# As it is sent; pages follow, of which there are many more than one message has.
_OPEN = (b"\4\0\0\0\0\0\0\0" + bytes(16) + b"\1\xe8\3\0\0\0\0\0")
_PATIENCE = 60
_PART = 1 << 20  # Less than the process has.


def sink_receives_a_dump(s: Setting) -> str:
    """From the dump to two restores, which get every page over the network."""
    sink = _Sink(s, "sink")
    sink.dump("images-of-sink").expect(0)
    [received] = sink.dumps()
    if any(path.name.startswith("page") for path in sink.images.iterdir()):
        raise Failed(f"criu kept pages: {sorted(sink.images.iterdir())}")
    checkpoint = sink.folder / "redis"
    adopted = _pagelift(s, "adopt", sink.images, checkpoint)
    adopted.expect(0, received.name)
    if sink.dumps() or not checkpoint.is_dir():
        raise Failed(f"not adopted: {sorted(sink.folder.iterdir())}")
    thin = s.folder / "thin-of-sink"
    _pagelift(s, "thin", checkpoint, thin).expect(0)
    for _ in range(2):
        sink.restore(thin, "redis")
    sink.stop()
    if f"received {received}" not in sink.log():
        raise Failed(f"the log does not tell: {sink.log()}")
    return adopted.said.strip()


def sink_receives_over_tls(s: Setting) -> str:
    authority = Authority(s.folder, "authority-of-sink")
    server = authority.issue("server", "IP:127.0.0.1")
    criu = authority.issue("criu", "IP:127.0.0.1")
    sink = _Sink(s, "sink-tls", "--tls", server)
    options = ("--tls", "--tls-cacert", criu / "ca.crt", "--tls-cert",
               criu / "tls.crt", "--tls-key", criu / "tls.key")
    in_the_clear = sink.dump("images-in-the-clear")
    if in_the_clear.code == 0 or not s.running():
        raise Failed(f"dumped without TLS: {in_the_clear}")
    s.verify()
    s.reset()
    sink.dump("images-over-tls", *options).expect(0)
    _pagelift(s, "adopt", sink.images, sink.folder / "redis").expect(0)
    sink.restore(sink.folder / "redis", "redis", "--tls", criu)
    sink.stop()
    if "no dump of 127.0.0.1" not in sink.log():
        raise Failed(f"the log does not tell: {sink.log()}")
    return sink.log().splitlines()[-2]


def sink_finds_the_pages(s: Setting) -> str:
    """Two dumps of the same process: whose pages are whose is not guessed."""
    sink = _Sink(s, "sink-of-two")
    sink.dump("images-of-one", "--leave-running").expect(0)
    first = sink.images
    s.verify()
    sink.dump_again("images-of-two").expect(0)
    if len(sink.dumps()) != 2:
        raise Failed(f"there are {sink.dumps()}")
    # As many pages, at the same addresses, may have come twice.
    result = _pagelift(s, "adopt", sink.images, sink.folder / "redis")
    if result.code != 0:
        result.expect(1, "several dumps fit", "--dump")
        _pagelift(s, "adopt", "--dump", sink.dumps()[-1], sink.images,
                  sink.folder / "redis").expect(0)
    sink.restore(sink.folder / "redis", "redis")
    told = _pagelift(s, "adopt", "--json", first, sink.folder / "earlier")
    if json.loads(told.expect(0))["pages"] == 0 or sink.dumps():
        raise Failed(f"the first is left: {told}")
    sink.stop()
    return told.said.strip()


def sink_keeps_nothing_of_a_killed_dump(s: Setting) -> str:
    """criu is killed when it has sent a part, and cannot send more."""
    sink = _Sink(s, "sink-of-killed")
    s.restore_and_run(s.images, "--source", s.url, "--wait").expect(0)
    with s.guest.network():
        narrow = socket.create_server(("127.0.0.1", 0))
        onward = socket.create_connection(("127.0.0.1", sink.port))
    with narrow, onward:
        dumping = s.start("criu dump", sink.command(
            "images-of-killed", "--port", str(narrow.getsockname()[1])))
        criu, _ = narrow.accept()
        with criu:
            sent = _pass_on(criu, onward, _PART)
            if not sink.left():
                raise Failed(f"after {sent} bytes there is nothing")
            dumping.send_signal(signal.SIGKILL)
            dumping.wait(_PATIENCE)
        # What its host's kernel says to the sink.
        onward.shutdown(socket.SHUT_WR)
        wait_until("the log telling", lambda: "is not kept" in sink.log())
    if sink.left():
        raise Failed(f"left: {sink.left()}; {sink.log()}")
    sink.stop()
    return [line for line in sink.log().splitlines() if "not kept" in line][-1]


def _pass_on(criu: socket.socket, onward: socket.socket, most: int) -> int:
    """Both ways, until `most` bytes have come from criu."""
    sent = 0
    while sent < most:
        for ready in select.select([criu, onward], [], [], _PATIENCE)[0]:
            received = ready.recv(1 << 16)
            if not received:
                raise Failed(f"the connection ends after {sent} bytes")
            (onward if ready is criu else criu).sendall(received)
            sent += len(received) if ready is criu else 0
    return sent


def sink_survives_scanners(s: Setting) -> str:
    sink = _Sink(s, "sink-scanned")
    with s.guest.network():
        for said in (b"", b"GET / HTTP/1.1\r\nHost: sink\r\n\r\n", b"\0" * 32,
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 3,
                     _OPEN, _OPEN + _OPEN):
            with socket.create_connection(("127.0.0.1", sink.port)) as client:
                client.sendall(said)
                client.shutdown(socket.SHUT_WR)
                client.settimeout(_PATIENCE)
                try:
                    while client.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
    wait_until("nothing being left", lambda: not sink.left())
    sink.dump("images-after-scan").expect(0)
    sink.stop()
    for word in ("none of a dump", "wants TLS", "comes twice"):
        if word not in sink.log():
            raise Failed(f"the log does not say {word!r}: {sink.log()}")
    return f"{len(sink.dumps())} dump"


def sink_with_a_full_disk(s: Setting) -> str:
    """The dump fails, the process does not notice."""
    folder = s.make_folder("full-disk")
    s.guest.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder])
    sink = _Sink(s, "full-disk")
    dumped = sink.dump("images-on-full-disk")
    if dumped.code == 0 or not s.running():
        raise Failed(f"dumped: {dumped}")
    seen = s.verify()
    wait_until("the log telling", lambda: "No space left" in sink.log())
    left = s.guest.run(["ls", "-A", folder])
    sink.stop()
    if left:
        raise Failed(f"left: {left}")
    return seen


def sink_says_what_is_wrong(s: Setting) -> str:
    sink = _Sink(s, "sink-in-use")
    said = []
    for arguments, code, wanted in (
            (["--sink", sink.folder, "--sink-listen", "0.0.0.0:0"], 2,
             "may send dumps"),
            (["--sink", s.folder / "nowhere", "--listen", "127.0.0.1:0"], 1,
             "No such file"),
            (["--sink", sink.folder, "--listen", "127.0.0.1:0",
              "--sink-listen", "127.0.0.1:0"], 1, "another sink receives")):
        result = s.run(tools.pagelift("pagelift-server"), *arguments)
        said.append(result.expect(code, wanted).strip().splitlines()[-1])
    result = _pagelift(s, "adopt", s.images, sink.folder / "redis")
    said.append(result.expect(1, "not made by criu dump --page-server"))
    sink.stop()
    return "; ".join(line.strip() for line in said)


class _Sink:
    """A pagelift-server that receives dumps into a folder."""

    def __init__(self, s: Setting, name: str, *options: str | Path) -> None:
        self._s = s
        self.folder = s.folder / name
        self.folder.mkdir(exist_ok=True)
        self._tls = "--tls" in options
        self.process: Process = start_when_ready(
            s.guest, "pagelift-server --sink",
            [*tools.sandboxed("pagelift-server"), "--listen", "127.0.0.1:0",
             "--sink", self.folder, "--sink-listen", "127.0.0.1:0", *options],
            "--ready-fd", s.next_log())
        self._page_port, self.port = (
            int(port) for port in re.findall(r"^(?:sink )?listening on .*:(\d+)$",
                                             self.log(), re.MULTILINE))
        self.images = Path()
        self._state = Path()

    def log(self) -> str:
        return self.process.log.read_text()

    def stop(self) -> None:
        stop(self.process)

    def dumps(self) -> list[Path]:
        return sorted(self.folder.glob("dump-*"))

    def left(self) -> list[Path]:
        """What is there at all."""
        return sorted(self.folder.iterdir())

    def command(self, images: str, *options: str | Path) -> list[str | Path]:
        self.images = self._s.make_folder(images)
        return [*dump_command(self.images, tools.criu()), "--page-server",
                "--address", "127.0.0.1", "--port", str(self.port), *options]

    def dump(self, images: str, *options: str | Path) -> Result:
        """Of the process as it is when it has been restored."""
        s = self._s
        s.restore_and_run(s.images, "--source", s.url, "--wait").expect(0)
        return self.dump_again(images, *options)

    def dump_again(self, images: str, *options: str | Path) -> Result:
        result = self._s.run(*self.command(images, *options))
        self._state = self._s.folder / f"state-of-{images}"
        shutil.copytree(self._s.state, self._state)
        return result

    def restore(self, images: Path, name: str, *options: str | Path) -> None:
        """What was dumped last; verifies it, and ends it."""
        s = self._s
        shutil.rmtree(s.state)
        shutil.copytree(self._state, s.state)
        scheme = "grpcs" if self._tls else "grpc"
        s.restore_and_run(
            images, "--source", f"{scheme}://127.0.0.1:{self._page_port}/{name}",
            *options).expect(0)
        s.verify()
        s.reset()


def _pagelift(s: Setting, *arguments: str | Path) -> Result:
    return s.run(tools.pagelift("pagelift"), *arguments)


CASES = [sink_receives_a_dump, sink_receives_over_tls, sink_finds_the_pages,
         sink_keeps_nothing_of_a_killed_dump, sink_survives_scanners,
         sink_with_a_full_disk, sink_says_what_is_wrong]
