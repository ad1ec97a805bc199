#!/bin/sh
# Writes the lock files: every package with its hashes, for every platform, without the address of a registry.
set -eu

compile() {
    output=$1
    shift
    .venv/bin/uv pip compile pyproject.toml "$@" --universal --python-version 3.11 --upgrade --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file "$output"
    echo "Wrote $output"
}

[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
compile requirements.lock
compile requirements-mcp.lock --extra mcp --constraint requirements.lock
compile requirements-semantic.lock --extra semantic --constraint requirements.lock
compile requirements-dev.lock --extra dev --constraint requirements.lock
