#!/usr/bin/env bash
# Our xDS against istiod's: golden.sh [CASES_DIR]. Without a folder: the cases of the repository.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then exec python3 tools/golden.py compare build/lateen "$1"; fi
cmake --build --preset release --target golden_test
exec build/release/golden_test
