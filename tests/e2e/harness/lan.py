"""A network with a client, and a service whose address moves between hosts."""

from pathlib import Path

from .namespaces import Host
from .scene import Scene

SERVICE = "10.78.0.100"
_CLIENT = "10.78.0.1"
_DEVICE = "lan"
_BRIDGE = "lan"
_HOOK = Path(__file__).with_name("move_address")
# What CRIU is told so that connections are kept, at either end.
KEEP_CONNECTIONS = ("--tcp-established", "--network-lock=nftables")
_OF_PAGELIFT = ("--tcp-established",
                *(f"--{end}-option=--network-lock=nftables"
                  for end in ("dump", "restore")))


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
        return [*_OF_PAGELIFT, "--hook", self.hook]

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
