#!/usr/bin/env bash
# make torture: the three suites against build/lateen. Arguments go to run.py.
set -euo pipefail
cd "$(dirname "$0")"
exec "$(../../tools/h2_python.sh)" run.py "$@"
