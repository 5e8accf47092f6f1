#!/usr/bin/env bash
# Makes .venv-peers/NAME with what validation/peers/NAME.txt pins: `validation/peers/setup.sh simglucose`.
# A peer lives in an environment of its own: it needs other versions than Biotwin, and nothing of it enters Biotwin.
# BIOTWIN_PEER_PYTHON names the Python to use; the pins are for 3.11.
set -euo pipefail
cd "$(dirname "$0")/../.."

name="${1:-}"
list="validation/peers/$name.txt"
folder=".venv-peers/$name"
if [ -z "$name" ] || [ ! -f "$list" ]; then
  echo "peers: name one of: $(cd validation/peers && echo *.txt | sed 's/\.txt//g')" >&2
  exit 2
fi
if cmp -s "$list" "$folder/installed.txt"; then exit 0; fi

# simglucose also names gym 0.9.4, which no longer installs; its list is complete without it.
options=()
if [ "$name" = simglucose ]; then options=(--no-deps); fi

echo "peers: making $folder" >&2
"${BIOTWIN_PEER_PYTHON:-python3.11}" -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "${options[@]}" -r "$list" >&2
cp "$list" "$folder/installed.txt"
