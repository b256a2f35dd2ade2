"""A network with a client, and a service whose address moves between hosts."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .namespaces import Failed, Host, Process
from .scene import Scene
from .waiting import PATIENCE_SECONDS, wait_until

SERVICE = "10.78.0.100"
_CLIENT = "10.78.0.1"
_DEVICE = "lan"
_BRIDGE = "lan"
_HOOK = Path(__file__).with_name("move_address")
# What CRIU is told so that connections are kept.
DUMP_OPTIONS = ("--tcp-established", "--network-lock=nftables")
RESTORE_OPTIONS = ("--tcp-established",)

_OPEN_LOOP = Path(__file__).with_name("open_loop.py")


@dataclass(frozen=True)
class Load:
    """What a client does, steadily."""

    rate: int  # Requests a second,
    connections: int  # over so many,
    keys: int  # for so many keys of a DataSet,
    longer: int  # whose values are so much longer.


class Lan:
    """A client with a bridge that joins it with both hosts of a scene. `hook`
    moves the address of the service, which the source has at first."""

    def __init__(self, scene: Scene) -> None:
        self.client = Host("client")
        self.hook = scene.folder / "move-address"
        self.hook.write_text(f"#!/bin/sh\nexport ADDRESS={SERVICE} "
                             f"DEVICE={_DEVICE}\nexec {_HOOK} \"$@\"\n")
        self.hook.chmod(0o755)
        self.client.run(["ip", "link", "add", _BRIDGE, "type", "bridge"])
        self.client.run(["ip", "address", "add", f"{_CLIENT}/24", "dev",
                         _BRIDGE])
        self.client.run(["ip", "link", "set", _BRIDGE, "up"])
        for number, host in enumerate((scene.source, scene.destination), 2):
            self._join(host, f"10.78.0.{number}/24")
        run_hook(scene.source, self.hook, "resume")

    def close(self) -> None:
        self.client.close()

    def options(self) -> list[str | Path]:
        """Of `pagelift migrate`."""
        return ["--tcp-established",
                "--dump-option=--network-lock=nftables", "--hook", self.hook]

    @contextlib.contextmanager
    def load(self, load: Load, output: Path) -> Iterator[Process]:
        """A client that asks at fixed times; raises in the end if a connection
        broke, or a reply was wrong or never came. Its `output` is for
        open_loop.replies_in()."""
        options = [part for name, value in vars(load).items()
                   for part in (f"--{name}", str(value))]
        client = self.client.start(
            "the client", ["/usr/bin/python3", _OPEN_LOOP, "--address", SERVICE,
                           "--output", output, *options],
            output.with_suffix(".log"))
        wait_until("the client's connections", output.exists, PATIENCE_SECONDS,
                   client.raise_if_ended)
        yield client
        client.send_signal(signal.SIGTERM)
        if client.wait(PATIENCE_SECONDS) != 0:
            raise Failed(f"the client: {client.log.read_text()[-2000:]}")

    def _join(self, host: Host, address: str) -> None:
        port = f"to-{host.name}"[:15]
        self.client.add_link_to(host, port, _DEVICE)
        self.client.run(["ip", "link", "set", port, "master", _BRIDGE, "up"])
        host.run(["ip", "address", "add", address, "dev", _DEVICE])
        for name in ("arp_ignore", "arp_notify"):
            host.run(["sysctl", "-q", f"net.ipv4.conf.{_DEVICE}.{name}=1"])
        host.run(["ip", "link", "set", _DEVICE, "up"])


def run_hook(host: Host, hook: Path, event: str) -> None:
    """As `pagelift migrate` and pageliftd do, for restores of others."""
    host.run([hook, event, "-"])
