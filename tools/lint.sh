#!/bin/sh
# Every check that needs no running: each is run even when an earlier one failed, then the sum is said.
set -u
cd "$(dirname "$0")/.."
build=${BUILD:-build}
failed=""

check() {
    name=$1
    shift
    started=$(date +%s)
    if "$@"; then
        echo "ok    $name ($(($(date +%s) - started)) s)"
    else
        echo "FAIL  $name"
        failed="$failed $name"
    fi
}

format() {
    bad=$(git ls-files '*.c' '*.h' | while read -r file; do
        clang-format "$file" | cmp -s - "$file" || echo "$file"
    done)
    [ -z "$bad" ] || {
        echo "not formatted; run: clang-format -i" $bad
        return 1
    }
}

plain_build() {
    [ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null || return 1
    ninja -C "$build" >"$build/lint-build.log" 2>&1 || {
        tail -40 "$build/lint-build.log"
        return 1
    }
}

cpp() {
    cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr --std=c11 \
        -j "$(nproc)" --library=posix --suppress=missingInclude --suppress=missingIncludeSystem \
        --suppressions-list=tools/cppcheck.suppress \
        -D_GNU_SOURCE -Isrc -Iinclude src examples
}

self_tests() {
    for tool in layers ratchet words; do
        /usr/bin/python3 "tools/$tool.py" --self-test || return 1
    done
}

check build plain_build
check format format
check words /usr/bin/python3 tools/words.py
check model-names /usr/bin/python3 tools/model.py --names
check ratchet /usr/bin/python3 tools/ratchet.py
check layers /usr/bin/python3 tools/layers.py --build "$build"
check self-tests self_tests
check cppcheck cpp
check fanalyzer /usr/bin/python3 tools/analyze.py "$build" fanalyzer
check clang-tidy /usr/bin/python3 tools/analyze.py "$build" clang-tidy

if [ -n "$failed" ]; then
    echo "lint: failed:$failed"
    exit 1
fi
echo "lint: all checks passed"
