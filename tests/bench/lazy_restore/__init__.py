"""Measures lazy restores side by side.

Modules, lowest first: `measured` (a process and what it used), `workload` (what
is checkpointed), `contenders` (who restores it, over what link),
`replying` (the same of whole programs),
`comparison` (all of them in turn), `targets` (what is to come of it), `table`
(what did).
"""
