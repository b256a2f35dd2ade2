"""What happens when, drawn from a seed."""

import random
from dataclasses import dataclass

# What the pager is doing when something happens to it.
MOMENTS = ("before the first fault", "mid-demand", "mid-bulk", "during a fork",
           "at the last page")

KILLS = ("kill worker", "kill holder", "kill both", "kill server")
STOPS = ("stop worker", "stop holder", "stop server")
LINKS = ("reset", "finish", "blackhole", "one-way", "dribble", "bit flips",
         "truncate", "delay")
FAULTS = KILLS + STOPS + LINKS

_MOST_AT_ONCE = 3


@dataclass(frozen=True)
class Injection:
    fault: str
    moment: str
    seconds: float  # Until it is healed.
    # Nobody heals it but the watchdogs, if that is what they are for.
    unattended: bool = False

    def __str__(self) -> str:
        how = "unattended" if self.unattended else f"{self.seconds:.2f} s"
        return f"{self.fault} {self.moment} ({how})"


def draw(seed: int) -> list[Injection]:
    """The same for the same seed. Over many seeds every fault meets every
    moment."""
    choice = random.Random(seed)
    injections = []
    for _ in range(choice.randint(1, _MOST_AT_ONCE)):
        fault = choice.choice(FAULTS)
        injections.append(Injection(
            fault, choice.choice(MOMENTS), choice.uniform(0.02, 1.5),
            unattended=fault in ("stop worker", "stop holder")
            and choice.random() < 0.5))
    return injections
