#!/bin/sh
# Everything a verb needs, from a bare clone: an environment in .venv with exactly the locked packages, each checked
# against its hash. Needs a Linux with python3 and a package index; no root, no make, no pip, no venv module.
#
#   sh setup.sh demo [ARGS]        set up what a node with statistics needs, then run the demonstration
#   sh setup.sh test [ARGS]        set up what a developer needs, then run the tests (ARGS go to pytest)
#   sh setup.sh run PROGRAM ARGS   set up what a developer needs, then run a program of the environment
#   sh setup.sh runtime | statistics | dev
#                                  set up only: a node that checks travellers, one that also publishes, a developer's
#
# Warm it costs a tenth of a second: a stamp in .venv holds the hash of all that the environment was made from.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
cd "$root"

say() { printf '%s\n' "setup: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

verb=${1:-help}
[ $# -eq 0 ] || shift
case $verb in
runtime) level=runtime ;;
demo | statistics) level=statistics ;;
test | run | dev) level=dev ;;
*)
    sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"
    exit 2
    ;;
esac

# --- the platform, before anything is touched -----------------------------------------------------------------------
[ "$(uname -s)" = Linux ] || fail "Limen runs on Linux; this is $(uname -s). Use a Linux machine, a virtual one or a container."

python=
for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Limen needs Python 3.11 or newer as python3; set PYTHON to the path of one."

"$python" -c '
import os, platform, sys
try:
    libc = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
except (ValueError, OSError):
    libc = []
machine = platform.machine()
if sys.implementation.name != "cpython":
    sys.exit("setup: Limen needs CPython; this python3 is " + sys.implementation.name + ".")
if machine not in ("x86_64", "aarch64") or sys.maxsize < 2**32:
    sys.exit("setup: Limen runs on 64-bit x86_64 and aarch64; this python3 runs on " + machine + ".")
if len(libc) != 2 or libc[0] != "glibc":
    sys.exit("setup: Limen needs the GNU C library 2.34 or newer (Debian 12, Ubuntu 22.04); this system has another one.")
if tuple(map(int, libc[1].split(".")[:2])) < (2, 34):
    sys.exit("setup: Limen needs glibc 2.34 or newer (Debian 12, Ubuntu 22.04); this system has " + libc[1] + ".")
' || exit 1

# --- surroundings -----------------------------------------------------------------------------------------------------
export PYTHONUTF8=1 TZ=UTC UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
# What an outer environment left behind must not decide where packages come from or go to.
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV

[ -w "$root" ] || fail "$root is not writable; clone into a folder of your own."
mkdir -p .cache
home=${HOME:-/nonexistent}
if ! { [ -w "$home/.cache" ] || { [ -w "$home" ] && [ ! -e "$home/.cache" ]; }; }; then
    export XDG_CACHE_HOME="$root/.cache/home" UV_CACHE_DIR="$root/.cache/uv" PIP_CACHE_DIR="$root/.cache/pip"
    export XDG_DATA_HOME="$root/.cache/home/share" XDG_CONFIG_HOME="${XDG_CONFIG_HOME:-$root/.cache/home/config}"
fi

# Two verbs started at the same time set up one after the other.
if command -v flock >/dev/null 2>&1; then
    exec 9>.cache/setup.lock
    flock 9
fi

# --- the environment --------------------------------------------------------------------------------------------------
env_python=.venv/bin/python
setup_lock=requirements-setup.lock # the installer and the build backend
# One or two files, parted by a space: never a file name with one.
locks_of() {
    case $1 in
    runtime) echo requirements.lock ;;
    statistics) echo requirements.lock requirements-statistics.lock ;;
    dev) echo requirements-dev.lock ;;
    esac
}

# shellcheck disable=SC2046,SC2086
made_from() { cat setup.sh pyproject.toml "$setup_lock" $(locks_of "$1") | sha256sum | cut -d' ' -f1; }

