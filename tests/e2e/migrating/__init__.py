"""The cases of tests/e2e/migration. Each tells what it has shown, or raises."""

from .moving import (a_process_is_moved, a_tree_goes_there_and_back)

CASES = (
    a_process_is_moved,
    a_tree_goes_there_and_back,
)
