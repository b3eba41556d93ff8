#!/bin/sh
# The contract's derived files. Run from anywhere; needs the developer's environment.
#
#   sh proto/generate.sh           write gateway/wire/v1 anew
#   sh proto/generate.sh --check   compare gateway/wire/v1 with what it would be; exit 1 and show the difference
#   sh proto/generate.sh --keep    write proto/image.binpb: only at a release, for it is what `buf breaking` holds us to
set -eu
cd "$(dirname -- "$0")/.."
PATH=$PWD/.venv/bin:$PATH # protoc looks its plug-in up there
export PATH

# No service stubs: rpc registers raw-bytes handlers, since a signature covers the exact bytes.
generate() {
    mkdir -p "$1"
    python -m grpc_tools.protoc -Iproto --python_out="$1" --mypy_out="quiet:$1" proto/gateway/wire/v1/*.proto
}

case ${1:-} in
"")
    rm -f gateway/wire/v1/*_pb2.py gateway/wire/v1/*_pb2.pyi
    generate .
    ;;
--check)
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    generate "$fresh"
    diff -ru --exclude=__init__.py --exclude=__pycache__ gateway/wire/v1 "$fresh/gateway/wire/v1" || {
        echo "gateway/wire/v1 is not what the contract says: run make proto" >&2
        exit 1
    }
    ;;
--keep)
    python -m grpc_tools.protoc -Iproto --include_imports --include_source_info \
        --descriptor_set_out=proto/image.binpb proto/gateway/wire/v1/*.proto
    ;;
*)
    sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"
    exit 2
    ;;
esac
