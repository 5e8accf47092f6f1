#!/usr/bin/env bash
# Prints the path of a Chromium or Chrome that runs here, for the browser tests; prints nothing when there is none.
# As root with apt-get it installs one. Without, it says so, and fails only in CI (CI=true). BIOTWIN_BROWSER names one.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "browser: $*" >&2; }

# Ubuntu's chromium package is a stub that only asks for a snap: what prints no version is no browser.
runs() { "$1" --version 2>/dev/null </dev/null | grep -qE '[0-9]+\.[0-9]+\.[0-9]+'; }

# The browser that Playwright keeps for itself, if it was ever installed.
of_playwright() {
  .venv/bin/python -c 'from playwright.sync_api import sync_playwright
with sync_playwright() as playwright: print(playwright.chromium.executable_path)' 2>/dev/null || true
}

find_one() {
  local name path
  for name in chromium chromium-browser google-chrome google-chrome-stable "$(of_playwright)"; do
    [ -n "$name" ] && path="$(command -v "$name")" || continue
    if runs "$path"; then say "using $path"; echo "$path"; return; fi
    say "$path is there but does not run"
  done
  return 1
}

install_with_apt() {
  say "installing chromium with apt-get"
  apt-get update -qq >&2 || return
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation </dev/null >&2
}

install_with_playwright() {
  say "apt-get gave no chromium that runs (on Ubuntu it is a snap stub); trying the one that Playwright provides"
  .venv/bin/python -m playwright install --with-deps chromium </dev/null >&2
}

if [ -n "${BIOTWIN_BROWSER:-}" ]; then
  if ! runs "$BIOTWIN_BROWSER"; then say "BIOTWIN_BROWSER=$BIOTWIN_BROWSER does not run"; exit 1; fi
  say "using $BIOTWIN_BROWSER (BIOTWIN_BROWSER)"
  echo "$BIOTWIN_BROWSER"
  exit
fi

if find_one; then exit; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  if install_with_apt && find_one; then exit; fi
  if install_with_playwright && find_one; then exit; fi
fi
if [ "${CI:-}" = true ]; then
  say "there is no Chromium or Chrome that runs, and none could be installed; in CI that is a failure"
  exit 1
fi
say "there is no Chromium or Chrome that runs, and without root and apt-get none can be installed:" \
  "the browser tests are left out. Install one, or set BIOTWIN_BROWSER to its path."
