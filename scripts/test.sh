#!/usr/bin/env bash
# Runs all tests against servers of their own, which are gone at the end, however it ends. Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."

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

# One failing binary is no reason not to hear from the others.
cargo test --locked --no-fail-fast "$@"
