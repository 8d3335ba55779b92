#!/usr/bin/env bash
# Installs a driver of the matrix below target/, builds its program and prints the command that runs it, one word per
# line. Versions are pinned here and in tests/drivers/. Usage: scripts/driver.sh NAME
set -euo pipefail
cd "$(dirname "$0")/.."

driver="$1"
root="$PWD"
source="$root/tests/drivers/$driver"
mkdir -p "${CARGO_TARGET_DIR:-target}/drivers/$driver"
target="$(cd "${CARGO_TARGET_DIR:-target}/drivers/$driver" && pwd)"

python() { # python package==version …
    local folder
    scripts/prerequisites.sh python3
    folder="$(scripts/venv.sh "$driver" "$@")"
    printf '%s\n' "$folder/bin/python" -B "$source/matrix.py"
}

# Says whether what was made from these files is still what they would make; notes it if not.
unchanged() {
    local now
    now="$(cat "$@" | sha256sum)"
    if [[ "$(cat "$target/made-from" 2>/dev/null)" == "$now" ]]; then return 0; fi
    rm -f "$target/made-from"
    return 1
}
note() { cat "$@" | sha256sum >"$target/made-from"; }

psycopg() { python 'psycopg[binary]==3.2.13' psycopg-pool==3.2.8; }
asyncpg() { python asyncpg==0.31.0; }
sqlalchemy() { python SQLAlchemy==2.0.44 'psycopg[binary]==3.2.13' asyncpg==0.31.0; }
django() { python Django==5.2.8 'psycopg[binary]==3.2.13'; }

psql() {
    scripts/prerequisites.sh postgresql python3
    printf '%s\n' python3 -B "$source/matrix.py"
}

node() {
    scripts/prerequisites.sh node
    local from=("$source/package.json" "$source/package-lock.json")
    if ! unchanged "${from[@]}"; then
        cp "${from[@]}" "$target/"
        (cd "$target" && npm ci --no-audit --no-fund --loglevel=error) >&2
        note "${from[@]}"
    fi
    printf '%s\n' env "NODE_PATH=$target/node_modules" node "$source/matrix.js"
}

jdbc() {
    scripts/prerequisites.sh java maven
    local jars=(org.postgresql:postgresql:42.7.8 com.zaxxer:HikariCP:6.3.0 org.slf4j:slf4j-api:2.0.17) jar
    if ! unchanged "$source"/*.java "$root/scripts/driver.sh"; then
        rm -rf "${target:?}"/*
        for jar in "${jars[@]}"; do
            mvn --quiet --batch-mode dependency:copy "-Dartifact=$jar" "-DoutputDirectory=$target" >&2
        done
        javac -d "$target/classes" -cp "$target/*" "$source"/*.java >&2
        note "$source"/*.java "$root/scripts/driver.sh"
    fi
    # A short life: neither the second compiler nor a collector of many threads pays.
    printf '%s\n' java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$target/classes:$target/*" Matrix
}

pgx() {
    scripts/prerequisites.sh go
    (cd "$source" && go build -o "$target/matrix" .) >&2
    printf '%s\n' "$target/matrix"
}

sqlx() {
    CARGO_TARGET_DIR="$target" cargo build --quiet --locked --manifest-path "$source/Cargo.toml" >&2
    printf '%s\n' "$target/debug/matrix"
}

case "$driver" in
psycopg | asyncpg | sqlalchemy | django | psql | node | jdbc | pgx | sqlx) "$driver" ;;
*)
    echo "driver: unknown driver \"$driver\"" >&2
    exit 2
    ;;
esac
