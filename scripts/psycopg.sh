#!/usr/bin/env bash
# Prints a Python interpreter that has psycopg, from an environment below target/ that is made if need be.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "$(scripts/venv.sh tests 'psycopg[binary]==3.2.13')/bin/python"
