#!/usr/bin/env bash
# Makes .venv and installs the locked requirements: `scripts/setup.sh run` or `scripts/setup.sh dev`.
# BIOTWIN_PYTHON names the Python to use; otherwise the first fitting one on PATH is taken.
set -euo pipefail
cd "$(dirname "$0")/.."

kind="${1:-}"
case "$kind" in
  run) lock=requirements.lock; editable=. ;;
  dev) lock=requirements-dev.lock; editable='.[dev]' ;;
  *) echo "setup: say 'run' or 'dev', not '$kind'" >&2; exit 2 ;;
esac

# A version manager's shim may stand on PATH and still not run, so each candidate is asked.
fits() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${BIOTWIN_PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
    if fits "$candidate"; then echo "$candidate"; return; fi
  done
  echo "setup: Python 3.11, 3.12 or 3.13 is needed (TensorFlow has no build for others);" \
    "got '$(python3 --version 2>&1 || true)'. Install python3.11, or set BIOTWIN_PYTHON to its path." >&2
  exit 1
}

# Debian splits venv off into a package of its own.
provide_venv_module() {
  local package
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return
  package="$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "setup: this Python cannot make a virtual environment. Install $package (as root: apt-get install $package)." >&2
    exit 1
  fi
  echo "setup: installing $package with apt-get"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" </dev/null >/dev/null
}

make_venv() {
  local python
  if [ -x .venv/bin/python ] && fits .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
  python="$(find_python)"
  provide_venv_module "$python"
  echo "setup: making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
}

pip_install() {
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "$@"
}

make_venv
if [ "$(uname -s) $(uname -m)" = "Linux x86_64" ]; then
  echo "setup: installing $lock into .venv (the first time about 500 MB are fetched, which takes a minute or more)"
  pip_install --only-binary :all: --require-hashes -r "$lock"
  # setuptools is in the lock: without isolation nothing unpinned is fetched to build the editable install.
  pip_install --quiet --no-deps --no-build-isolation -e .
else
  echo "setup: the locked versions are for Linux on x86-64; installing what pyproject.toml allows on this platform"
  pip_install -e "$editable"
fi
touch .venv/.installed
if [ "$kind" = dev ]; then touch .venv/.installed-dev; fi
