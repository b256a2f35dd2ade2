"""Processes whose costs are measured, and the bytes on a host's cable."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from harness.namespaces import Failed, Host, Process
from harness.workers import worker_of

_SAMPLE_SECONDS = 0.1  # Seldom: this runs beside what is measured.
_MEBIBYTE = 1 << 20


class Measured:
    """Watches a process from now on until it has ended."""

    def __init__(self, process: Process) -> None:
        self.name = process.name
        self.cpu_seconds = 0.0
        self.peak_mib = 0.0  # VmHWM: mapped files that were read included.
        self.peak_private_mib = 0.0
        self._process = process
        self._pid = process.pid()
        self._ended = threading.Event()
        self._ended_at_ns = 0
        self._threads = [threading.Thread(target=work, daemon=True)
                         for work in (self._wait, self._sample)]
        for thread in self._threads:
            thread.start()

    def ended_at_ns(self, seconds: float) -> int:
        """When it ended, by the clock of time.time_ns(). Waits for that; raises
        if it fails or does not end."""
        if not self._ended.wait(max(seconds, 0)):
            raise Failed(f"{self.name} did not end in time")
        self.raise_if_failed()
        return self._ended_at_ns

    def raise_if_failed(self) -> None:
        if self._ended.is_set():
            self._process.raise_if_failed()

    def stop(self, seconds: float, expect_success: bool = True) -> None:
        """Has it end by SIGTERM unless it has ended by itself."""
        if not self._ended.is_set():
            self._process.send_signal(signal.SIGTERM)
        if not self._ended.wait(max(seconds, 0)):
            raise Failed(f"{self.name} did not end after SIGTERM")
        if expect_success:
            self.raise_if_failed()

    def costs(self, gibibytes: float) -> dict[str, float]:
        """What it used; after it has ended."""
        costs = {"cpu_s_per_gib": self.cpu_seconds / gibibytes}
        if self.peak_mib:  # It lived long enough for a sample.
            costs |= {"peak_mib": self.peak_mib,
                      "peak_private_mib": self.peak_private_mib}
        return costs

    def _wait(self) -> None:
        usage = self._process.wait_for_usage()
        self._ended_at_ns = time.time_ns()
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self._ended.set()

    def _sample(self) -> None:
        # ru_maxrss would tell of this process, from before the exec.
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._pid = self._pid or self._process.pid()
            if not self._pid:
                continue
            # With its worker, if it has one.
            pids = {self._pid, worker_of(self._pid)}
            with contextlib.suppress(OSError, KeyError):
                peak = private = 0.0
                for pid in pids:
                    text = Path(f"/proc/{pid}/status").read_text()
                    fields = dict(line.split(":", 1)
                                  for line in text.splitlines())
                    peak += _mebibytes(fields["VmHWM"])
                    # The journals are shared memory.
                    private += (_mebibytes(fields["RssAnon"])
                                + _mebibytes(fields["RssShmem"]))
                self.peak_mib = max(self.peak_mib, peak)
                self.peak_private_mib = max(self.peak_private_mib, private)


class CableWatch:
    """Counts what crosses a host's cable, both ways, from now on."""

    _SAMPLE_SECONDS = 0.02
    _LEAST_OF_A_PAGE = 2048  # More than any farewell.

    def __init__(self, host: Host) -> None:
        with host.network():
            # Goes on telling of that network.
            self._counters = os.open("/proc/thread-self/net/dev", os.O_RDONLY)
        self._start = self._bytes()
        self._last_page_at_ns = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def bytes_crossed(self) -> int:
        return self._bytes() - self._start

    def last_page_at_ns(self) -> int:
        """When pages were last seen to cross, by time.time_ns()."""
        return self._last_page_at_ns

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._counters)

    def _sample(self) -> None:
        before = self._start
        while not self._stop.wait(self._SAMPLE_SECONDS):
            now = self._bytes()
            if now - before >= self._LEAST_OF_A_PAGE:
                self._last_page_at_ns = time.time_ns()
            before = now

    def _bytes(self) -> int:
        text = os.pread(self._counters, 1 << 16, 0).decode()
        for line in text.splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == "cable":
                fields = numbers.split()
                return int(fields[0]) + int(fields[8])
        raise Failed("there is no cable")


def _mebibytes(kibibytes: str) -> float:
    return int(kibibytes.split()[0]) * 1024 / _MEBIBYTE
