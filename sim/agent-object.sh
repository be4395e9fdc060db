#!/bin/sh
# agent-object.sh OUT PUBLIC OBJECT... - one object of the agent's claims and what stands in for their world.
# Its names are its own (some are the core's, too): only those that begin with PUBLIC can be seen from outside.
set -eu
out=$1
public=$2
shift 2
ld -r -o "$out.parts" "$@"
duplicate=$(nm -u "$out.parts" | sed -n 's/^ *U \(fcntl[0-9]*\)$/\1/p')
objcopy --redefine-sym close=standin_close --redefine-sym "$duplicate=standin_fcntl" "$out.parts"
ld -r -o "$out" "$out.parts" # what was renamed meets its definition
rm "$out.parts"
objcopy --wildcard --keep-global-symbol="$public*" "$out"
