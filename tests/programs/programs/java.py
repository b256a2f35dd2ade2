"""A Java program: the collector moves, gives back and takes memory all the
time."""

from harness.java import JavaTarget

_THREADS = 3
_SLOTS = 14_000  # Of each thread, 4 KiB each and some much larger.
_OPTIONS = ("-Xms64m", "-Xmx512m",
            # So that the heap shrinks and grows.
            "-XX:MinHeapFreeRatio=5", "-XX:MaxHeapFreeRatio=20")


class JavaHeap(JavaTarget):
    """HeapTarget.java, about 200 MiB of live data."""

    def __init__(self) -> None:
        super().__init__("HeapTarget", _OPTIONS, _THREADS, _SLOTS)
