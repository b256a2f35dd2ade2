"""A PostgreSQL server, with its clients: all in one tree."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness import tools
from harness.namespaces import Host
from harness.workloads import CommandedTarget

from . import packages

_TARGET = "postgresql_target.py"
_USER = "postgres"  # The server refuses to be root.


class Postgres(CommandedTarget):
    """postgresql_target.py: sessions held open over the checkpoint, and as many
    that are opened during the restore."""

    def __init__(self) -> None:
        super().__init__(_TARGET)
        self.comm = "postgres"

    @property
    def dump_as(self) -> Sequence[str | Path]:
        """Who may ask for the limits of the user's processes even without
        CAP_SYS_RESOURCE: those of the same real user."""
        # A shell would become that user altogether.
        is_script = tools.criu().read_bytes().startswith(b"#!")
        return [tools.system("setpriv"), f"--ruid={_USER}", f"--rgid={_USER}",
                "--clear-groups", *(["/bin/sh", "-p"] if is_script else [])]

    def start(self, host: Host, state: Path) -> None:
        # Where the user can see them, wherever the repository is.
        for name in (_TARGET, "control_file.py"):
            shutil.copy(tools.target(name), state)
        state.parent.chmod(0o711)
        (state / "log").touch()
        for path in (state, state / "log"):
            shutil.chown(path, _USER, _USER)
        super().start(host, state)
        # What the kernel can do is found out by root only, and then kept.
        host.run([tools.criu(), "check", "--feature", "uffd-noncoop"])

    def _command(self, state: Path) -> list[str | Path]:
        return [
            # CRIU dumps System V shared memory with its namespace only.
            tools.system("unshare"), "--ipc", tools.system("setpriv"),
            f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups",
            state / _TARGET, "--state", state,
            "--bin", packages.find("postgres").parent]
