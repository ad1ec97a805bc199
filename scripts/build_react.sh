#!/bin/sh
# Builds the React page that the end-to-end tests open, with the published AI SDK clients.
set -eu

has_node() {
    command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null
}

if ! has_node && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Node"
    apt-get update -qq && apt-get install -qq -y --no-install-recommends nodejs npm >/dev/null || true
fi
if ! has_node; then
    echo "The tests need Node 18 or newer with npm, for the React page. On Debian and Ubuntu: apt-get install nodejs npm" >&2
    exit 1
fi

cd e2e/react
echo "Building the React page"
npm ci --loglevel=error >/dev/null
npm run --silent build
