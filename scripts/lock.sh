#!/usr/bin/env bash
# Writes requirements-dev.lock and requirements.lock from pyproject.toml: exact versions, the hashes of every file that
# was published for each, no index, no address. Run with Python 3.11 on Linux x86-64. Versions that still fit are kept;
# `scripts/lock.sh --upgrade` takes the newest.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
  .venv/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --build-deps-for editable \
    --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host "$@" pyproject.toml
}

compile --extra dev --output-file requirements-dev.lock "$@"
compile --constraint requirements-dev.lock --output-file requirements.lock "$@"
