# Sourced by run.sh and test.sh: finds Python, makes .venv, installs the project and what Qt needs. POSIX sh.

say() { printf '%s\n' "$*" >&2; }

is_root() { [ "$(id -u)" = 0 ]; }

# apt_install WHY PACKAGE... - installs, or prints the exact command and stops.
apt_install() {
    why=$1; shift
    if is_root && command -v apt-get >/dev/null 2>&1; then
        say "Installing $* ($why)."
        DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null && return 0
    fi
    say "$why. Run this once, then start again:"
    say "    sudo apt-get install --no-install-recommends $*"
    return 1
}

# works PYTHON - is it one of the supported versions?
works() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

# find_python - prints the newest supported Python on the PATH or held by pyenv.
find_python() {
    for version in 3.13 3.12 3.11; do
        for python in "python$version" python3 \
            "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/"python$version"; do
            command -v "$python" >/dev/null 2>&1 || continue
            works "$python" || continue
            [ "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = "$version" ] || continue
            printf '%s\n' "$python"
            return 0
        done
    done
    return 1
}

# has_library NAME - is the shared library known to the loader?
has_library() {
    PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q -F "$1"
}

# need_qt_libraries - the few system libraries that Qt loads; the second group only where there is a display.
need_qt_libraries() {
    [ "$(uname -s)" = Linux ] || return 0
    libraries="libGL.so.1:libgl1 libEGL.so.1:libegl1 libglib-2.0.so.0:libglib2.0-0 libxkbcommon.so.0:libxkbcommon0
        libfontconfig.so.1:libfontconfig1 libdbus-1.so.3:libdbus-1-3"
    if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
        libraries="$libraries libxkbcommon-x11.so.0:libxkbcommon-x11-0 libxcb-cursor.so.0:libxcb-cursor0
            libxcb-icccm.so.4:libxcb-icccm4 libxcb-keysyms.so.1:libxcb-keysyms1 libxcb-shape.so.0:libxcb-shape0"
    fi
    packages=
    for pair in $libraries; do
        has_library "${pair%%:*}" || packages="$packages ${pair#*:}"
    done
    [ -z "$packages" ] && return 0
    # shellcheck disable=SC2086 # a list of package names
    apt_install "Qt needs system libraries that are missing" $packages
}

# set_up EXTRAS - makes .venv and installs the project into it; a second call with nothing changed does nothing.
set_up() {
    stamp=".venv/.camviewer${1:+-$1}"
    wanted=$(cat pyproject.toml constraints.txt | cksum)
    need_qt_libraries || return 1
    if [ -x .venv/bin/python ] && works .venv/bin/python && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    if ! { [ -x .venv/bin/python ] && works .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
        python=$(find_python) || {
            apt_install "Python 3.11 to 3.13 is missing" python3 python3-venv || return 1
            python=$(find_python) || { say "No Python from 3.11 to 3.13 was found."; return 1; }
        }
        if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            apt_install "Python's venv module is missing" python3-venv || return 1
        fi
        say "Making .venv with $("$python" --version)."
        rm -rf .venv
        "$python" -m venv .venv || return 1
    fi
    say "Installing camviewer (the first time this loads some gigabytes and takes a few minutes)."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${1:+[$1]}" || return 1
    printf '%s\n' "$wanted" >"$stamp"
}
