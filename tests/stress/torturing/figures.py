"""What runs have done, added up."""

import json
from collections import Counter
from dataclasses import dataclass, field

# Of a session's JSON. The rest says how it is, not how much was done.
_SUMMED = ("faults", "demand_fetches", "forks", "remaps", "removes", "unmaps",
           "pages_installed", "pages_zeroed", "pages_lost", "bytes_received",
           "checksum_failures", "reconnects", "hedges", "failovers")


@dataclass
class Figures:
    """Of all runs, or of one."""

    sessions: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    pages_checked: int = 0
    processes: int = 0
    runs: int = 0
    kills: int = 0
    stalls_ms: list[float] = field(default_factory=list)

    def add_kills(self, stalls_ms: list[float], kills: int) -> None:
        """So many workers were killed, and targets waited so long for others."""
        self.kills += kills
        self.stalls_ms += stalls_ms

    def add_session(self, report: str) -> None:
        """Takes what `pagelift restore --json` says."""
        said = json.loads(report)
        self.sessions["sessions"] += 1
        for name in _SUMMED:
            self.sessions[name] += said[name]

    def add_answer(self, answer: str) -> None:
        """Takes the target's latest answer, which tells of all of its life."""
        for word in answer.split()[1:]:
            name, value = word.split("=")
            if name == "checked":
                self.pages_checked += int(value)
            elif name == "processes":
                self.processes += int(value)
            else:
                done, refused = map(int, value.split("/"))
                self.operations[name] += done
                self.refused[name] += refused

    def add(self, other: "Figures") -> None:
        self.sessions.update(other.sessions)
        self.operations.update(other.operations)
        self.refused.update(other.refused)
        self.pages_checked += other.pages_checked
        self.processes += other.processes
        self.runs += other.runs
        self.add_kills(other.stalls_ms, other.kills)

    def line(self) -> str:
        s = self.sessions
        return (f"{s['sessions']} lazy restores, "
                f"{self.operations.total()} operations, "
                f"{self.processes} processes, {self.pages_checked} pages "
                f"checked; {s['faults']} faults, {s['forks']} forks, "
                f"{s['remaps']} remaps, {s['removes']} removes, "
                f"{s['unmaps']} unmaps" + self._kills())

    def _kills(self) -> str:
        if not self.kills:
            return ""
        stalls = sorted(self.stalls_ms)
        told = f"; {self.kills} kills, {len(stalls)} of them of targets' workers"
        if stalls:
            told += (f", stall p50 {stalls[len(stalls) // 2]:.0f} p99 "
                     f"{stalls[len(stalls) * 99 // 100]:.0f} ms")
        return told

    def table(self) -> str:
        """All figures, a line each."""
        lines = [f"{'runs':>28} {self.runs:>14,}",
                 f"{'pages checked':>28} {self.pages_checked:>14,}",
                 f"{'processes forked':>28} {self.processes:>14,}"]
        lines += [f"{name.replace('_', ' '):>28} {value:>14,}"
                  for name, value in self.sessions.items()]
        if self.kills:
            lines.append(f"{'workers killed':>28} {self._kills()[2:]}")
        lines += [f"{'op ' + name.replace('_', ' '):>28} {value:>14,}"
                  f"   refused {self.refused[name]:,}"
                  for name, value in self.operations.items()]
        return "\n".join(lines)
