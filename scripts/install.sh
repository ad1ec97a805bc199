#!/bin/sh
# Installs a lock file, then Palaver itself, into .venv. Every package must have the hash that the lock file names.
set -eu

echo "Installing $1"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$1"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
