"""What `make install` lays down is whole: a client builds against it with pkg-config, and the installed programs run."""
import os
import select
import shutil
import subprocess

import pytest

import granary_wire
from broker import BIN

BUILD = os.path.dirname(os.path.abspath(os.environ.get("GRANARY_BIN_DIR", os.path.join(granary_wire.ROOT, "build", "bin"))))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The root of an installed tree, made from this build as it is."""
    root = str(tmp_path_factory.mktemp("installed"))
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], env={**os.environ, "DESTDIR": root}, check=True,
                   capture_output=True, timeout=120)
    return root


def find(root, name):
    found = [os.path.join(folder, name) for folder, _, files in os.walk(root)
             if name in files and "completions" not in folder]
    assert len(found) == 1, (name, found)
    return found[0]


def test_a_client_builds_with_pkg_config_alone(tree, broker, tmp_path):
    env = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(find(tree, "libgranary.pc")), "PKG_CONFIG_SYSROOT_DIR": tree}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libgranary"], env=env, check=True, capture_output=True,
                           text=True).stdout.split()
    sanitized = b"__asan_init" in open(find(tree, "libgranary.so.0.1.0"), "rb").read()
    program = os.path.join(tmp_path, "pool")
    subprocess.run(["cc", "-std=gnu17", os.path.join(granary_wire.ROOT, "examples", "pool.c"), "-o", program, *flags,
                    *(["-fsanitize=address,undefined"] if sanitized else [])], check=True, timeout=60)
    done = subprocess.run([program, "echo one", "echo two"], capture_output=True, text=True, timeout=60,
                          env={**broker.env, "LD_LIBRARY_PATH": os.path.dirname(find(tree, "libgranary.so.0.1.0"))})
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["one", "two"]


def test_the_installed_programs_find_each_other(tree, make_broker):
    granary = find(tree, "granary")
    assert os.path.exists(find(tree, "granary-broker")) and os.path.exists(find(tree, "granary-agent"))
    assert os.path.dirname(find(tree, "granary-gate")) == os.path.dirname(find(tree, "granary-agent"))
    here = make_broker(start=False)
    done = subprocess.run([granary, "up", "--memory", "256M", "--set-aside", "0", "--state", here.state, "--socket", here.socket,
                           "--detach"], env=here.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    pid = int(done.stdout.split("pid ")[1].split(",")[0])
    try:
        done = subprocess.run([granary, "run", "-m", "32M", "--", "echo", "ran"], env=here.env, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
        done = subprocess.run([granary, "harvest", "-q", "-m", "32M", "--", "echo", ":::", "ran"], env=here.env, capture_output=True, text=True,
                              timeout=60)
        assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
    finally:
        pidfd = os.pidfd_open(pid)
        os.kill(pid, 15)
        assert select.select([pidfd], [], [], 30)[0], "granaryd did not end"
        os.close(pidfd)


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_man_pages_render_without_a_warning(tree):
    pages = [os.path.join(folder, file) for folder, _, files in os.walk(tree) for file in files if "/man/" in folder]
    assert len(pages) == 7
    for page in pages:
        done = subprocess.run(["man", "-l", "--warnings=w", "-E", "UTF-8", page], capture_output=True, text=True,
                              env={**os.environ, "MANWIDTH": "100"}, timeout=60)
        assert done.returncode == 0 and done.stderr == "", (page, done.stderr)
