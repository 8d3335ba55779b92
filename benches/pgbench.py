"""pgbench: the workloads, one run, and what it said."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess

MODES = ["simple", "extended", "prepared"]

# A run that hangs is a finding, not a reason to wait for ever.
RUN_SLACK_SECONDS = 60
INITIALISE_SECONDS_MAX = 600

REFERENCE_TABLE = "bench_rates"


@dataclasses.dataclass(frozen=True)
class Workload:
    """What each transaction does: one of pgbench's own scripts, or ours."""

    name: str
    builtin: str = ""
    script: str = ""


AID = "\\set aid random(1, 100000 * :scale)\n"

WORKLOADS = [
    Workload("select-only (-S)", builtin="select-only"),
    Workload("simple-update (-N)", builtin="simple-update"),
    Workload("TPC-B-like", builtin="tpcb-like"),
    Workload("point read by key", script=AID + "SELECT aid, bid, abalance, filler FROM pgbench_accounts WHERE aid = :aid;\n"),
    Workload(
        "split insert (4 rows)",
        script="".join(AID.replace("aid ", f"aid{n} ", 1) for n in range(4))
        + "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES "
        + ", ".join(f"(1, 1, :aid{n}, 0, CURRENT_TIMESTAMP)" for n in range(4))
        + ";\n",
    ),
    Workload(
        "reference write",
        script="\\set id random(1, 100)\n\\set rate random(1, 1000)\n"
        + f"UPDATE {REFERENCE_TABLE} SET rate = :rate WHERE id = :id;\n",
    ),
]


@dataclasses.dataclass(frozen=True)
class Run:
    """The figures of one run; `problem` says why there are none."""

    tps: float = 0.0
    latency_ms: float = 0.0
    transactions: int = 0
    cpu_seconds: float | None = None
    problem: str = ""

    def __str__(self):
        return self.problem or f"{self.tps:.0f} tps, {self.latency_ms:.2f} ms"


NOT_AVAILABLE = Run(problem="n/a")


def program(name):
    """Finds one of PostgreSQL's programs: $PG_BIN, PATH, Debian's folders."""
    if os.environ.get("PG_BIN"):
        return str(pathlib.Path(os.environ["PG_BIN"]) / name)
    debian = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = shutil.which(name) or (str(debian[-1]) if debian else None)
    if not found:
        raise SystemExit(f"{name} is missing; type: sudo apt-get install -y postgresql")
    return found


def environment():
    return {**os.environ, "PGPASSWORD": "app", "PGCONNECT_TIMEOUT": "10"}


def address(leg):
    return ["-h", leg.host, "-p", str(leg.port), "-U", "app"]


def psql(leg, sql):
    """Runs one statement; an error ends the benchmark."""
    command = [program("psql"), *address(leg), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, leg.database]
    subprocess.run(command, env=environment(), check=True, timeout=INITIALISE_SECONDS_MAX)


def initialise(leg, scale):
    """Loads the tables with the stock `pgbench -i`, then ours."""
    command = [program("pgbench"), "-i", "-q", "-s", str(scale), *address(leg), leg.database]
    subprocess.run(command, env=environment(), check=True, timeout=INITIALISE_SECONDS_MAX, stderr=subprocess.DEVNULL)
    psql(leg, f"CREATE TABLE {REFERENCE_TABLE} (id int PRIMARY KEY, rate int NOT NULL)")
    psql(leg, f"INSERT INTO {REFERENCE_TABLE} (id, rate) VALUES " + ", ".join(f"({n}, 0)" for n in range(1, 101)))


def run(leg, workload, mode, chosen, folder):
    """Runs `workload` against `leg`; the CPU time is the proxy process's, all its threads."""
    command = [program("pgbench"), "-n", "-M", mode, "-c", str(chosen["clients"]), "-j", str(chosen["threads"])]
    command += ["-T", str(chosen["seconds"]), *address(leg)]
    if workload.builtin:
        command += ["-b", workload.builtin]
    else:
        path = folder / "workload.sql"
        path.write_text(workload.script)
        command += ["-f", str(path)]
    # With a script of one's own pgbench does not look at the tables for the scale.
    command += ["-D", f"scale={chosen['scale']}"] if workload.script else []
    before = leg.cpu_seconds()
    try:
        done = subprocess.run(
            [*command, leg.database],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=chosen["seconds"] + RUN_SLACK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Run(problem="failed: no end in time")
    after = leg.cpu_seconds()
    cpu = after - before if before is not None and after is not None else None
    return read(done, cpu)


def read(done, cpu):
    """Reads pgbench's report; a client that aborted makes the run a failure."""
    tps = re.search(r"^tps = ([\d.]+)", done.stdout, re.M)
    latency = re.search(r"^latency average = ([\d.]+) ms", done.stdout, re.M)
    count = re.search(r"^number of transactions actually processed: (\d+)", done.stdout, re.M)
    if done.returncode != 0 or not (tps and latency and count) or "abort" in done.stderr:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower() or "ERROR" in line]
        reason = lines[0] if lines else f"exit code {done.returncode}"
        return Run(problem=f"failed: {reason[:160]}")
    return Run(float(tps[1]), float(latency[1]), int(count[1]), cpu)
