#!/usr/bin/env bash
# All tests. Each step is timed; a step that cannot run here says why. Fails at the end if any step failed.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
jobs=${JOBS:-$(nproc)}
failed=()
skipped=()
started=$SECONDS

step() {  # name, command...
  local name=$1 begin=$SECONDS
  shift
  printf '\n=== %s\n' "$name"
  if "$@"; then
    printf '=== %s: ok (%d s)\n' "$name" $((SECONDS - begin))
  else
    printf '=== %s: FAILED (%d s)\n' "$name" $((SECONDS - begin))
    failed+=("$name")
  fi
}
skip() {
  printf '\n=== %s: skipped: %s\n' "$1" "$2"
  skipped+=("$1: $2")
}

preset() {  # preset, targets...
  local name=$1
  shift
  cmake --preset "$name" >"build/configure-$name.log" 2>&1 || { cat "build/configure-$name.log"; return 1; }
  cmake --build --preset "$name" -j "$jobs" ${1:+--target "$@"}
}

unit_asan() { preset asan && ctest --preset asan -j "$jobs"; }
tsan() {
  local tests=(net_test stream_test proxy_test)
  preset tsan "${tests[@]}" || return 1
  local test
  for test in "${tests[@]}"; do TSAN_OPTIONS=halt_on_error=1 "build/tsan/$test" --gtest_brief=1 || return 1; done
}
fuzz() {
  local source name
  for source in tests/fuzz/*_fuzz.cc; do
    name=$(basename "$source" .cc)
    mkdir -p "build/asan/corpus/$name"
    LSAN_OPTIONS=suppressions=$root/tests/fuzz/leaks.txt "build/asan/$name" -artifact_prefix=build/asan/ -max_total_time="${FUZZ_SECONDS:-20}" -rss_limit_mb=1024 -timeout=25 -max_len=16384 -print_final_stats=0 -verbosity=0 \
      "build/asan/corpus/$name" $( [ -d "tests/fuzz/corpus/$name" ] && echo "tests/fuzz/corpus/$name") || return 1
  done
}
# Our xDS in a real Envoy, and the same requests through it and through our data plane.
beside_envoy() {
  local envoy
  envoy=$(tools/envoy.sh) || return 1
  preset release xds_proxy || return 1
  local python
  python=$(tools/h2_python.sh) || return 1
  "$python" tests/differential/accept.py --envoy "$envoy" && "$python" tests/differential/run.py --envoy "$envoy"
}
conformance() {
  tests/h2spec/run.sh
  local code=$?
  [ $code = 77 ] || return $code
  skipped+=("h2spec: there is no Go to build it with")
}
end_to_end() { LATEEN=$root/build/lateen /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/e2e; }

"$root/tools/setup.sh" test || exit 1
step "layers" python3 tools/check_layers.py src
step "unit, golden and simulation under ASan and UBSan" unit_asan
step "end to end" end_to_end
step "beside Envoy" beside_envoy
step "h2spec" conformance
step "torture, short form" tests/torture/run.sh --short
step "fuzzing, ${FUZZ_SECONDS:-20} s a target" fuzz
step "workers and snapshots under TSan" tsan

printf '\n=== %d s in all\n' $((SECONDS - started))
for line in "${skipped[@]}"; do echo "skipped: $line"; done
if [ ${#failed[@]} -gt 0 ]; then
  for line in "${failed[@]}"; do echo "FAILED: $line"; done
  exit 1
fi
echo "all passed"
