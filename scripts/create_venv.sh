#!/bin/sh
# Creates .venv with the first Python that is new enough. PYTHON names one to take instead.
set -eu

for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "${python:-}" ]; then
    echo "Palaver needs Python 3.11 or newer, and found $(python3 --version 2>/dev/null || echo none)." >&2
    echo "Install one, or name it: make run PYTHON=/path/to/python3.11" >&2
    exit 1
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Python $version has no venv module. On Debian and Ubuntu: apt-get install python$version-venv" >&2
    exit 1
fi

echo "Creating .venv with Python $version"
"$python" -m venv --clear .venv
