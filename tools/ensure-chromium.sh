#!/bin/sh
# The browser tests need Chromium or Chrome. On Debian and Ubuntu this installs it where it may;
# elsewhere it says what to do.
set -eu

for name in "${MIEN_TEST_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then
        exit 0
    fi
done

if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo"
    else
        as_root="none"
    fi
    if [ "$as_root" != none ]; then
        echo "Installing Chromium for the browser tests."
        $as_root apt-get update -qq
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq chromium >/dev/null
        command -v chromium >/dev/null 2>&1 && exit 0
    fi
fi

echo "The browser tests need Chromium. Install it (Debian: apt-get install chromium; Fedora: dnf" >&2
echo "install chromium; macOS: brew install chromium), or set MIEN_TEST_CHROMIUM to a Chrome." >&2
exit 1
