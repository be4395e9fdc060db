#!/usr/bin/python3
"""Each layer may use only those before it. Checked over the built objects and the #include lines.

    tools/layers.py [--build DIR]    exit 1 with a line for each offence
    tools/layers.py --self-test      plants offences in a scratch tree and proves that each is found

Which object belongs to which layer is read from the build's compile_commands.json. For every object:
symbols that another layer defines, and symbols of libraries, must be allowed for its layer. The core is held
to more: what it needs from outside itself, also through the parts of base that it reaches, is on a short list,
so it cannot have a clock, a file or a heap. The simulator's judges may only look at the core, by its views: they share
no code with what they judge.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

# layer -> layers it may use, besides itself.
MAY_USE = {
    "base": [],
    "core": ["base"],
    "proto": ["base"],
    "store": ["base", "core"],
    "client": ["base", "proto"],
    "daemon": ["base", "core", "proto", "store", "client"],
    "agent": ["base", "proto"],
    "cli": ["base", "client"],
}

# Single files that may use more than their layer: the reading commands parse the broker's answer themselves.
FILE_MAY_USE = {
    "src/cli/query": ["proto"],
}

# Libraries by the prefix of their symbols and by header: who may use them.
LIBRARIES = {
    "uv_": ["daemon", "agent"],
    "sqlite3_": ["store"],
    "protobuf_c_": ["proto", "client", "daemon", "agent"],
    "json_": ["cli"],
}
LIBRARY_HEADERS = {
    "uv.h": ["daemon", "agent"],
    "sqlite3.h": ["store"],
    "protobuf-c/protobuf-c.h": ["proto", "client", "daemon", "agent"],
    "jansson.h": ["cli"],
}
PUBLIC_HEADER_USERS = ["client", "cli", "daemon"]

CORE_SYMBOLS = set("memcpy memset memcmp memmove strlen strcmp strncmp __assert_fail __stack_chk_fail".split())
CORE_HEADERS = set("assert.h inttypes.h limits.h stdalign.h stdbool.h stddef.h stdint.h string.h".split())
LINKER_SYMBOLS = {"_GLOBAL_OFFSET_TABLE_"}
SANITIZER_PREFIXES = ("__asan_", "__ubsan_", "__sanitizer_")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def layer_of(path):
    """'src/core/step.c' -> 'core'; None for what is in no layer."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "src" and parts[1] in MAY_USE else None


def extras_for(path):
    return [layer for prefix, more in FILE_MAY_USE.items() if path.startswith(prefix) for layer in more]


def allowed_for(path):
    return [layer_of(path)] + MAY_USE[layer_of(path)] + extras_for(path)


def library_allowed(path, users):
    return layer_of(path) in users or any(layer in users for layer in extras_for(path))


def symbols(objects):
    """path -> (defined, undefined) global symbols, for all objects at once."""
    table = {}
    for path in objects:
        defined, undefined = set(), set()
        for line in subprocess.run(["nm", "-P", path], check=True, capture_output=True, text=True).stdout.splitlines():
            name, kind = line.split()[:2]
            if kind in "Uwv":
                undefined.add(name)
            elif kind.isupper():
                defined.add(name)
        table[path] = (defined, undefined)
    return table


def read_build(build, root, wanted=layer_of):
    """object path -> (source path relative to the root or build folder, compiled with a sanitizer)."""
    objects = {}
    with open(os.path.join(build, "compile_commands.json")) as f:
        for entry in json.load(f):
            source = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
            for base in (build, root):
                relative = os.path.relpath(source, base)
                if wanted(relative):
                    path = os.path.join(entry["directory"], entry["output"])
                    if os.path.exists(path):
                        objects[path] = (relative, "-fsanitize=" in entry["command"])
                    break
    return objects


def check_objects(objects):
    table = symbols(objects)
    owners = {}  # symbol -> objects that define it: two layers that are never linked together may use one name
    for path, (defined, _) in table.items():
        for name in defined:
            owners.setdefault(name, []).append(path)

    offences = set()
    for path, (_, undefined) in table.items():
        source, _ = objects[path]
        for name in undefined:
            if name in owners:
                used = [layer_of(objects[path][0]) for path in owners[name]]
                if not set(used) & set(allowed_for(source)):
                    offences.add(f"{source}: uses {name}() of layer {used[0]}, which {layer_of(source)} must not know")
            for prefix, users in LIBRARIES.items():
                if name.startswith(prefix) and name not in owners and not library_allowed(source, users):
                    offences.add(f"{source}: uses {name}() of a library that only {', '.join(users)} may use")
    return offences | check_core(objects, table, owners)


def check_core(objects, table, owners):
    """Follows what the core reaches, object by object, through base."""
    offences = set()
    todo = [path for path, (source, _) in objects.items() if layer_of(source) == "core"]
    reached = set(todo)
    while todo:
        path = todo.pop()
        source, sanitized = objects[path]
        for name in table[path][1]:
            if name in CORE_SYMBOLS or name in LINKER_SYMBOLS or (sanitized and name.startswith(SANITIZER_PREFIXES)):
                continue
            mine = [path for path in owners.get(name, ()) if layer_of(objects[path][0]) in allowed_for(source)]
            if mine:
                if mine[0] not in reached:
                    reached.add(mine[0])
                    todo.append(mine[0])
            else:
                offences.add(f"{source}: the core must be pure, but needs {name}()")
    return offences


def is_judge(path):
    return path.startswith("sim/judge")


