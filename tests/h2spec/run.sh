#!/usr/bin/env bash
# h2spec, whole, against the listener of a gateway that `lateen run` serves. All cases must pass.
#
# The tool is built once, from its Go module and the dependencies that go.mod beside this file pins; H2SPEC names another
# binary. Exit 77: there is no Go to build it with.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cases=145

find_h2spec() {
  if [ -n "${H2SPEC:-}" ]; then echo "$H2SPEC"; return; fi
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/lateen
  mkdir -p "$cache"
  exec 9>"$cache/h2spec.lock"
  flock 9
  local built
  built=$cache/h2spec-$(cat "$here/go.mod" "$here/go.sum" | sha256sum | cut -c1-12)
  if [ ! -x "$built" ]; then
    local go
    go=$(command -v go || ls /usr/local/go/bin/go 2>/dev/null) || return 77
    echo "building h2spec" >&2
    "$go" -C "$here" build -o "$built.new" github.com/summerwind/h2spec/cmd/h2spec >&2 || return 1
    mv "$built.new" "$built"
  fi
  echo "$built"
}

code=0
tool=$(find_h2spec) || code=$?
if [ $code = 77 ]; then
  echo "h2spec: skipped: there is no Go here, and H2SPEC names no binary"
  exit 77
fi
[ $code = 0 ] || exit $code
exec python3 "$here/run.py" --tool "$tool" --cases "$cases" "$@"
