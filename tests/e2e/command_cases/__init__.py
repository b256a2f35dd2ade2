"""What tests/e2e/commands tries. Each case tells what it saw, or raises."""

from . import (complete, confined, inspect, lazy_pages, replicas, seal,
               security, serve, sink, status, thin, tune, unavailable, verify,
               workingset)

# The last leave sessions that have failed.
CASES = [*lazy_pages.CASES, *serve.CASES, *inspect.CASES, *status.CASES,
         *complete.CASES, *tune.CASES, *workingset.CASES, *verify.CASES,
         *replicas.CASES, *seal.CASES, *thin.CASES,
         *sink.CASES, *security.CASES, *confined.CASES,
         *unavailable.CASES]