# The programs in .venv/bin name its place, so an environment that was moved or copied is made anew.
works() {
    [ "$(cat .venv/.made-in 2>/dev/null || echo "$root")" = "$root" ] || return 1
    [ -x "$env_python" ] && "$env_python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

has() { [ "$(cat .venv/.made-from 2>/dev/null)" = "$(made_from "$1")" ]; }

# An environment with more packages serves as well.
is_ready() { works && { has "$level" || has dev || { [ "$level" = runtime ] && has statistics; }; }; }

apt_quiet() {
    apt-get -qq -o APT::Sandbox::User= -o Debug::NoLocking=1 -o Dir::State="$apt/state" -o Dir::State::status=/var/lib/dpkg/status \
        -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" "$@" >>"$apt/log" 2>&1
}

# Fetch a Debian package and unpack it below $apt/unpacked: needs no root, only apt's configuration.
apt_unpack() {
    command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || return 1
    apt=$root/.cache/apt
    mkdir -p "$apt/state" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/unpacked"
    [ -n "$(ls "$apt"/lists/*Packages* 2>/dev/null)" ] || apt_quiet update || return 1
    (cd "$apt" && rm -f "$1"_*.deb && apt_quiet download "$1" && dpkg -x "$1"_*.deb root && rm -f "$1"_*.deb)
}

# Bare Debian has no certificates at all, and its pip has none inside either.
find_certificates() {
    for bundle in "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
        [ -z "$bundle" ] || [ ! -f "$bundle" ] || return 0
    done
    bundle=$root/.cache/certificates.pem
    if [ ! -s "$bundle" ]; then
        say "no certificates on this machine: taking Debian's"
        apt_unpack ca-certificates || return 0
        cat "$root"/.cache/apt/unpacked/usr/share/ca-certificates/mozilla/*.crt >"$bundle"
    fi
    export PIP_CERT="$bundle" SSL_CERT_FILE="$bundle"
}

# The pip of this machine, in the order of least work. Debian splits both venv's and pip's inner parts off python3; the
# wheel inside python3-pip-whl runs as it is.
with_pip() {
    if "$env_python" -m pip --version >/dev/null 2>&1; then
        "$env_python" -m pip "$@"
    elif "$python" -m pip --python "$env_python" --version >/dev/null 2>&1; then
        "$python" -m pip --python "$env_python" "$@"
    else
        wheel=$(ls /usr/share/python-wheels/pip-*.whl .cache/apt/unpacked/usr/share/python-wheels/pip-*.whl 2>/dev/null | head -n 1)
        if [ -z "$wheel" ]; then
            say "no pip on this machine: taking the one inside Debian's python3-pip-whl"
            apt_unpack python3-pip-whl || return 1
            wheel=$(ls .cache/apt/unpacked/usr/share/python-wheels/pip-*.whl | head -n 1)
        fi
        "$env_python" "$wheel/pip" "$@"
    fi
}

with_any_uv() { command -v uv >/dev/null 2>&1 && uv "$@"; }

make_environment() {
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv >/dev/null 2>&1 && return
    rm -rf .venv # what a failed attempt leaves behind is not an environment
    "$python" -m venv --without-pip .venv || fail "python3 could not make an environment in .venv; see the lines above."
}

install_packages() {
    find_certificates
    # Only the installer itself is fetched by pip; everything after it by uv, ten times faster.
    wanted=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' "$setup_lock")
    case $(.venv/bin/uv --version 2>/dev/null) in
    "uv $wanted" | "uv $wanted "*) ;;
    *)
        say "installing uv $wanted"
        with_pip install --quiet --no-deps --require-hashes --only-binary :all: -r "$setup_lock" ||
            with_any_uv pip install --quiet --python "$env_python" --no-deps --require-hashes --only-binary :all: -r "$setup_lock" ||
            fail "could not install uv: see the lines above. It needs a reachable Python package index, and pip (or apt-get to take it from)."
        ;;
    esac
    say "installing the locked packages ($level)"
    UV_LINK_MODE=${UV_LINK_MODE:-$(link_mode)} .venv/bin/uv pip sync --quiet --python "$env_python" --require-hashes --only-binary :all: "$setup_lock" $(locks_of "$level") ||
        fail "the locked packages could not be installed: see the lines above."
    .venv/bin/uv pip install --quiet --python "$env_python" --no-deps --no-build-isolation --editable . ||
        fail "the gateway itself could not be put on the path: see the lines above."
    # Unpack the carrier of the group arithmetic now, not at the first check.
    "$env_python" -c 'from gateway.primitives import sodium; sodium.library()' ||
        fail "libsodium could not be loaded: see the line above."
}

# Links from uv's cache where both lie on one file system, copies elsewhere (uv would warn at each package).
link_mode() {
    cache=$(.venv/bin/uv cache dir)
    mkdir -p "$cache" 2>/dev/null || :
    if [ "$(stat -c %d "$cache" 2>/dev/null)" = "$(stat -c %d .venv)" ]; then echo hardlink; else echo copy; fi
}

if ! is_ready; then
    started=$(date +%s)
    works || make_environment
    rm -f .venv/.made-from
    install_packages
    printf '%s\n' "$root" >.venv/.made-in
    made_from "$level" >.venv/.made-from
    say "ready after $(($(date +%s) - started)) s"
fi
exec 9>&-

# --- the verb -----------------------------------------------------------------------------------------------------------
case $verb in
demo) exec .venv/bin/limen demo "$@" ;;
test) exec "$env_python" -m pytest -n 2 --dist loadfile -m "not slow" "$@" ;;
run)
    program=$1
    shift
    exec ".venv/bin/$program" "$@"
    ;;
esac
