"""Java programs that are restored. A JDK is large, so not everybody has one."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import tools
from .namespaces import Failed, Host
from .workloads import CommandedTarget


def program(name: str) -> Path | None:
    """A program of the JDK, if there is one."""
    found = shutil.which(name, path="/usr/local/bin:/usr/bin")
    return None if found is None else Path(found)


class JavaTarget(CommandedTarget):
    """`name`.java of tests/e2e/targets, compiled into its state folder, under
    G1. It is given that folder, and then `arguments`."""

    def __init__(self, name: str, options: Sequence[str],
                 *arguments: int) -> None:
        super().__init__(name)
        self.comm = "java"
        self._java_options = options
        self._arguments = arguments

    def start(self, host: Host, state: Path) -> None:
        source = tools.target(f"{self._program}.java")
        subprocess.run([_needed("javac"), "-d", state / "classes",
                        "-sourcepath", source.parent, source],
                       check=True, stdin=subprocess.DEVNULL)
        super().start(host, state)

    def _command(self, state: Path) -> list[str | Path]:
        return [_needed("java"), "-XX:+UseG1GC", *self._java_options,
                # It would map a file in /tmp, which the checkpoint lacks.
                "-XX:-UsePerfData",
                "-cp", state / "classes", self._program, state,
                *map(str, self._arguments)]


def _needed(name: str) -> Path:
    found = program(name)
    if found is None:
        raise Failed(f"{name} is missing; tests/programs/run --install "
                     "installs it")
    return found
