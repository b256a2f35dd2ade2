"""What tests/e2e/commands tries. Each case tells what it saw, or raises."""

from . import (complete, inspect, lazy_pages, serve, status, tune, unavailable,
               workingset)

CASES = [*lazy_pages.CASES, *serve.CASES, *inspect.CASES, *status.CASES,
         *complete.CASES, *tune.CASES, *unavailable.CASES,
         *workingset.CASES]
