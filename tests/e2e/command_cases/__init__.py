"""What tests/e2e/commands tries. Each case tells what it saw, or raises."""

from . import lazy_pages

CASES = [*lazy_pages.CASES]
