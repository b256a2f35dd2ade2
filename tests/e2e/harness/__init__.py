"""Checkpoints real processes and restores them lazily, several ways.

Modules, lowest first: `waiting` (conditions with deadlines), `namespaces`
(hosts and guests), `tools` (the programs used), `images` (what CRIU wrote),
`scene` (a folder, two hosts, their clean-up), `checkpoint` (dumping),
`workloads`, `redis_workload` and `java` (what is checkpointed, and how it is told that
its memory is right), `ways` (how it is restored), `cases` (all of it together). For migrations: `lan`
(clients, and an address that moves), `open_loop` (what a client does),
`migration` (two hosts that take them).
"""
