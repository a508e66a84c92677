#!/usr/bin/env bash
# Builds the generated Envoy v3 API (PyPI xds-protos, pinned) once for all presets and prints the folder it is in:
#   FOLDER/include  the *.pb.h      FOLDER/libenvoy_api.a
# The folder's name holds a hash of everything that goes in, so a change makes a new one. Nothing of it is committed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
XDS_PROTOS=1.85.0
cache=${LATEEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lateen}
protoc_version=$(protoc --version | tr -d ' ')
key=$( (cat "$here/files.txt" "$here/descriptors.py" "$here/CMakeLists.txt"; echo "$XDS_PROTOS $protoc_version $(g++ -dumpfullversion)") | sha256sum | cut -c1-12)
out="$cache/envoy-api-$key"
if [ -e "$out/libenvoy_api.a" ]; then echo "$out"; exit 0; fi
mkdir -p "$cache"
exec 9>"$cache/envoy-api.lock"
flock 9
if [ -e "$out/libenvoy_api.a" ]; then echo "$out"; exit 0; fi
work=$(mktemp -d "$cache/envoy-api-work.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "envoy api: fetching xds-protos $XDS_PROTOS" >&2
python3 -m venv "$work/venv" >&2
"$work/venv/bin/pip" -q install --disable-pip-version-check "xds-protos==$XDS_PROTOS" >&2
"$work/venv/bin/python" "$here/descriptors.py" "$here/files.txt" "$work/set.bin" >&2
mkdir -p "$work/generated"
names=$("$work/venv/bin/python" - "$work/set.bin" <<'PY'
import sys
from google.protobuf import descriptor_pb2
files = descriptor_pb2.FileDescriptorSet.FromString(open(sys.argv[1], "rb").read()).file
print(" ".join(f.name for f in files if not f.name.startswith("google/protobuf/")))
PY
)
# shellcheck disable=SC2086
protoc --descriptor_set_in="$work/set.bin" --cpp_out="$work/generated" $names
echo "envoy api: compiling (about two minutes on two cores, once)" >&2
launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=None -DGENERATED="$work/generated" "${launcher[@]}" >&2
cmake --build "$work/build" -j "${JOBS:-$(nproc)}" >&2
mkdir -p "$work/done"
cp "$work/build/libenvoy_api.a" "$work/done/"
mkdir -p "$work/done/include"
(cd "$work/generated" && find . -name "*.pb.h" -print0 | xargs -0 cp --parents -t "$work/done/include")
cp "$work/set.bin" "$work/done/descriptors.bin"
rm -rf "$out"
mv "$work/done" "$out"
echo "$out"
