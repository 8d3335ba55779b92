#!/usr/bin/env bash
# The hot pieces (benches/*.rs) as they are beside those of another commit (PIECES_BASE, HEAD if not said), both built
# and run here and now: figures of another machine or another day do not compare. Arguments name pieces.
#
# criterion says of each whether it has changed; its reports stay in target/pieces.
set -euo pipefail
cd "$(dirname "$0")/.."

base="$(git rev-parse --verify "${PIECES_BASE:-HEAD}^{commit}")"
pieces=("$@")
[ ${#pieces[@]} -gt 0 ] || pieces=(frames scan plan_cache route splice)

target="${CARGO_TARGET_DIR:-$PWD/target}"
export CARGO_TARGET_DIR="$target" CRITERION_HOME="$target/pieces"
# Both alike, and built in a minute instead of five; a release is optimized further.
export CARGO_PROFILE_BENCH_LTO=thin CARGO_PROFILE_BENCH_CODEGEN_UNITS=16

tree="$target/pieces-base"
leave() { git worktree remove --force "$tree" >/dev/null 2>&1 || true; }
trap leave EXIT
leave
git worktree prune
git worktree add --quiet --detach "$tree" "$base"

run() { # FOLDER OPTION…
    local folder="$1" benches=()
    shift
    for piece in "${pieces[@]}"; do benches+=(--bench "$piece"); done
    (cd "$folder" && cargo bench --locked --quiet "${benches[@]}" -- --noplot "$@")
}

echo "pieces of ${base:0:12}:"
run "$tree" --save-baseline "${base:0:12}" | grep -E "time:" || true
echo "pieces as they are, beside those:"
run . --baseline-lenient "${base:0:12}"
