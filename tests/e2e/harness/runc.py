"""Containers of runc in a host, with the smallest bundle that can hold a target
of ours."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import tools
from .namespaces import Failed, Host, Process
from .scene import Scene

# Where a container sees them.
STATE = Path("/state")
PROGRAMS = Path("/programs")
# Of usr, which the container shares with the host.
_LINKS = ("bin", "lib", "lib64", "sbin")


class Container:
    """One container, in a folder of its own. `state` is what it sees as STATE.
    It goes with its host; its control groups go with delete()."""

    def __init__(self, scene: Scene, host: Host, name: str, state: Path,
                 argv: Sequence[str | Path]) -> None:
        self._host = host
        # Control groups are of the whole machine.
        self._id = f"{scene.folder.name}-{name}"
        self._folder = scene.make_folder(name)
        self._bundle = scene.make_folder(f"{name}/bundle")
        self._make_bundle(state, argv)

    def run(self) -> None:
        """Returns when it runs."""
        self._wait(self._start("run", "--detach", "--bundle", self._bundle))

    def checkpoint(self, images: Path, work: Path) -> None:
        self._wait(self.start_checkpoint(images, work))

    def start_checkpoint(self, images: Path, work: Path,
                         *options: str | Path,
                         pass_fds: Sequence[int] = ()) -> Process:
        return self._start("checkpoint", "--image-path", images, "--work-path",
                           work, *options, pass_fds=pass_fds)

    def restore_lazily(self, images: Path, work: Path) -> Process:
        """Returns when it runs, which is before its memory is there."""
        restoring = self._start(
            "restore", "--detach", "--lazy-pages", "--image-path", images,
            "--work-path", work, "--bundle", self._bundle)
        self._wait(restoring)
        return restoring

    def delete(self) -> None:
        """Kills it. It need not be there."""
        self._wait(self._start("delete", "--force"))

    def _start(self, command: str, *options: str | Path,
               pass_fds: Sequence[int] = ()) -> Process:
        return self._host.start(
            f"runc {command}",
            [tools.system("runc"), "--root", self._folder / "root", "--criu",
             tools.criu_serving_pages(), command, *options, self._id],
            self._folder / f"{command}.log", pass_fds)

    @staticmethod
    def _wait(process: Process) -> None:
        if process.wait(60) != 0:
            raise Failed(f"{process.name} failed: {process.log.read_text()}")

    def _make_bundle(self, state: Path, argv: Sequence[str | Path]) -> None:
        root = self._bundle / "rootfs"
        for place in ("usr", STATE.name, PROGRAMS.name):
            (root / place).mkdir(parents=True)
        for link in _LINKS:
            (root / link).symlink_to(f"usr/{link}")
        subprocess.run([tools.system("runc"), "spec", "--bundle", self._bundle],
                       check=True)
        # The target has no connections that would have to be locked.
        criu_conf = self._folder / "criu.conf"
        criu_conf.write_text("network-lock skip\n")
        path = self._bundle / "config.json"
        config = json.loads(path.read_text())
        config["annotations"] = {"org.criu.config": str(criu_conf)}
        config["process"] |= {"terminal": False, "args": [*map(str, argv)]}
        config["root"]["readonly"] = False
        config["linux"]["namespaces"] = [
            namespace for namespace in config["linux"]["namespaces"]
            if namespace["type"] != "cgroup"]
        config["mounts"] = [
            mount for mount in config["mounts"]
            if mount["type"] not in ("cgroup", "mqueue")]
        for source, seen_at, access in (
                (Path("/usr"), Path("/usr"), "ro"),
                (tools.target("verifying_target").parent, PROGRAMS, "ro"),
                (state, STATE, "rw")):
            config["mounts"].append({
                "destination": str(seen_at), "type": "bind",
                "source": str(source), "options": ["rbind", access]})
        path.write_text(json.dumps(config, indent=1))
