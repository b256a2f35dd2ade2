"""The cases of tests/e2e/migration. Each tells what it has shown, or raises."""

from .commanding import (a_dry_run_changes_nothing, a_migration_is_aborted,
                         a_spool_on_the_disk_outlives_its_server,
                         hooks_are_run, one_that_is_told_to_end_goes_on,
                         one_that_lacks_memory_is_not_moved, over_tls,
                         what_is_in_the_way_is_told, without_a_spool)
from .moving import (a_criu_that_cannot_be_answered_looks_for_itself,
                     a_process_is_moved, a_tree_goes_there_and_back)
from .scanning import strangers_connect_to_everything
from .serving import (connections_move_along, connections_stay_if_all_die,
                      connections_stay_if_it_fails)

CASES = (
    a_process_is_moved,
    a_criu_that_cannot_be_answered_looks_for_itself,
    a_tree_goes_there_and_back,
    connections_move_along,
    connections_stay_if_it_fails,
    connections_stay_if_all_die,
    strangers_connect_to_everything,
    a_dry_run_changes_nothing,
    what_is_in_the_way_is_told,
    one_that_lacks_memory_is_not_moved,
    a_migration_is_aborted,
    over_tls,
    a_spool_on_the_disk_outlives_its_server,
    without_a_spool,
    one_that_is_told_to_end_goes_on,
    hooks_are_run,
)
