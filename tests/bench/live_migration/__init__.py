"""Measures how processes move between hosts.

Modules, lowest first: `copying` (files over the cable), `ways` (who moves a
process), `service` (a redis under load that is moved, as its clients see it),
`downtime` (by memory), `table` and `plot` (what came of it).
"""
