"""Times writes that concern several shards in each mode, beside the same write on one shard, on one machine in one run.

Run it as `python3 -B benches/multi_shard.py`. Environment: MULTI_SECONDS (4), MULTI_ROUNDS (5), MULTI_CLIENTS (16),
SHARDLOOM (target/release/shardloom). Three PostgreSQL servers with fsync on and the proxy share the machine's
processors. Prints the medians of tps with their range, the ratios that matter, how fast the relay drains, and what a
transaction costs home in bytes of WAL.
"""

import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time
import urllib.request

import legs
import pgbench

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATABASE = "multi"
ACCOUNTS = 30_000
RATES = 1_000
MODES = ["eventual", "eager", "two_phase"]
# The longest that the relay may need for what a run left.
DRAIN_SECONDS_MAX = 300

RATE = f"\\set id random(1, {RATES})\n\\set rate random(1, 1000)\n"
# In ascending order, so that two transfers never wait for each other.
PAIR = f"\\set a random(1, {ACCOUNTS // 2})\n\\set b random({ACCOUNTS // 2 + 1}, {ACCOUNTS})\n"
FOUR = "".join(f"\\set k{n} random(1, 1000000000)\n" for n in range(4))


def rules():
    documents = [
        "kind: ReferenceTables\ntables: [rates_eventual]\nhome: s0\n",
        "kind: SingleTables\ntables: [rates_single]\nshard: s0\n",
    ]
    for mode in MODES:
        # Of the modes, only eventual leaves what is added to other rows for later.
        assumed = ", assumed_count: keys" if mode == "eventual" else ""
        tables = f"{{accounts_{mode}: {{key: id}}, entries_{mode}: {{key: account}}}}"
        documents.append(
            f"kind: TableGroup\nname: {mode}\nkey: {{type: bigint}}\nmulti_shard: {{mode: {mode}{assumed}}}\n"
            f"missing_key: {{read: scatter, write: scatter}}\ntables: {tables}\n"
        )
    return "---\n".join(documents)


def schema():
    texts = [f"CREATE TABLE rates_{kind} (id int PRIMARY KEY, rate int NOT NULL);" for kind in ("eventual", "single")]
    for mode in MODES:
        texts.append(f"CREATE TABLE accounts_{mode} (id bigint PRIMARY KEY, balance bigint NOT NULL);")
        texts.append(f"CREATE TABLE entries_{mode} (account bigint NOT NULL, amount bigint NOT NULL);")
    return "\n".join(texts)


