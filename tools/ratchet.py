#!/usr/bin/python3
"""No function over 70 lines, no file over 500 lines in src/. Exceptions may only shrink.

    tools/ratchet.py             exit 1 with a line for each offence
    tools/ratchet.py --update    lowers and removes entries of tools/ratchet.allow; never raises or adds one
    tools/ratchet.py --self-test

An entry of the allow file is "LINES PATH" for a file, "LINES PATH:FUNCTION" for a function. One that is higher
than what it allows is an offence too, so an exception that has shrunk cannot grow back.
"""
import os
import re
import sys

FUNCTION_MAX = 70
FILE_MAX = 500
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ALLOW = os.path.join(ROOT, "tools", "ratchet.allow")
NAME = re.compile(r"(\w+)\s*\(")


def functions(lines):
    """(name, first line, number of lines) of each function: its brace stands alone in column 0 (clang-format)."""
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
            while start > 0 and lines[start - 1].strip() and not lines[start - 1].startswith(("#", "}", "/", " */")):
                start -= 1
        elif line == "}" and start is not None:
            match = NAME.search(" ".join(lines[start:number]))
            yield (match.group(1) if match else "?", start + 1, number - start + 1)
            start = None


def measure(name, text):
    """what -> lines, for everything above the limits in one file."""
    lines = text.split("\n")
    count = len(lines) - 1 if lines[-1] == "" else len(lines)
    over = {name: count} if count > FILE_MAX else {}
    for function, _, length in functions(lines):
        if length > FUNCTION_MAX:
            over[f"{name}:{function}"] = length
    return over


def measure_tree():
    over = {}
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        for name in names:
            if name.endswith((".c", ".h")):
                path = os.path.join(folder, name)
                with open(path) as f:
                    over.update(measure(os.path.relpath(path, ROOT), f.read()))
    return over


def read_allow():
    if not os.path.exists(ALLOW):
        return {}
    with open(ALLOW) as f:
        entries = [line.split(None, 1) for line in f.read().splitlines() if line and not line.startswith("#")]
    return {what: int(lines) for lines, what in entries}


def compare(over, allow):
    for what, lines in sorted(over.items()):
        most = FUNCTION_MAX if ":" in what else FILE_MAX
        if lines > allow.get(what, most):
            yield f"{what}: {lines} lines, at most {allow.get(what, most)}; split it"
    for what, lines in sorted(allow.items()):
        if over.get(what, 0) < lines:
            yield f"tools/ratchet.allow: {what} no longer needs {lines} lines; run tools/ratchet.py --update"


def update(over, allow):
    kept = {what: min(lines, over[what]) for what, lines in allow.items() if what in over}
    with open(ALLOW, "w") as f:
        f.write("# What is still longer than tools/ratchet.py wants. Entries may only shrink and go.\n")
        f.writelines(f"{lines} {what}\n" for what, lines in sorted(kept.items()))


def self_test():
    long_function = "int f(void)\n{\n" + "    g();\n" * 68 + "}\n"
    assert measure("a.c", long_function) == {"a.c:f": 71}, measure("a.c", long_function)
    assert measure("a.c", long_function.replace("    g();\n", "", 1)) == {}
    two = "static void\nlong_name(int a,\n          int b)\n{\n" + "    g();\n" * 70 + "}\n\nint f(void)\n{\n}\n"
    assert measure("a.c", two) == {"a.c:long_name": 75}, measure("a.c", two)
    assert measure("b.c", "x\n" * 501) == {"b.c": 501}
    assert measure("b.c", "x\n" * 500) == {}
    assert list(compare({"b.c": 501}, {})) == ["b.c: 501 lines, at most 500; split it"]
    assert list(compare({"b.c": 501}, {"b.c": 501})) == []
    assert len(list(compare({"b.c": 502}, {"b.c": 501}))) == 1
    assert len(list(compare({}, {"b.c": 501}))) == 1, "an entry that is not needed"
    assert len(list(compare({"b.c": 501}, {"b.c": 510}))) == 1, "an entry that may shrink"
    print("ratchet.py: finds what is too long, and entries that should have shrunk")
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    over, allow = measure_tree(), read_allow()
    if sys.argv[1:] == ["--update"]:
        update(over, allow)
        allow = read_allow()
    offences = list(compare(over, allow))
    print("\n".join(offences) if offences else f"ratchet: lengths are within limits, {len(allow)} exceptions")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
