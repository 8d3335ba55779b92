#!/usr/bin/env bash
# PostgreSQL's own regression tests, as pg_regress runs them in parallel, once directly and once through an unsharded
# database of the proxy per pool mode; what the files print is compared. Files that differ are printed with the number of
# lines; the differences are kept in target/regress/. docs/compatibility.md explains them.
# Usage: scripts/regress.sh [MODE …]   (transaction and session if none is named)
set -euo pipefail
cd "$(dirname "$0")/.."

modes=("$@")
if [[ ${#modes[@]} == 0 ]]; then modes=(transaction session); fi
# What pg_regress may wait for: a statement that hangs must not hang the whole.
bound=1200

scripts/prerequisites.sh postgresql python3
sources="$(scripts/regression_sources.sh)"
cargo build --locked >&2
program="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/debug/shardloom"
kept="$(cd "${CARGO_TARGET_DIR:-target}/regress" && pwd)"
bin="$(pg_config --bindir)"

# The servers' account must be able to enter it, and write results.
work="$(mktemp -d "${TMPDIR:-/tmp}/shardloom-regress-XXXXXX")"
chmod 755 "$work"
cp -r "$sources/src/test/regress" "$work/tests"
dev=
stop_dev() {
    if [[ -n "$dev" ]]; then kill -TERM "$dev" 2>/dev/null && wait "$dev" || true; fi
    dev=
}
trap 'stop_dev; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Starts home, a second server for direct runs, and the proxy; sets port and direct.
start_dev() { # MODE
    port="$(free_port)"
    "$program" dev --shards 2 --data "$work/$1" --port "$port" --admin-port "$(free_port)" --passthrough any \
        --pool-mode "$1" --pg-option max_prepared_transactions=10 >"$work/$1.ready" 2>"$work/$1.log" &
    dev=$!
    for _ in $(seq 300); do
        if [[ -s "$work/$1.ready" ]]; then break; fi
        if ! kill -0 "$dev" 2>/dev/null; then break; fi
        sleep 0.2
    done
    if [[ ! -s "$work/$1.ready" ]]; then
        cat "$work/$1.log" >&2
        exit 1
    fi
    server_port() { sed -nE "s/.* server $2 on 127\.0\.0\.1:([0-9]+) .*/\1/p" "$work/$1.log"; }
    direct="$(server_port "$1" s1)"
    # The tests are a superuser's.
    local server
    for server in s0 s1; do
        PGPASSWORD="$(cat "$work/$1/service.password")" "$bin/psql" -X -q -h 127.0.0.1 -p "$(server_port "$1" "$server")" \
            -U shardloom_service -d postgres -c 'ALTER ROLE app SUPERUSER' >&2
    done
}

run() { # NAME PORT
    export PGHOST=127.0.0.1 PGPORT="$2" PGUSER=app PGPASSWORD=app
    "$bin/psql" -X -q -d postgres -c "CREATE DATABASE regression TEMPLATE template0 LOCALE 'C'" >&2
    local setting
    for setting in lc_messages=C lc_monetary=C lc_numeric=C lc_time=C bytea_output=hex timezone_abbreviations=Default; do
        "$bin/psql" -X -q -d postgres -c "ALTER DATABASE regression SET ${setting%=*} TO '${setting#*=}'" >&2
    done
    mkdir -p "$work/$1-out/results" "$work/$1-out/testtablespace"
    chmod -R 777 "$work/$1-out"
    # What it says of expected files is the platform's matter; here only its runs count.
    timeout "$bound" "$work/tests/pg_regress" --use-existing --host=127.0.0.1 --port="$2" --user=app \
        --dbname=regression --bindir="$bin" --dlpath="$work/tests" --inputdir="$work/tests" \
        --outputdir="$work/$1-out" --max-concurrent-tests=20 --schedule="$work/tests/parallel_schedule" \
        >"$kept/$1.log" 2>&1 || true
    rm -rf "${kept:?}/$1"
    cp -r "$work/$1-out/results" "$kept/$1"
    echo "regress: $1: $(find "$kept/$1" -name '*.out' | wc -l) files, $(grep -c '\.\.\. FAILED' "$kept/$1.log" || true) not as" \
        "PostgreSQL's expected ones" >&2
}

# Prints what differs between direct and NAME, one file per line.
compare() { # NAME
    local file name count same=0
    rm -rf "${kept:?}/$1-differences"
    mkdir -p "$kept/$1-differences"
    for file in "$kept"/direct/*.out; do
        name="$(basename "$file" .out)"
        if [[ ! -e "$kept/$1/$name.out" ]]; then
            echo "$1 $name: missing"
        elif diff -u "$file" "$kept/$1/$name.out" >"$kept/$1-differences/$name.diff"; then
            rm "$kept/$1-differences/$name.diff"
            same=$((same + 1))
        else
            count="$(grep -c '^[-+][^-+]' "$kept/$1-differences/$name.diff" || true)"
            echo "$1 $name: $count lines"
        fi
    done
    echo "$1: $same files the same"
}

first=yes
for mode in "${modes[@]}"; do
    start_dev "$mode"
    if [[ $first == yes ]]; then run direct "$direct"; fi
    first=no
    run "$mode" "$port"
    cp "$work/$mode.log" "$kept/$mode-proxy.log"
    stop_dev
    compare "$mode"
done
