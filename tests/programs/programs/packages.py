"""Packages that only these programs need: large, so not everybody has them."""

import shutil
import subprocess
from pathlib import Path

from harness.namespaces import Failed

# By program: a package, and what it is wanted for.
_NEEDED: dict[str, list[tuple[str, str]]] = {
    "jvm": [("default-jdk-headless", "javac"), ("default-jdk-headless", "java")],
    "postgresql": [("postgresql", "postgres"), ("postgresql-client", "psql")],
}
_POSTGRESQL = Path("/usr/lib/postgresql")


def find(name: str) -> Path:
    """A program of one of these packages; of the newest PostgreSQL."""
    folders = sorted(_POSTGRESQL.glob("*/bin"),
                     key=lambda folder: int(folder.parent.name), reverse=True)
    path = ":".join(map(str, [*folders, "/usr/local/bin", "/usr/bin"]))
    found = shutil.which(name, path=path)
    if found is None:
        raise Failed(f"{name} is missing; tests/programs/run --install "
                     "installs it")
    return Path(found)


def missing(program: str) -> list[str]:
    """The packages that have to be installed for it."""
    wanted = set()
    for package, name in _NEEDED.get(program, []):
        try:
            find(name)
        except Failed:
            wanted.add(package)
    return sorted(wanted)


def install(packages: list[str]) -> None:
    print(f"installing {', '.join(packages)}", flush=True)
    for command in (["update", "-q"],
                    ["install", "-qy", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", *command], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
