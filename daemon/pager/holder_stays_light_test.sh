#!/bin/bash
# The holder is what must never die: it depends on nothing of ours but its own
# folder, and on no library but libc.
set -euo pipefail

if grep -E '^(//|@com_)' "$1" | grep -vE '^//daemon/pager/holder[:/]' |
  grep -vE '^//tools/(bazel|cpp)[:/]'; then
  echo "FAIL: the holder depends on this" >&2
  exit 1
fi
grep -q '^//daemon/pager/holder:holder.cc$' "$1"
