#!/bin/sh
# The tests of several nodes start a private Redis, PostgreSQL and nginx. Where this runs as root on
# Debian or Ubuntu it installs them. It prints the names of those that are there afterwards, for
# MIEN_TEST_REQUIRE, and never fails: without them the tests skip and say so.
set -u

postgres_there() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    wanted=""
    command -v redis-server >/dev/null 2>&1 || wanted="redis-server"
    postgres_there || wanted="$wanted postgresql"
    command -v nginx >/dev/null 2>&1 || wanted="$wanted nginx"
    if [ -n "$wanted" ]; then
        echo "Installing $wanted for the tests of several nodes." >&2
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends $wanted; } >/dev/null 2>&1 \
            || echo "That was not possible; the tests that need them are skipped." >&2
    fi
fi

found=""
command -v redis-server >/dev/null 2>&1 && found="redis"
if postgres_there; then
    # PostgreSQL refuses root, so root needs somebody to become
    if [ "$(id -u)" != 0 ] || { id postgres && command -v runuser; } >/dev/null 2>&1; then
        found="$found,postgresql"
    fi
fi
command -v nginx >/dev/null 2>&1 && found="$found,nginx"
echo "${found#,}"
