#!/bin/sh
# Installs the Debian packages that the named purposes need, and only when one is missing.
#
#   tools/deps.sh build|demo|test|lint|long|bench|model ...
#
# Works as root, or through sudo where sudo asks nothing on a terminal-less machine. When everything is there already it
# touches nothing and needs no network.
set -eu

build="gcc libc6-dev meson ninja-build pkg-config libuv1-dev libprotobuf-c-dev protobuf-c-compiler libsqlite3-dev
       libjansson-dev libcmocka-dev"
demo="python3 xz-utils util-linux procps"
test="clang libclang-rt-dev python3 python3-pytest python3-protobuf protobuf-compiler strace e2fsprogs util-linux procps xz-utils"
lint="clang-format clang-tidy cppcheck python3 git"
model="spin gcc libc6-dev python3"
long="qemu-system-x86 busybox-static cpio $model"
bench="python3 redis-server redis-tools parallel findutils slurm-wlm munge"

wanted=""
for purpose in "$@"; do
    case $purpose in
    build) wanted="$wanted $build" ;;
    demo) wanted="$wanted $demo" ;;
    test) wanted="$wanted $test" ;;
    lint) wanted="$wanted $lint" ;;
    long) wanted="$wanted $long" ;;
    bench) wanted="$wanted $bench" ;;
    model) wanted="$wanted $model" ;;
    *)
        echo "deps.sh: unknown purpose '$purpose'; known: build demo test lint long bench model" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "deps.sh: this is not a Debian system, so nothing was installed. Please install yourself:" $wanted >&2
    exit 0
fi

missing=""
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "deps.sh: missing packages:$missing" >&2
        echo "deps.sh: you are not root and there is no sudo. As root, run: apt-get install$missing" >&2
        exit 1
    fi
    as_root="sudo"
    [ -t 0 ] || as_root="sudo -n"
fi

# A measurement's peers must not start themselves as services when they are installed.
policy=/usr/sbin/policy-rc.d
made_policy=""
case " $* " in *" bench "*)
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
        $as_root chmod 755 $policy
        made_policy=yes
    fi
    ;;
esac
said=$(mktemp)
cleanup() {
    rm -f "$said"
    [ -z "$made_policy" ] || $as_root rm -f $policy
}
trap cleanup EXIT

echo "installing:$missing"
install() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq -y \
        install --no-install-recommends $missing </dev/null >"$said" 2>&1
}
# The lists of a fresh or old machine may be missing or stale: try, refresh, try again.
if ! install; then
    if ! $as_root apt-get -o DPkg::Lock::Timeout=300 -qq update </dev/null || ! install; then
        tail -20 "$said" >&2
        echo "deps.sh: apt-get could not install:$missing (see above)" >&2
        exit 1
    fi
fi
