"""What is unmapped before it arrives is not fetched any more."""

import re

from harness.images import PAGE
from harness.namespaces import Failed
from harness.workloads import CommandedTarget

# What the pager may have asked for when the region went, and what may have come
# between the target's look at it and that moment.
_UNDER_WAY = (16 << 20) // PAGE


class Unmapping(CommandedTarget):
    """unmapping_target.py, which tells what it has unmapped unseen."""

    def __init__(self) -> None:
        super().__init__("unmapping_target.py")

    def judge(self, lazy_pages: int, during: str, report: dict) -> None:
        told = re.search(r"unmapped=(\d+) arrived=(\d+)", during)
        if told is None:
            raise Failed(f"nothing was unmapped: {during}")
        unmapped, arrived = map(int, told.groups())
        if arrived > unmapped // 2:
            raise Failed(f"{arrived} of {unmapped} pages had arrived before "
                         "they were unmapped: nothing is shown; have the cable "
                         "carry less")
        most = lazy_pages - unmapped + arrived + _UNDER_WAY
        requests = report["demand_fetches"]
        # A page that is on its way already is asked for again by a fault.
        received = report["bytes_received"] // PAGE - requests
        if max(received, requests) > most:
            raise Failed(f"{arrived} of {unmapped} pages had arrived before "
                         f"they were unmapped, of {lazy_pages} in all, but "
                         f"{received} and {requests} for faults were fetched")
