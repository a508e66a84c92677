#!/usr/bin/env bash
# Our xDS against istiod's: golden.sh [CASES_DIR]. Without a folder: the cases of the repository, and those of the whole
# corpus where it lies beside the repository.
set -euo pipefail
cd "$(dirname "$0")/.."
compare() { python3 tools/golden.py compare --reasons tests/golden/reasons.json build/lateen "$1"; }
if [ $# -gt 0 ]; then compare "$1"; exit; fi
status=0
compare tests/golden || status=1
if [ -d ../shared/golden ]; then compare ../shared/golden || status=1; fi
exit $status
