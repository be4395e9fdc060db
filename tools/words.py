#!/usr/bin/python3
"""Nothing in the repository refers to the machine that it was written on, or leaves work for later.

    tools/words.py [--self-test]    exit 1 with a line for each place
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Written in pieces, so that this file does not find itself.
FORBIDDEN = [
    (re.compile("/tmp" + "/wt" + r"\b"), "a path of one machine"),
    (re.compile("/tmp" + "/land" + r"\b"), "a path of one machine"),
    (re.compile("(?<![a-z.])/work" + "/"), "a path of one machine"),
    (re.compile(r"\.\./sha" + "red"), "a path outside the repository"),
    (re.compile(r"\b(TO" + "DO|FIX" + "ME|X" + r"XX)\b"), "work left for later"),
    (re.compile(r"\bbri" + r"ef\.md\b"), "a file outside the repository"),
]


def offences(text):
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, why in FORBIDDEN:
            match = pattern.search(line)
            if match:
                yield number, match.group(0), why


def self_test():
    planted = ["see /tmp" + "/wt/x", "cd /work" + "/main", "../sha" + "red/a", "/* TO" + "DO: later */", "FIX" + "ME"]
    for text in planted:
        assert list(offences(text)), text
    for text in ["mkdir -p foo/work/x", "a TODOS list", "mktemp -d /tmp/x", "/sys/fs/cgroup"]:
        assert not list(offences(text)), text
    print("words.py: finds every planted word")
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    bad = 0
    for path in filter(None, listed.split("\0")):
        try:
            with open(os.path.join(ROOT, path), encoding="utf-8") as f:
                text = f.read()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        for number, word, why in offences(text):
            print(f"{path}:{number}: '{word}': {why}")
            bad = 1
    if not bad:
        print("words: nothing refers to outside, nothing is left for later")
    return bad


if __name__ == "__main__":
    sys.exit(main())
