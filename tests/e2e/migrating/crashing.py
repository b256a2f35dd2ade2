"""One migration during which something dies, at a moment of one's choice."""

import collections
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import tools
from harness.beats import (NAMES, network_of, size_of, stays, wait_for_beats)
from harness.migration import (CRIU, GUARD, SERVER, Migration, Stage, Station,
                               stage)
from harness.namespaces import Failed
from harness.waiting import PATIENCE_SECONDS, wait_until
from harness.workers import HOLDER, WORKER

TARGET = "beating_target"
# In their order, as the log of a migration's server calls them.
STEPS = ("preparing", "parking", "shipping", "restoring", "committing",
         "resuming", "spooling", "draining")
# Until when something dies after a step has begun, unless that is said.
LONGEST_SECONDS = 0.06
_GIVE_UP = "3s"
_LINK_SECONDS = (0.1, 5.0)
_SLOT_HEADER_BYTES = 32
_COMMITTED = ("committed", "resumed", "spooled", "released")

# Whether there was anything to be hurt.
Victim = Callable[[Stage, Migration, random.Random], bool]


def _kill_at(side: str, *comms: str) -> Victim:
    def victim(here: Stage, migration: Migration, chance: random.Random) -> bool:
        del here, chance
        station: Station = getattr(migration, side)
        return any([station.kill(comm) for comm in comms])
    return victim


def _kill_command(here: Stage, migration: Migration,
                  chance: random.Random) -> bool:
    del here, chance
    was_there = migration.command.exit_code() is None
    migration.command.send_signal(signal.SIGKILL)
    return was_there


def _cut_link(here: Stage, migration: Migration, chance: random.Random) -> bool:
    del migration
    here.scene.source.run(["ip", "link", "set", "cable", "down"])
    time.sleep(chance.uniform(*_LINK_SECONDS))
    here.scene.source.run(["ip", "link", "set", "cable", "up"])
    return True


VICTIMS: dict[str, Victim] = {
    "command": _kill_command,
    "server": _kill_at("source", SERVER),
    "guard": _kill_at("source", GUARD),
    "server-and-guard": _kill_at("source", GUARD, SERVER),
    "criu-dump": _kill_at("source", CRIU, "ld-linux-x86-64"),
    "receiver": _kill_at("destination", SERVER),
    "criu-restore": _kill_at("destination", CRIU, "ld-linux-x86-64"),
    "pager": _kill_at("destination", WORKER),
    "pager-holder": _kill_at("destination", HOLDER),
    "link": _cut_link,
}


@dataclass(frozen=True)
class Outcome:
    victim: str
    step: str
    state: str  # released or aborted.
    hit: bool


class Crasher:
    """Migrates one target between two stations, again and again."""

    def __init__(self, here: Stage, longest_seconds: float) -> None:
        self._here = here
        self._longest_seconds = longest_seconds
        self._state = here.scene.make_folder("state")
        self._at = here.left
        self._at.host.start_target(
            [tools.target(TARGET), "--state", self._state],
            self._state / "log")
        wait_for_beats(self._state, self._at.host)

    def run(self, victim: str, step: str, chance: random.Random) -> Outcome:
        """Raises if the outcome is not one that docs/migration.md has."""
        here = self._here
        source = self._at
        destination = here.right if source is here.left else here.left
        since = {name: size_of(self._state, name) for name in NAMES}
        # The target may have all of its memory before the spool is begun.
        migration = here.migrate(source, destination, "--give-up-after",
                                 _GIVE_UP, "--spool-after",
                                 chance.choice(("0s", "2s")))
        place = place_of(migration)
        wait_for_step(place, step, migration)
        time.sleep(chance.uniform(0, self._longest_seconds))
        before = _recorded(place)
        hit = VICTIMS[victim](here, migration, chance)
        state = settle(migration, place)
        if before in _COMMITTED and state != "released":
            raise Failed(f"was {before}, and then {state}")
        there = destination if state == "released" else source
        other = source if there is destination else destination
        wait_for_beats(self._state, there.host)
        wait_until(f"{TARGET} gone at {other.host.name}",
                   lambda: not other.processes(TARGET))
        self._judge(since, source, destination, state)
        self._at = there
        return Outcome(victim, step, state, hit)

    def _judge(self, since: dict[str, int], source: Station,
               destination: Station, state: str) -> None:
        allowed = [network_of(source.host)]
        if state == "released":
            allowed.append(network_of(destination.host))
        for name in NAMES:
            been = [stay.network
                    for stay in stays(self._state, name, since[name])]
            if been not in (allowed, allowed[-1:]):
                raise Failed(f"{name} has been at {been}, not at {allowed}")


