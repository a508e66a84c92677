#!/usr/bin/env bash
# Makes the descriptors of all of Envoy's v3 API (PyPI xds-protos, pinned as in build.sh) once for all presets and prints
# the file that they are in. Its folder's name holds a hash of what goes in. Nothing of it is committed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
XDS_PROTOS=$(sed -n 's/^XDS_PROTOS=//p' "$here/build.sh")
cache=${LATEEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lateen}
key=$( (cat "$here/all_types.py"; echo "$XDS_PROTOS") | sha256sum | cut -c1-12)
out="$cache/envoy-types-$key"
if [ -e "$out/types.bin" ]; then echo "$out/types.bin"; exit 0; fi
mkdir -p "$cache"
exec 9>"$cache/envoy-types.lock"
flock 9
if [ -e "$out/types.bin" ]; then echo "$out/types.bin"; exit 0; fi
work=$(mktemp -d "$cache/envoy-types-work.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "envoy types: fetching xds-protos $XDS_PROTOS" >&2
python3 -m venv "$work/venv" >&2
"$work/venv/bin/pip" -q install --disable-pip-version-check "xds-protos==$XDS_PROTOS" >&2
mkdir -p "$work/done"
"$work/venv/bin/python" "$here/all_types.py" "$work/done/types.bin" >&2
rm -rf "$out"
mv "$work/done" "$out"
echo "$out/types.bin"
