"""Times the 22 queries of TPC-H on one PostgreSQL and through Shardloom over three shards, and compares the answers.

Run it as `python3 -B benches/tpch.py [QUERY …]`. Environment: TPCH_SCALE (0.1), TPCH_ROUNDS (1), SHARDLOOM
(target/release/shardloom). Schema, rows and queries are those of tests/it/tpch; the rows are made on the one server and
copied through the proxy. Both run on one machine, so that the shards share its processors.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import legs

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "tests/it/tpch"
PLAIN = "tpch_plain"
SHARDED = "tpch"
# Reference tables are written by statements; each row's values as text.
REFERENCE_ROWS = {
    "nation": "format('(%s, %L, %s, %L)', n_nationkey, n_name, n_regionkey, n_comment)",
    "region": "format('(%s, %L, %L)', r_regionkey, r_name, r_comment)",
}
# Longer than any of the queries takes on either side at the scales that this is for.
QUERY_SECONDS_MAX = 300


def blocks(name):
    """Returns (title, text) for each block of a file."""
    parts = (SOURCES / name).read_text().split("-- ")
    return [tuple(part.strip().split("\n", 1)) for part in parts if part.strip()]


def counts(scale):
    per_scale = {"suppliers": 10_000, "parts": 200_000, "customers": 150_000, "orders": 1_500_000}
    return {name: max(20, int(count * scale)) for name, count in per_scale.items()}


def connection(port, database):
    return ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "app", "-d", database, "-X", "-q", "-v", "ON_ERROR_STOP=1"]


def run(port, database, sql):
    environment = {**os.environ, "PGPASSWORD": "app"}
    command = [*connection(port, database), "-A", "-t", "-c", sql]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=QUERY_SECONDS_MAX)
    if done.returncode != 0:
        raise SystemExit(f"{database}: {done.stderr}\n{sql}")
    return done.stdout


def start(folder):
    """Starts three shards with the proxy before them; returns its process, its port and home's."""
    program = os.environ.get("SHARDLOOM", str(ROOT / "target/release/shardloom"))
    rules = folder / "rules"
    rules.mkdir()
    shutil.copy(SOURCES / "rules.yaml", rules)
    schema = (SOURCES / "schema.sql").read_text().replace("\n\n", ";\n")
    (folder / "schema.sql").write_text(schema)
    port, admin_port = legs.free_port(), legs.free_port()
    command = [program, "dev", "--shards", "3", "--port", str(port), "--admin-port", str(admin_port)]
    command += ["--database", SHARDED, "--rules", str(rules), "--schema", str(folder / "schema.sql")]
    log_path = folder / "shardloom.log"
    with open(log_path, "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    legs.wait_for(lambda: "shardloom is ready:" in log_path.read_text(), process, log_path)
    status = subprocess.run(
        [program, "status", "--json", "--admin-port", str(admin_port)], capture_output=True, text=True, check=True
    )
    home = re.search(r'"address": *"[^"]*:(\d+)"', status.stdout)[1]
    run(int(home), "postgres", f"CREATE DATABASE {PLAIN}")
    run(int(home), PLAIN, schema)
    return process, port, int(home)


def load(port, home, scale):
    """Makes the rows on the one server and copies them through the proxy."""
    environment = {**os.environ, "PGPASSWORD": "app"}
    for table, select in blocks("data.sql"):
        for name, count in counts(scale).items():
            select = select.replace(f"{{{name}}}", str(count))
        run(home, PLAIN, f"INSERT INTO {table} {select}")
        if table in REFERENCE_ROWS:
            values = run(home, PLAIN, f"SELECT string_agg({REFERENCE_ROWS[table]}, ', ') FROM {table}")
            run(port, SHARDED, f"INSERT INTO {table} VALUES {values}")
            continue
        out = subprocess.Popen([*connection(home, PLAIN), "-c", f"COPY {table} TO STDOUT"], stdout=subprocess.PIPE, env=environment)
        into = [*connection(port, SHARDED), "-c", f"COPY {table} FROM STDIN"]
        subprocess.run(into, stdin=out.stdout, env=environment, check=True)
        if out.wait() != 0:
            raise SystemExit(f"{table} could not be copied")
    for place in ((home, PLAIN), (port, SHARDED)):
        run(*place, "ANALYZE")


def timed(port, database, sql):
    before = time.monotonic()
    return run(port, database, sql), time.monotonic() - before


def measure(port, home, chosen, rounds):
    totals = [0.0, 0.0]
    print("| query | one PostgreSQL, s | Shardloom, s | factor | |\n|---|---|---|---|---|")
    for title, sql in blocks("queries.sql"):
        if chosen and title.split()[0] not in chosen:
            continue
        best = [float("inf"), float("inf")]
        answers = ["", ""]
        for _ in range(rounds):
            for at, place in enumerate(((home, PLAIN), (port, SHARDED))):
                answers[at], seconds = timed(*place, sql)
                best[at] = min(best[at], seconds)
        totals = [total + seconds for total, seconds in zip(totals, best)]
        way = run(port, SHARDED, f"EXPLAIN (ROUTE) {sql}").split()[0].lower()
        said = way if answers[0] == answers[1] else f"{way}, DIFFERENT"
        print(f"| {title} | {best[0]:.2f} | {best[1]:.2f} | {best[1] / best[0]:.1f} | {said} |", flush=True)
    print(f"| total | {totals[0]:.2f} | {totals[1]:.2f} | {totals[1] / totals[0]:.1f} | |")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="shardloom-tpch-"))
    folder.chmod(0o755)
    process, port, home = start(folder)
    try:
        load(port, home, float(os.environ.get("TPCH_SCALE", "0.1")))
        measure(port, home, sys.argv[1:], int(os.environ.get("TPCH_ROUNDS", "1")))
    finally:
        process.terminate()
        process.wait(legs.STOP_SECONDS_MAX)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
