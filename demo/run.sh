#!/bin/sh
# The main job, on this machine's own files: see demo.py. Called by `make demo` after building.
set -eu
cd "$(dirname "$0")/.."
exec python3 demo/demo.py --granary "${GRANARY:-build/bin/granary}" "$@"
