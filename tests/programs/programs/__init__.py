"""Whole programs to checkpoint, each able to tell if its memory is right.

Modules: `redis` and `redis_churn`, `java`, `postgres`, `unmapping`, and
`packages`, which says what they need. The other Python programs are plain targets of tests/e2e/targets.
"""

from collections.abc import Callable

from harness.workloads import CommandedTarget, Workload

from .java import JavaHeap
from .postgres import Postgres
from .redis import BusyRedis
from .unmapping import Unmapping

PROGRAMS: dict[str, Callable[[], Workload]] = {
    "redis": BusyRedis,
    "cpython": lambda: CommandedTarget("forking_target.py"),
    "sqlite": lambda: CommandedTarget("sqlite_target.py"),
    "jvm": JavaHeap,
    "postgresql": Postgres,
    "unmapping": Unmapping,
}
