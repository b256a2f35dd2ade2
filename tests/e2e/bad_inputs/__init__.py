"""What tests/e2e/bad_input gives the programs, and what has to come of it."""

from . import lazy_pages, lost_pages, restore

CASES = [*restore.CASES, *lazy_pages.CASES, *lost_pages.CASES]