def place_of(migration: Migration) -> Path:
    """Where the source keeps what it knows of it; only to be asked once."""
    def new() -> Path | None:
        found = set(migration.source.migrations.glob("*/plan")) - _SEEN
        return next(iter(found), None)

    plan = wait_until("a plan", new, PATIENCE_SECONDS,
                      migration.command.raise_if_failed)
    _SEEN.add(plan)
    return plan.parent


_SEEN: set[Path] = set()


def wait_for_step(place: Path, step: str, migration: Migration) -> None:
    """Returns when that step has begun: when the one before it is done."""
    if step == STEPS[0]:
        return
    done = f"{STEPS[STEPS.index(step) - 1]}: done"
    log = place / "log"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (log.exists() and done in log.read_text(errors="replace")):
        if (migration.command.exit_code() is not None
                or time.monotonic() > deadline):
            raise Failed(f"never came to be {step}: "
                         f"{migration.command.log.read_text()[-2000:]}")
        time.sleep(0.0005)


def _recorded(place: Path) -> str:
    """The state in the record: the first field, of few bytes, of the message
    in the newer of its two slots (record_file.h)."""
    with contextlib.suppress(FileNotFoundError):
        data = (place / "record").read_bytes()
        slots = (data[:len(data) // 2], data[len(data) // 2:])
        newer = max(slots, key=lambda slot: int.from_bytes(
            slot[8:16], sys.byteorder))
        message = newer[_SLOT_HEADER_BYTES:]
        if len(message) > 2 and message[0] == 0x0a:
            return message[2:2 + message[1]].decode()
    return "planned"


def settle(migration: Migration, place: Path) -> str:
    """How it ends, whoever has to be started again for that."""
    wait_until("pagelift migrate ending",
               lambda: migration.command.exit_code() is not None)
    source = migration.source
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        source.runs += 1
        output = source.folder / f"migrate-{source.runs}-resumed.log"
        resumed = source.host.start(
            "pagelift migrate --resume",
            [tools.pagelift("pagelift"), "migrate", "--resume", place.name,
             "--json", "--state", source.migrations], output)
        code = resumed.wait(PATIENCE_SECONDS)
        if code in (0, 1):
            state = _recorded(place)
            if state in ("released", "aborted"):
                return state
            raise Failed(f"ended with {code}, and is {state}: "
                         f"{output.read_text()[-2000:]}")
    raise Failed(f"never ended; see {place}")


def crash(times: int, seed: int, victims: list[str], steps: list[str],
          longest_seconds: float,
          tell: Callable[[str], None]) -> collections.Counter[Outcome]:
    """So many migrations, each with a death."""
    outcomes: collections.Counter[Outcome] = collections.Counter()
    chance = random.Random(seed)
    plan = [(victim, step) for victim in victims for step in steps]
    chance.shuffle(plan)
    with stage("migration-crashes") as here:
        crasher = Crasher(here, longest_seconds)
        for number in range(times):
            victim, step = plan[number % len(plan)]
            try:
                outcome = crasher.run(victim, step, chance)
            except Exception:
                tell(f"in run {number}: {victim} while {step}")
                raise
            outcomes[outcome] += 1
            tell(f"{number + 1}/{times} {victim} while {step}: "
                 f"{outcome.state}{'' if outcome.hit else ', was not there'}")
    return outcomes
