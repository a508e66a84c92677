#!/usr/bin/env bash
# Prints the path of a Python with the HTTP/2 packages that the torture suites speak with (PyPI h2, hpack, hyperframe),
# which are fetched once.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lateen
venv=$cache/h2-venv
mkdir -p "$cache"
exec 9>"$cache/h2-venv.lock"
flock 9
if ! "$venv/bin/python" -c 'import h2, hpack, hyperframe' 2>/dev/null; then
  echo "fetching h2, hpack and hyperframe (PyPI)" >&2
  python3 -m venv "$venv" >&2
  "$venv/bin/pip" -q install --disable-pip-version-check h2==4.3.0 hpack==4.1.0 hyperframe==6.1.0 >&2
fi
echo "$venv/bin/python"
