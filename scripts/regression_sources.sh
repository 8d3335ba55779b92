#!/usr/bin/env bash
# Fetches the sources of the machine's PostgreSQL with apt, which checks Debian's signature, builds pg_regress and the
# library of its regression tests, all below target/, and prints the sources' folder. Asks for no right of root.
set -euo pipefail
cd "$(dirname "$0")/.."

major="$(pg_config --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')"
mkdir -p "${CARGO_TARGET_DIR:-target}/regress/apt/lists/partial" "${CARGO_TARGET_DIR:-target}/regress/apt/cache"
folder="$(cd "${CARGO_TARGET_DIR:-target}/regress" && pwd)"

needs() { # COMMAND PACKAGE
    if ! command -v "$1" >/dev/null; then
        echo "regression_sources: $1 is missing; type: sudo apt-get install -y $2" >&2
        exit 1
    fi
}
needs gcc gcc
needs make make
needs apt-get apt

found() { find "$folder" -maxdepth 1 -type d -name "postgresql-$major.*" | sort -V | tail -n 1; }

sources_of() { # FOLDER: copies the machine's package sources to it, as sources of source packages
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        if [[ -e "$file" ]]; then sed -nE 's/^deb(-src)? /deb-src /p' "$file" | sort -u >"$1/$(basename "$file" .list).list"; fi
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        if [[ -e "$file" ]]; then sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$1/$(basename "$file")"; fi
    done
}

if [[ -z "$(found)" ]]; then
    # Lists of its own, from where the machine's packages come: the machine's need not have sources, and are not touched.
    # Of the version that is installed, if it came as a package.
    version="$(dpkg-query --show --showformat='=${Version}' "postgresql-$major" 2>/dev/null || true)"
    mkdir -p "$folder/apt/parts"
    sources_of "$folder/apt/parts"
    options=(-q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$folder/apt/parts"
        -o "Dir::State::Lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update >&2
    (cd "$folder/apt" && apt-get "${options[@]}" source --download-only "postgresql-$major$version" >&2)
    tar -xjf "$(find "$folder/apt" -name "postgresql-$major*.orig.tar.bz2" | sort -V | tail -n 1)" -C "$folder"
fi
sources="$(found)"
if [[ ! -e "$sources/src/test/regress/pg_regress" || ! -e "$sources/src/test/regress/regress.so" ]]; then
    # What it warns of goes to its log: standard output is this script's answer.
    (cd "$sources" && ./configure --without-readline --without-zlib --without-icu >"$folder/configure.log" 2>&1) ||
        { tail -n 5 "$folder/configure.log" >&2 && exit 1; }
    # The library's parts include headers that the server's own build makes.
    { make -C "$sources/src/backend" generated-headers && make -C "$sources/src/test/regress" all; } \
        >"$folder/make.log" 2>&1 || { tail -n 20 "$folder/make.log" >&2 && exit 1; }
fi
echo "$sources"
