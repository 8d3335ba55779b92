#!/usr/bin/env bash
# Runs each fuzz target for FUZZ_SECONDS (60), one after the other. Arguments name targets; without any, all run.
#
# What a run finds beyond the corpus in the repository stays in fuzz/target/corpus; a failing input is in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${FUZZ_SECONDS:-60}"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(splice scan frames startup)

if ! command -v cargo-fuzz >/dev/null; then
    echo "installing cargo-fuzz"
    cargo install --locked cargo-fuzz
fi

# libFuzzer's instrumentation is an unstable option: the nightly toolchain has it, the stable one if it is told to.
toolchain=()
if rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
    toolchain=(+nightly)
else
    echo "no nightly toolchain: building with the stable one and RUSTC_BOOTSTRAP=1"
    export RUSTC_BOOTSTRAP=1
fi

for target in "${targets[@]}"; do
    found="fuzz/target/corpus/$target"
    mkdir -p "$found"
    cargo "${toolchain[@]}" fuzz run "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=2048 -timeout=10 -rss_limit_mb=3000 -print_final_stats=1
done
