#!/usr/bin/env bash
# Measures the pieces of the hot path with criterion. Figures of another machine or hour say little, so nothing is
# stored: with REV in the environment that revision is measured first, here and now, and this tree is held against it.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
export CRITERION_HOME="$CARGO_TARGET_DIR/criterion"
if [[ -z "${REV:-}" ]]; then
    exec cargo bench --locked --bench pieces -- "$@"
fi
before=$(mktemp -d)
trap 'git worktree remove --force "$before"' EXIT
git worktree add --detach "$before" "$REV"
(cd "$before" && cargo bench --locked --bench pieces -- --save-baseline before "$@")
cargo bench --locked --bench pieces -- --baseline before "$@"
