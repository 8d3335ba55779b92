#!/usr/bin/env bash
# Makes a Python environment below target/ with the named packages and prints its folder.
# Usage: scripts/venv.sh NAME package==version …
set -euo pipefail
cd "$(dirname "$0")/.."

folder="${CARGO_TARGET_DIR:-target}/venv-$1"
shift
wanted="$*"
if [[ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ]]; then
    python3 -m venv --clear "$folder" >&2
    "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 15 "$@" >&2
    echo "$wanted" >"$folder/installed"
fi
(cd "$folder" && pwd)
