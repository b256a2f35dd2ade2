"""The programs that the cases use, found or loudly missed."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .namespaces import Failed

REPOSITORY = Path(__file__).resolve().parents[3]
_PIPE_MAX_SIZE = Path("/proc/sys/fs/pipe-max-size")
_PIPE_SIZE_NEEDED = 64 << 20
# How our programs are to confine themselves: "strict" ends one that makes a
# system call it is not known to need.
_SANDBOX = os.environ.get("PAGELIFT_TEST_SANDBOX", "")


@functools.cache
def criu() -> Path:
    """A CRIU that can start on this kernel."""
    found = subprocess.run([REPOSITORY / "tools/install_deps", "--criu"],
                           capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise Failed(f"no usable criu: {found.stderr.strip()}")
    return Path(found.stdout.strip())


def system(name: str) -> Path:
    """A program of the distribution."""
    path = shutil.which(name, path="/usr/local/bin:/usr/bin:/usr/sbin")
    if path is None:
        raise Failed(f"{name} is missing; run tools/install_deps")
    return Path(path)


def criu_serving_pages() -> Path:
    """The same, able to serve pages: it hands them out through pipes of 4 MiB,
    and ends the connection with the first page if it may not have such."""
    if int(_PIPE_MAX_SIZE.read_text()) < _PIPE_SIZE_NEEDED:
        _PIPE_MAX_SIZE.write_text(str(_PIPE_SIZE_NEEDED))
    return criu()


def pagelift(name: str) -> Path:
    """One of our own programs, from PAGELIFT_BIN_DIR or bin/."""
    if name == "pagelift" and _SANDBOX:
        return _with_sandboxed_siblings() / name
    return _built(name, [_bin()])


def sandboxed(name: str) -> list[str | Path]:
    """The start of its command line, confined as this run wants it."""
    return [pagelift(name), *_sandbox_options()]


def _sandbox_options() -> list[str]:
    return ["--sandbox", _SANDBOX] if _SANDBOX else []


@functools.cache
def _with_sandboxed_siblings() -> Path:
    """A folder with a `pagelift` that starts the others, which it finds beside
    itself, with the option, too."""
    folder = Path(tempfile.mkdtemp(prefix="pagelift-sandboxed-"))
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    shutil.copy(_built("pagelift", [_bin()]), folder / "pagelift")
    for name in ("pageliftd", "pagelift-server"):
        script = folder / name
        options = " ".join(_sandbox_options())
        script.write_text("#!/bin/sh\nexec "
                          f'{_built(name, [_bin()])} "$@" {options}\n')
        script.chmod(0o755)
    return folder


def target(name: str) -> Path:
    """A program that is restored, from where our own are, or from Bazel."""
    source = Path("tests/e2e/targets") / name
    if source.suffix:
        return REPOSITORY / source
    return _built(name, [_bin(), REPOSITORY / "bazel-bin" / source.parent,
                         REPOSITORY / "bazel-bin/tests/scale/targets",
                         REPOSITORY / "bazel-bin/tests/stress/torture"])


def stress(name: str) -> Path:
    """A program of tests/stress/lazify, likewise."""
    return _built(name, [_bin(), REPOSITORY / "bazel-bin/tests/stress/lazify"])


def bench(name: str) -> Path:
    """A program of tests/bench, from where our own are, or from Bazel."""
    return _built(name, [_bin(), REPOSITORY / "bazel-bin/tests/bench"])


def _bin() -> Path:
    return Path(os.environ.get("PAGELIFT_BIN_DIR", REPOSITORY / "bin"))


def _built(name: str, folders: list[Path]) -> Path:
    for folder in folders:
        path = folder.resolve() / name
        if os.access(path, os.X_OK):
            return path
    raise Failed(f"{name} is not in {' or '.join(map(str, folders))}; build "
                 "it, or say in PAGELIFT_BIN_DIR where it is")