def check_judges(judges, objects):
    """What judges need of the core are views, which show and decide nothing."""
    core = {name for path, (defined, _) in symbols(objects).items() if layer_of(objects[path][0]) == "core" for name in defined}
    return {f"{judges[path][0]}: shares {name}() with the core that it judges"
            for path, (_, undefined) in symbols(judges).items()
            for name in undefined if name in core and not name.startswith("view_") and not name.endswith(("_name", "_text"))}


def check_includes(root):
    offences = set()
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if name.endswith((".c", ".h")) and layer_of(path):
                with open(os.path.join(root, path)) as f:
                    for number, line in enumerate(f, 1):
                        match = INCLUDE.match(line)
                        why = match and include_offence(path, *match.groups())
                        if why:
                            offences.add(f"{path}:{number}: {why}")
    return offences


def include_offence(path, kind, header):
    layer = layer_of(path)
    if header in LIBRARY_HEADERS and not library_allowed(path, LIBRARY_HEADERS[header]):
        return f"<{header}> is only for {', '.join(LIBRARY_HEADERS[header])}"
    if header == "granary.h" and layer not in PUBLIC_HEADER_USERS:
        return f"the library's header is not for {layer}"
    if kind == "<" and layer == "core" and header not in CORE_HEADERS:
        return f"<{header}> is not for the core"
    used = "proto" if header.endswith("granary.pb-c.h") else header.split("/")[0] if "/" in header else None
    if used in MAY_USE and used not in allowed_for(path):
        return f"includes {header} of layer {used}, which {layer} must not know"
    return None


def check(build, root):
    objects = read_build(build, root)
    layers = {layer_of(source) for source, _ in objects.values()}
    offences = check_objects(objects) | check_includes(root) | check_judges(read_build(build, root, is_judge), objects)
    for layer in MAY_USE:
        if layer not in layers:
            offences.add(f"src/{layer}: no built object was found in {build}, so nothing was checked; build first")
    return sorted(offences), len(objects)


PLANTED = {
    # source of the scratch tree -> (text, what must be reported about it, None for nothing)
    "src/base/good.c": ("int base_good(void) { return 1; }", None),
    "src/base/dirty.c": ("#include <stdlib.h>\nint base_dirty(void) { return rand(); }", "needs rand()"),
    "src/base/up.c": ("int core_step(void);\nint base_up(void) { return core_step(); }", "uses core_step() of layer core"),
    "src/core/step.c": ("#include <string.h>\nint base_good(void);\nunsigned n;\n"
                        "int core_step(void) { return base_good() + (int)strlen((char *)&n); }", None),
    "src/core/heap.c": ("#include <stdlib.h>\nvoid *core_heap(void) { return malloc(7); }", "needs malloc()"),
    "src/core/include.c": ("#include <time.h>\nint core_include(void) { return 1; }", "<time.h> is not for the core"),
    "src/core/reach.c": ("int base_dirty(void);\nint core_reach(void) { return base_dirty(); }", None),
    "src/core/wire.c": ("int frame(void);\nint core_wire(void) { return frame(); }", "uses frame() of layer proto"),
    "src/proto/frame.c": ("int frame(void) { return 3; }", None),
    "src/proto/books.c": ('#include "core/core.h"\nint proto_books(void) { return 1; }', "includes core/core.h"),
    "src/store/sqlite.c": ("int sqlite3_open(void);\nint store_open(void) { return sqlite3_open(); }", None),
    "src/client/data.c": ("int sqlite3_open(void);\nint client_data(void) { return sqlite3_open(); }", "uses sqlite3_open()"),
    "src/daemon/all.c": ("int store_open(void);\nint daemon_all(void) { return store_open(); }", None),
    "src/agent/books.c": ("int core_step(void);\nint agent_books(void) { return core_step(); }", "uses core_step() of layer core"),
    "src/cli/query.c": ("int frame(void);\nint query(void) { return frame(); }", None),
    "sim/judge.c": ("int view_host(void);\nint judge(void) { return view_host(); }", None),
    "sim/judge_step.c": ("int core_step(void);\nint judge_step(void) { return core_step(); }", "shares core_step() with"),
    "src/core/view.c": ("int view_host(void) { return 1; }", None),
    "src/cli/run.c": ("int frame(void);\nint run(void) { return frame(); }", "uses frame() of layer proto"),
}


def self_test():
    with tempfile.TemporaryDirectory() as root:
        build = os.path.join(root, "build")
        commands = []
        for path, (text, _) in PLANTED.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            os.makedirs(os.path.join(build, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w") as f:
                f.write(text + "\n")
            if "core/core.h" in text:
                with open(os.path.join(root, "src/core/core.h"), "w") as f:
                    f.write("\n")
            subprocess.run(["cc", "-O0", "-I", "src", "-c", path, "-o", f"build/{path}.o"], cwd=root, check=True)
            commands.append({"directory": build, "command": "cc", "file": f"../{path}", "output": f"{path}.o"})
        with open(os.path.join(build, "compile_commands.json"), "w") as f:
            json.dump(commands, f)
        offences, _ = check(build, root)

    bad = 0
    for path, (_, expected) in PLANTED.items():
        about = [offence for offence in offences if offence.startswith(path)]
        if (expected is None and about) or (expected is not None and not any(expected in offence for offence in about)):
            print(f"layers.py --self-test: {path}: expected {expected!r}, reported {about}", file=sys.stderr)
            bad = 1
    if not bad:
        print(f"layers.py: all {sum(1 for _, e in PLANTED.values() if e)} planted offences were found, nothing else")
    return bad


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description="checks that each layer uses only those before it")
    parser.add_argument("--build", default=os.path.join(root, "build"))
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    offences, count = check(os.path.abspath(options.build), root)
    for offence in offences:
        print(offence)
    if not offences:
        print(f"layers: {count} objects, each layer uses only those before it")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
