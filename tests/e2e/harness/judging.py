"""Runs cases that share one checkpoint, and counts them."""

import argparse
import fnmatch
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from .namespaces import Failed
from .setting import Setting, one_checkpoint
from .waiting import TimedOut
from .workloads import WrongMemory

C = TypeVar("C")


def run_cases(doc: str | None, scene: str, cases: Sequence[C],
              name_of: Callable[[C], str],
              judge: Callable[[Setting, C], str]) -> int:
    """The `main` of a script. `judge` tells what a case has shown, and raises if
    that is not as it ought to be."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE",
                        help="names or patterns")
    patterns = parser.parse_args().cases or ["*"]
    chosen = [case for case in cases
              if any(fnmatch.fnmatch(name_of(case), pattern)
                     for pattern in patterns)]
    if not chosen:
        print("no case is called that", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("CRIU needs root", file=sys.stderr)
        return 2
    # A script that ends us still wants the hosts cleaned up in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    with one_checkpoint(scene) as setting:
        passed = sum(_passes(setting, case, name_of(case), judge)
                     for case in chosen)
    print(f"{passed} passed, {len(chosen) - passed} failed")
    return 0 if passed == len(chosen) else 1


def _passes(setting: Setting, case: C, name: str,
            judge: Callable[[Setting, C], str]) -> bool:
    try:
        try:
            told = judge(setting, case)
        finally:
            setting.reset()
    except (Failed, TimedOut, WrongMemory, subprocess.SubprocessError, OSError,
            LookupError, ValueError) as error:
        print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
        return False
    print(f"PASS {name}: {told}", flush=True)
    return True
