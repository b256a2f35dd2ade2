"""Measures lazy restores side by side.

Modules, lowest first: `measured` (a process and what it used), `workload` (what
is checkpointed), `relay` (a slow network), `contenders` (who restores it),
`comparison` (all of them in turn), `table` (what came of it).
"""
