#!/usr/bin/env bash
# Measures what one write over several shards costs on disk: WAL of home and of a target, growth of the ledger's tables.
# Usage: benches/ledger_bytes.sh PROXY_URL SHARD0_URL SHARD1_URL [WRITES]; home of the reference table is shard 0.
# The rules must hold a table group with ledger_bytes_a (id bigint PRIMARY KEY, value bigint; key id) and the reference table
# ledger_bytes_r (the same columns); rows 1 to 6 of the one and row 1 of the other are changed.
set -euo pipefail
proxy=$1 home=$2 target=$3 writes=${4:-500}
ask() { psql -XAtq "$1" -c "$2"; }
wal="SELECT pg_current_wal_insert_lsn() - '0/0'"
size="SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'shardloom' AND c.relname = ANY ('{ledger,ledger_target,outbox,inbox}') AND c.relkind = 'r'"
settle() {
    for shard in "$home" "$target"; do
        until [[ $(ask "$shard" "SELECT count(*) FROM shardloom.ledger WHERE state NOT IN ('DONE', 'ABORTED')") == 0 ]]; do sleep 0.2; done
        ask "$shard" "CHECKPOINT" >/dev/null
    done
}
measure() { # NAME FILE: runs the statements twice, so that pages are not written in full for the first time
    for _ in 1 2; do
        settle
        local w0 w1 s0 s1
        w0=$(ask "$home" "$wal") w1=$(ask "$target" "$wal") s0=$(ask "$home" "$size") s1=$(ask "$target" "$size")
        psql -Xq "$proxy" -v ON_ERROR_STOP=1 -f "$2" >/dev/null
        settle
        w0=$(($(ask "$home" "$wal") - w0)) w1=$(($(ask "$target" "$wal") - w1))
        s0=$(($(ask "$home" "$size") - s0)) s1=$(($(ask "$target" "$size") - s1))
        echo "$1: WAL of home $((w0 / writes)), of the target $((w1 / writes)); ledger tables on home $((s0 / writes)), on the target $((s1 / writes)) bytes per write"
    done
}
file=$(mktemp)
trap 'rm -f "$file"' EXIT
for ((i = 1; i <= writes; i++)); do
    echo "UPDATE ledger_bytes_a SET value = value + 1 WHERE id IN (1, 2, 3, 4, 5, 6);"
done >"$file"
measure eager "$file"
for ((i = 1; i <= writes; i++)); do
    echo "BEGIN; SET LOCAL shardloom.multi_shard = 'two_phase'; UPDATE ledger_bytes_a SET value = value + 1 WHERE id IN (1, 2, 3, 4, 5, 6); COMMIT;"
done >"$file"
measure two_phase "$file"
for ((i = 1; i <= writes; i++)); do
    echo "UPDATE ledger_bytes_r SET value = value + 1 WHERE id = 1;"
done >"$file"
measure reference "$file"
