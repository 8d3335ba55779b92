#!/usr/bin/env bash
# Installs what is missing of the named programs from Debian's or Ubuntu's packages when it may, and says so; else
# names the command to type. Usage: scripts/prerequisites.sh postgresql|pgbouncer|python3|node|java|maven|go …
set -euo pipefail

say() { echo "prerequisites: $*" >&2; }

has_postgresql() {
    local bin
    if [[ -n "${PG_BIN:-}" ]]; then
        [[ -x "$PG_BIN/initdb" ]]
        return
    fi
    for bin in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin; do
        if [[ -x "$bin/initdb" ]]; then return 0; fi
    done
    command -v initdb >/dev/null
}

has_pgbouncer() { command -v pgbouncer >/dev/null || [[ -x /usr/sbin/pgbouncer ]]; }

has_python3() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

has_node() { command -v node >/dev/null && command -v npm >/dev/null; }

has_java() { command -v javac >/dev/null; }

has_maven() { command -v mvn >/dev/null; }

# Older ones cannot fetch the toolchain that a module asks for.
has_go() { go version 2>/dev/null | grep -Eq 'go1\.(2[1-9]|[3-9][0-9])'; }

apt_install() { DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2; }

# Debian's package would start a server of its own at once.
install_postgresql() {
    local conf=/etc/postgresql-common/createcluster.conf
    apt_install postgresql-common
    if ! grep -qs '^create_main_cluster = false$' "$conf"; then
        echo 'create_main_cluster = false' >>"$conf"
        say "set create_main_cluster = false in $conf: no server of the package's own"
    fi
    apt_install postgresql
}

# A policy-rc.d that forbids starting services, unless the machine has one already.
install_pgbouncer() {
    local policy=/usr/sbin/policy-rc.d made=no
    if [[ ! -e "$policy" ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=yes
        say "while pgbouncer is installed, $policy keeps its service from starting"
    fi
    local outcome=0
    apt_install pgbouncer || outcome=$?
    if [[ $made == yes ]]; then rm -f "$policy"; fi
    return $outcome
}

install_python3() { apt_install python3 python3-venv; }

install_node() { apt_install nodejs npm; }
install_java() { apt_install default-jdk-headless; }
install_maven() { apt_install maven; }
install_go() {
    apt_install golang-go
    if ! has_go; then
        say "the packages' go is older than 1.21; install one from https://go.dev/dl"
        exit 1
    fi
}

packages_of() {
    case "$1" in
    python3) echo python3 python3-venv ;;
    node) echo nodejs npm ;;
    java) echo default-jdk-headless ;;
    go) echo golang-go ;;
    *) echo "$1" ;;
    esac
}

updated=no
for program in "$@"; do
    case "$program" in
    postgresql | pgbouncer | python3 | node | java | maven | go) ;;
    *)
        say "unknown program \"$program\""
        exit 2
        ;;
    esac
    if "has_$program"; then continue; fi
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        say "$program is missing; type: sudo apt-get install -y $(packages_of "$program")"
        exit 1
    fi
    say "installing $program with apt-get"
    if [[ $updated == no ]]; then
        apt-get update -q >&2
        updated=yes
    fi
    "install_$program"
    say "$program is installed"
done
