"""Large dicts, and a lot of look-ups in them: few keys often, most seldom.

    zipf_dicts.py SEED

Says "ready" when the dicts are there, waits for a line, looks keys up, says
"done", and waits for the end of its input.
"""

import itertools
import random
import sys

_DICTS = 4
_KEYS = 90_000
_LOOKUPS = 5_000


def main() -> None:
    names = list(range(_DICTS * _KEYS))
    random.Random(0).shuffle(names)
    dicts = [{} for _ in range(_DICTS)]
    for name in names:
        # A value is a few objects, as a record of some program would be.
        dicts[name % _DICTS][f"key {name}"] = [f"value {name}", name * 1.5,
                                               (name, None), b"x" * 150]
    weights = itertools.accumulate(
        1 / (rank + 1) for rank in range(len(names)))
    random.Random(1).shuffle(names)
    chosen = random.Random(int(sys.argv[1])).choices(
        names, cum_weights=list(weights), k=_LOOKUPS)
    wanted = [(name % _DICTS, f"key {name}") for name in chosen]
    print("ready", flush=True)
    sys.stdin.readline()
    total = 0
    for where, key in wanted:
        value = dicts[where][key]
        total += len(value[0]) + value[2][0] + value[3][0]
    print("done", total, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
