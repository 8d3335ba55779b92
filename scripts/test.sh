#!/usr/bin/env bash
# Runs all tests against servers of their own, which are gone at the end, however it ends. Arguments go to cargo test.
# Usage: scripts/test.sh [--newest] [ARGUMENT …]. With --newest the servers are not the machine's PostgreSQL but the one
# of scripts/newest_postgresql.sh, and without arguments those tests run that another version could break.
set -euo pipefail
cd "$(dirname "$0")/.."

newest=no
if [[ "${1:-}" == --newest ]]; then
    newest=yes
    shift
fi

# Client programs, such as psql, are the machine's own in any case.
scripts/prerequisites.sh postgresql python3

# The Python driver's tests find their interpreter here.
SHARDLOOM_PYTHON="$(scripts/psycopg.sh)"
export SHARDLOOM_PYTHON

# The servers' account must be able to enter it, so it is not below the working copy.
SHARDLOOM_TEST_DIR="$(mktemp -d "${TMPDIR:-/tmp}/shardloom-tests-XXXXXX")"
chmod 755 "$SHARDLOOM_TEST_DIR"
export SHARDLOOM_TEST_DIR
trap 'scripts/stop-servers.sh "$SHARDLOOM_TEST_DIR"' EXIT
trap 'exit 130' INT TERM

if [[ $newest == yes ]]; then
    PG_BIN="$(scripts/newest_postgresql.sh "$SHARDLOOM_TEST_DIR")"
    export PG_BIN
    if [[ $# == 0 ]]; then
        export SHOW_PIPELINES="${SHOW_PIPELINES:-1..16}"
        set -- --test it -- cancel_keys:: newest:: pipelines:: protocol:: \
            parts::connections parts::hashes parts::merging parts::the_catalog \
            ledger::eventual ledger::inbox ledger::what_cannot_be_redone \
            sessions::a_cancel sessions::notices sessions::settings \
            state::sharded::local_settings state::sharded::set_config state::sharded::the_client_knows \
            state::unsharded::notifications state::unsharded::state_behaves
    fi
fi

# One failing binary is no reason not to hear from the others.
cargo test --locked --no-fail-fast "$@"
