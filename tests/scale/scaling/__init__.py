"""The cases of tests/scale/run. Each tells what it saw, or raises."""

from . import idle, sessions, sparse, threads

CASES = {"sessions-64": sessions.sixty_four_at_once,
         "threads-64": threads.sixty_four_fault_at_once,
         "sparse-100g": sparse.hundred_gibibytes,
         "idle": idle.next_to_no_processor_time}