def start(folder):
    """Starts three shards with the proxy before them; returns its leg, its admin port and home's leg."""
    program = os.environ.get("SHARDLOOM", str(ROOT / "target/release/shardloom"))
    (folder / "rules").mkdir()
    (folder / "rules/rules.yaml").write_text(rules())
    (folder / "schema.sql").write_text(schema())
    port, admin_port = legs.free_port(), legs.free_port()
    command = [program, "dev", "--shards", "3", "--port", str(port), "--admin-port", str(admin_port)]
    command += ["--database", DATABASE, "--rules", str(folder / "rules"), "--schema", str(folder / "schema.sql")]
    command += ["--pg-option", "fsync=on", "--pg-option", "synchronous_commit=on"]
    log_path = folder / "shardloom.log"
    with open(log_path, "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    legs.wait_for(lambda: "shardloom is ready:" in log_path.read_text(), process, log_path)
    address = asked(admin_port, "shards")[0]["address"]
    home = legs.Leg("home", int(address.rsplit(":", 1)[1]), DATABASE, "one server")
    return process, legs.Leg("shardloom", port, DATABASE, "shards", process.pid), admin_port, home


def asked(admin_port, what):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/api/v1/{what}", timeout=10) as reply:
        return json.load(reply)


def fill(leg):
    rates = ", ".join(f"({n}, 0)" for n in range(1, RATES + 1))
    for kind in ("eventual", "single"):
        pgbench.psql(leg, f"INSERT INTO rates_{kind} VALUES {rates}")
    for mode in MODES:
        for first in range(1, ACCOUNTS + 1, 5_000):
            rows = ", ".join(f"({n}, 1000)" for n in range(first, first + 5_000))
            pgbench.psql(leg, f"INSERT INTO accounts_{mode} VALUES {rows}")


def workloads():
    """Returns the scripts by name."""
    made = {"reference, replicated": RATE + "UPDATE rates_eventual SET rate = :rate WHERE id = :id;\n"}
    made["reference, one copy"] = RATE + "UPDATE rates_single SET rate = :rate WHERE id = :id;\n"
    # What writing three copies by two_phase would be: three rows, mostly of two or three shards. No two transactions share
    # two of them but by rare chance, so that they do not wait for each other crosswise.
    third = ACCOUNTS // 3
    ids = "".join(f"\\set {name} random({at * third + 1}, {(at + 1) * third})\n" for at, name in enumerate("abc"))
    made["three rows, two_phase"] = ids + "UPDATE accounts_two_phase SET balance = 5 WHERE id IN (:a, :b, :c);\n"
    for mode in MODES:
        rows = ", ".join(f"(:k{n}, 1)" for n in range(4))
        made[f"insert of 4 rows, {mode}"] = FOUR + f"INSERT INTO entries_{mode} (account, amount) VALUES {rows};\n"
    for mode in MODES:
        debit, credit = (f"UPDATE accounts_{mode} SET balance = balance {change} WHERE id = " for change in ("- 1", "+ 1"))
        made[f"transfer, {mode}"] = PAIR + f"BEGIN;\n{debit}:a;\n{credit}:b;\nCOMMIT;\n"
    return [pgbench.Workload(name, script=script) for name, script in made.items()]


def pending(admin_port):
    """Returns how many transactions wait for a target, and the age of the oldest in milliseconds."""
    lanes = asked(admin_port, "lanes")
    return sum(lane["pending"] for lane in lanes), max((lane["oldest_ms"] for lane in lanes), default=0)


def drained(admin_port):
    """Waits until nothing is pending; returns how many seconds that took."""
    begun = time.monotonic()
    while pending(admin_port)[0] > 0:
        if time.monotonic() - begun > DRAIN_SECONDS_MAX:
            raise SystemExit(f"still pending after {DRAIN_SECONDS_MAX} s: {asked(admin_port, 'lanes')}")
        time.sleep(0.02)
    return time.monotonic() - begun


def wal_position(home):
    command = [pgbench.program("psql"), *pgbench.address(home), "-X", "-A", "-t", "-c", "SELECT pg_current_wal_insert_lsn() - '0/0'", home.database]
    done = subprocess.run(command, env=pgbench.environment(), capture_output=True, text=True, check=True)
    return int(done.stdout)


def measure(leg, admin_port, home, chosen, folder):
    """Runs every workload once a round, and lets the relay drain after each."""
    found = {}
    for number in range(chosen["rounds"]):
        for workload in workloads():
            before = wal_position(home)
            run = pgbench.run(leg, workload, "simple", chosen, folder)
            if run.problem:
                raise SystemExit(f"{workload.name}: {run.problem}")
            left, _ = pending(admin_port)
            seconds = drained(admin_port)
            bytes_each = (wal_position(home) - before) / run.transactions
            cpu = 1000 * (run.cpu_seconds or 0) / run.transactions
            found.setdefault(workload.name, []).append((run.tps, cpu, bytes_each, left, seconds))
        print(f"round {number + 1} of {chosen['rounds']} is done", flush=True)
    return found


def report(found):
    print("\n| write | tps | min–max | proxy CPU, ms each | home's WAL, bytes each | pending at the end | drained in, s |")
    print("|---|---|---|---|---|---|---|")
    middle = {}
    for name, runs in found.items():
        tps = [run[0] for run in runs]
        middle[name] = statistics.median(tps)
        rest = [statistics.median(run[at] for run in runs) for at in range(1, 5)]
        print(f"| {name} | {middle[name]:.0f} | {min(tps):.0f}–{max(tps):.0f} | {rest[0]:.3f} | {rest[1]:.0f} | {rest[2]:.0f} | {rest[3]:.2f} |")
    print("\n| ratio | |\n|---|---|")
    for above, below in (
        ("reference, replicated", "reference, one copy"),
        ("reference, replicated", "three rows, two_phase"),
        ("insert of 4 rows, eventual", "insert of 4 rows, two_phase"),
        ("insert of 4 rows, eager", "insert of 4 rows, two_phase"),
        ("transfer, eventual", "transfer, two_phase"),
        ("transfer, eager", "transfer, two_phase"),
    ):
        print(f"| {above} / {below} | {middle[above] / middle[below]:.2f} |")


def lag(leg, admin_port, chosen, folder, tps):
    """Runs reference writes at half the rate that was reached and samples the age of the oldest change that waits."""
    script = folder / "lag.sql"
    script.write_text(next(workload.script for workload in workloads() if workload.name == "reference, replicated"))
    command = [pgbench.program("pgbench"), "-n", "-c", str(chosen["clients"]), "-j", "2", "-T", str(chosen["seconds"] * 2)]
    command += ["-R", str(int(tps / 2)), "-f", str(script), *pgbench.address(leg), leg.database]
    process = subprocess.Popen(command, env=pgbench.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ages = []
    while process.poll() is None:
        ages.append(pending(admin_port)[1])
        time.sleep(0.02)
    ages.sort()
    print(f"\nat {tps / 2:.0f} reference writes per second: oldest waiting change p50 {ages[len(ages) // 2]:.0f} ms, "
          f"p99 {ages[len(ages) * 99 // 100]:.0f} ms, most {ages[-1]:.0f} ms, {len(ages)} looks")


def main():
    chosen = {
        "seconds": int(os.environ.get("MULTI_SECONDS", "4")),
        "rounds": int(os.environ.get("MULTI_ROUNDS", "5")),
        "clients": int(os.environ.get("MULTI_CLIENTS", "16")),
        "threads": 2,
        "scale": 1,
    }
    folder = pathlib.Path(tempfile.mkdtemp(prefix="shardloom-multi-"))
    folder.chmod(0o755)
    process, leg, admin_port, home = start(folder)
    try:
        fill(leg)
        drained(admin_port)
        found = measure(leg, admin_port, home, chosen, folder)
        report(found)
        lag(leg, admin_port, chosen, folder, statistics.median(run[0] for run in found["reference, replicated"]))
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
