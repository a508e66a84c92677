#!/usr/bin/env bash
# Installs what the build needs and is not there (Debian 12 packages; the pinned Envoy API from PyPI, compiled once
# into the cache). Does nothing, quickly, where everything is there; needs root (or sudo) only where something is not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

build_packages="g++ cmake ninja-build ccache mold pkg-config protobuf-compiler libprotobuf-dev libfyaml-dev libsimdjson-dev
libssl-dev libre2-dev libc-ares-dev libexpected-dev libcli11-dev libfmt-dev libnghttp2-dev libgtest-dev
libbenchmark-dev python3 python3-venv curl"
test_packages="python3-pytest python3-yaml python3-h2 clang-19 libclang-rt-19-dev procps"

wanted="$build_packages"
[ "${1:-build}" = test ] && wanted="$build_packages $test_packages"

missing=""
for package in $wanted; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
  sudo=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "setup: missing packages, and neither root nor sudo here. As root: apt-get install$missing" >&2; exit 1; }
    sudo=sudo
  fi
  echo "setup: installing$missing"
  $sudo apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
"$here/envoy_api/build.sh" >/dev/null
