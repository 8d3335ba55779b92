"""Compares PostgreSQL, PgBouncer and Shardloom under pgbench, and writes a table to bench-results/.

Run by `make bench`. Environment: BENCH_SECONDS per run (3), BENCH_ROUNDS (2), BENCH_SCALE (5), BENCH_CLIENTS (16),
BENCH_THREADS (2), SHARDLOOM (target/release/shardloom), BENCH_SERVER=host:port (a PostgreSQL with user app/app: then
only the legs without Shardloom run).

The rounds are interleaved: within a round every leg runs once per workload and mode, and each round begins with
another leg, so that a slow minute of the machine hits all alike. Figures are medians over the rounds.
"""

import os
import pathlib
import shutil
import signal
import sys
import tempfile

import legs
import pgbench
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent


def settings():
    number = lambda name, default: int(os.environ.get(name, default))
    return {
        "seconds": number("BENCH_SECONDS", 3),
        "rounds": number("BENCH_ROUNDS", 2),
        "scale": number("BENCH_SCALE", 5),
        "clients": number("BENCH_CLIENTS", 16),
        "threads": number("BENCH_THREADS", 2),
    }


def prepare(all_legs, chosen):
    """Loads pgbench's tables once per database; legs that share a database share its tables."""
    loaded = set()
    for leg in all_legs:
        if leg.tables in loaded:
            continue
        loaded.add(leg.tables)
        print(f"loading pgbench's tables, scale {chosen['scale']}: {leg.tables}", file=sys.stderr)
        pgbench.initialise(leg, chosen["scale"])


def measure(all_legs, chosen, folder):
    """Returns the runs by (workload, mode, leg)."""
    runs = {}
    for turn in range(chosen["rounds"]):
        order = all_legs[turn % len(all_legs) :] + all_legs[: turn % len(all_legs)]
        for workload in pgbench.WORKLOADS:
            for mode in pgbench.MODES:
                for leg in order:
                    run = pgbench.run(leg, workload, mode, chosen, folder) if leg.can(mode) else pgbench.NOT_AVAILABLE
                    runs.setdefault((workload.name, mode, leg.name), []).append(run)
                    print(f"round {turn + 1}: {workload.name}, {mode}, {leg.name}: {run}", file=sys.stderr)
    return runs


def main():
    # An orderly end also when a script stops us: the `finally` below runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = settings()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="shardloom-bench-"))
    folder.chmod(0o755)
    started = legs.Started()
    try:
        all_legs = started.start_all(ROOT, folder)
        prepare(all_legs, chosen)
        runs = measure(all_legs, chosen, folder)
        text = report.table(runs, all_legs, chosen, report.machine(ROOT))
    finally:
        started.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    path = report.write(ROOT / "bench-results", text)
    print(text)
    print(f"written to {path.relative_to(ROOT)}", file=sys.stderr)
    return 1 if report.failures(runs) else 0


if __name__ == "__main__":
    sys.exit(main())
