#!/bin/sh
# static-object.sh OUT ARCHIVE... - links archives into one object whose only global symbols are the public ones.
set -eu
out=$1
shift
ld -r -o "$out" --whole-archive "$@" --no-whole-archive
objcopy --wildcard --keep-global-symbol='granary_[a-z]*' "$out"
