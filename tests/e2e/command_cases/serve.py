"""`pagelift serve`: pagelift-server by another name."""

import json
import re
import shutil
import time
from pathlib import Path

from harness import tools
from harness.namespaces import Failed
from harness.setting import Setting
from harness.ways import start_when_ready, stop

_FLOOD = Path(__file__).with_name("flood.py")


def serve_a_root(s: Setting) -> str:
    """Every checkpoint below a folder, at a port that it chooses itself."""
    root = s.make_folder("served-root")
    for name in ("today", "older/yesterday"):
        shutil.copytree(s.images, root / name, symlinks=True)
    server = _serve(s, "--listen", "127.0.0.1:0", "--root", root)
    said = server.log.read_text()
    port = re.search(r"^listening on 127\.0\.0\.1:(\d+)$", said, re.MULTILINE)
    if port is None or port[1] == "0":
        raise Failed(f"does not tell its port: {said}")
    for name in ("today", "older/yesterday"):
        result = s.restore_and_run(
            s.images, "--source", f"grpc://127.0.0.1:{port[1]}/{name}",
            "--wait")
        if result.code != 0:
            raise Failed(f"restoring {name}: {result.said}")
        s.verify()
        s.reset()
    stop(server)
    return f"port {port[1]}"


def serve_at_a_socket(s: Setting) -> str:
    """One checkpoint, by name, at a Unix socket; of others it knows nothing."""
    socket = s.folder / "serving.socket"
    log = s.folder / "serving-at-a-socket.log"
    server = _serve(s, "--listen", f"unix:{socket}", "--image",
                    f"it={s.images}", "--log-file", log, "--log-level", "info")
    said = server.log.read_text()
    if f"listening on unix:{socket}" not in said or not socket.is_socket():
        raise Failed(f"does not tell its address: {said}")
    stop(server)
    if "stopped" not in log.read_text():
        raise Failed(f"the log is elsewhere: {log.read_text()}")
    return said.strip()


def serve_within_limits(s: Setting) -> str:
    """A client that may have little gets all of it in the end."""
    url, server = s.start_server(
        "limited", s.images, "--bandwidth-per-client", "4",
        "--requests-per-client", "2000", "--streams-per-client", "3")
    started = time.monotonic()
    s.restore_and_run(s.images, "--source", url, "--wait").expect(0)
    seconds = time.monotonic() - started
    s.verify()
    s.reset()
    stop(server)
    s.run(tools.pagelift("pagelift-server"), "--root", s.folder,
          "--streams-per-client", "0").expect(2, "must be at least 1")
    return f"{seconds:.1f} s at 4 MiB/s"


def serve_help(s: Setting) -> str:
    """The options are those of pagelift-server."""
    told = [s.run(*command, "--help") for command in
            ([tools.pagelift("pagelift"), "serve"],
             [tools.pagelift("pagelift-server")])]
    if told[0] != told[1] or told[0].code != 0:
        raise Failed(f"{told}")
    return told[0].said.splitlines()[0]


def serve_has_room_for_others(s: Setting) -> str:
    """One client opens ten thousand connections."""
    url, server = s.start_server("flooded", s.images)
    port = url.split("/")[2].split(":")[1]
    told = json.loads(s.guest.run(["/usr/bin/python3", _FLOOD, port, "10000"]))
    if (told["closed"] != 10_000 - 1024 or not told["other_client_is_served"]
            or told["same_client_is_served"]
            or not told["same_client_is_served_later"]):
        raise Failed(f"{told}")
    s.run(tools.pagelift("pagelift"), "verify", url).expect(0)
    if server.log.read_text().count("may not have more") != 1:
        raise Failed(f"the log does not tell once: {server.log.read_text()}")
    stop(server)
    return f"{told}"


def _serve(s: Setting, *options):
    return start_when_ready(
        s.guest, "pagelift serve",
        [tools.pagelift("pagelift"), "serve", *options], "--ready-fd",
        s.next_log())


CASES = [serve_a_root, serve_at_a_socket, serve_help, serve_within_limits,
         serve_has_room_for_others]
