"""A Java program: the collector moves, gives back and takes memory all the
time."""

import subprocess
from pathlib import Path

from harness import tools
from harness.namespaces import Host
from harness.workloads import CommandedTarget

from . import packages

_THREADS = 3
_SLOTS = 14_000  # Of each thread, 4 KiB each and some much larger.


class JavaHeap(CommandedTarget):
    """HeapTarget.java, about 200 MiB of live data under G1."""

    def __init__(self) -> None:
        super().__init__("HeapTarget")
        self.comm = "java"

    def start(self, host: Host, state: Path) -> None:
        subprocess.run([packages.find("javac"), "-d", state / "classes",
                        tools.target("HeapTarget.java")],
                       check=True, stdin=subprocess.DEVNULL)
        super().start(host, state)

    def _command(self, state: Path) -> list[str | Path]:
        return [packages.find("java"), "-XX:+UseG1GC", "-Xms64m", "-Xmx512m",
                # So that the heap shrinks and grows.
                "-XX:MinHeapFreeRatio=5", "-XX:MaxHeapFreeRatio=20",
                # It would map a file in /tmp, which the checkpoint lacks.
                "-XX:-UsePerfData",
                "-cp", state / "classes", "HeapTarget", state, str(_THREADS),
                str(_SLOTS)]
