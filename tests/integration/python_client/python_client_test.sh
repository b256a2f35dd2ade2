#!/bin/bash
# Serves a checkpoint with the real pagelift-server and reads it with a client in
# Python whose code is generated here and now from the .proto: what any other
# language would do.
set -euo pipefail

readonly SERVER="$1" MAKE_CHECKPOINT="$2" PROTO="$3" CLIENT="$4"

die() {
  echo "python_client_test: FAILED: $*" >&2
  exit 1
}

# The distribution's own, as the others would lack these modules.
readonly PYTHON=/usr/bin/python3 PROTOC=/usr/bin/protoc
readonly PLUGIN=/usr/bin/grpc_python_plugin
for tool in "${PYTHON}" "${PROTOC}" "${PLUGIN}"; do
  [[ -x "${tool}" ]] || die "no ${tool}: run tools/install_deps"
done
"${PYTHON}" -c 'import google.protobuf, grpc, xxhash' ||
  die "python3-grpcio, python3-protobuf or python3-xxhash: run tools/install_deps"

scratch="$(mktemp -d)"
server_pid=""
clean_up() {
  [[ -z "${server_pid}" ]] || kill "${server_pid}" 2>/dev/null || true
  rm -rf "${scratch}"
}
trap clean_up EXIT

mkdir -p "${scratch}/code" "${scratch}/images/nested"
proto_root="${PROTO%pagelift/v1/page_server.proto}"
"${PROTOC}" --proto_path="${proto_root}" --plugin=protoc-gen-grpc="${PLUGIN}" \
  --python_out="${scratch}/code" --grpc_out="${scratch}/code" \
  "${PROTO}" "${PROTO%/*}/working_set.proto"

"${MAKE_CHECKPOINT}" "${scratch}/images/nested/one"

# The address is on the first line; the newline on the pipe says that it serves.
mkfifo "${scratch}/ready"
"${SERVER}" --listen 127.0.0.1:0 --root "${scratch}/images" \
  --image "missing=${scratch}/nowhere" --ready-fd 3 \
  3>"${scratch}/ready" >"${scratch}/stdout" 2>"${scratch}/log" &
server_pid=$!
read -r -t 30 <"${scratch}/ready" ||
  die "the server does not start: $(cat "${scratch}/log")"
address="$(sed -n 's/^listening on //p' "${scratch}/stdout")"
[[ -n "${address}" ]] || die "the server does not say where it listens"

PYTHONPATH="${scratch}/code" PYTHONDONTWRITEBYTECODE=1 \
  "${PYTHON}" "${CLIENT}" "${address}" nested/one "${scratch}/images/nested/one" ||
  die "log of the server: $(cat "${scratch}/log")"

kill -TERM "${server_pid}"
wait "${server_pid}" || die "the server ended with $? after SIGTERM"
server_pid=""
grep -q 'msg="stopped"' "${scratch}/log" || die "the server did not say goodbye"
