#!/bin/sh
# need.sh COMMAND PACKAGE [PYTHON]: install a Debian package as root if its command is missing;
# otherwise say the line to type. COMMAND `venv` means Python's venv module.
set -eu
command=$1 package=$2 python=${3:-python3}

there() {
    if [ "$command" = venv ]; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null
    else
        command -v "$command" >/dev/null 2>&1
    fi
}

there && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "$package is missing; install it with this system's package manager" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "$package is missing; type: sudo apt-get install $package" >&2
    exit 1
fi
echo "installing $package"
DEBIAN_FRONTEND=noninteractive apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
