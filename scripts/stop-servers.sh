#!/usr/bin/env bash
# Stops the PostgreSQL servers whose folders are below the given folder, and removes it.
# Usage: scripts/stop-servers.sh FOLDER
set -euo pipefail

folder="$1"

postmasters() {
    local file
    for file in "$folder"/*/pgdata/postmaster.pid; do
        if [[ -e "$file" ]]; then head -n 1 "$file"; fi
    done
}

# Immediate: nothing in there is kept.
for pid in $(postmasters); do kill -QUIT "$pid" 2>/dev/null || true; done
for _ in $(seq 100); do
    if [[ -z "$(postmasters)" ]]; then break; fi
    sleep 0.1
done
for pid in $(postmasters); do kill -KILL "$pid" 2>/dev/null || true; done
rm -rf "$folder"
