"""The ways to a server that are compared, and the processes behind them."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pgbench

# `shardloom dev` promises 30 s; building servers on a busy machine gets twice that.
READY_SECONDS_MAX = 60
# Likewise 10 s for its end.
STOP_SECONDS_MAX = 20

PLAIN_DATABASE = "bench_plain"
SHARDED_DATABASE = "bench"
SHARDS = 3


@dataclasses.dataclass(frozen=True)
class Leg:
    """One way: where to connect, and whose CPU time to count."""

    name: str
    port: int
    database: str
    tables: str
    pid: int | None = None
    host: str = "127.0.0.1"
    modes: tuple = tuple(pgbench.MODES)

    def can(self, mode):
        return mode in self.modes

    def cpu_seconds(self):
        """Returns the CPU time of the proxy's process so far, user and system, all threads; None without a proxy."""
        if self.pid is None:
            return None
        # The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Started:
    """The processes of one benchmark."""

    def __init__(self):
        self.processes = []

    def start_all(self, root, folder):
        """Starts what is needed and returns the legs; the first is the one without a proxy."""
        given = os.environ.get("BENCH_SERVER")
        if given:
            host, port = given.rsplit(":", 1)
            sharded = []
        else:
            proxy = self.start_shardloom(root, folder)
            host, port = proxy["home"].rsplit(":", 1)
            sharded = [
                Leg("shardloom, 1 shard", proxy["port"], PLAIN_DATABASE, "one server", proxy["pid"]),
                Leg("shardloom, 3 shards", proxy["port"], SHARDED_DATABASE, "three shards", proxy["pid"]),
            ]
        direct = Leg("direct", int(port), PLAIN_DATABASE, "one server", host=host)
        server = dataclasses.replace(direct, database="postgres")
        pgbench.psql(server, f"DROP DATABASE IF EXISTS {PLAIN_DATABASE}")
        pgbench.psql(server, f"CREATE DATABASE {PLAIN_DATABASE}")
        return [direct, self.start_pgbouncer(direct, folder), *sharded]

    def start_pgbouncer(self, server, folder):
        """Starts PgBouncer in transaction mode with the same authentication (SCRAM on both sides)."""
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        port = free_port()
        (folder / "users.txt").write_text('"app" "app"\n')
        version = pgbouncer_version(program)
        lines = [
            "[databases]",
            f"* = host={server.host} port={server.port}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {port}",
            "unix_socket_dir =",
            "auth_type = scram-sha-256",
            f"auth_file = {folder}/users.txt",
            "pool_mode = transaction",
            "default_pool_size = 20",
            "max_client_conn = 200",
        ]
        # PgBouncer refuses to run as root and changes to this user by itself.
        lines += ["user = nobody"] if os.geteuid() == 0 else []
        # Prepared statements in transaction mode came with 1.21; Debian 12 has 1.18.
        keeps_prepared = version >= (1, 21)
        lines += ["max_prepared_statements = 200"] if keeps_prepared else []
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        with open(folder / "pgbouncer.log", "w") as log:
            process = subprocess.Popen([program, str(folder / "pgbouncer.ini")], stdout=log, stderr=log)
        self.processes.append(process)
        wait_for_port(port, process, folder / "pgbouncer.log")
        modes = tuple(pgbench.MODES) if keeps_prepared else ("simple", "extended")
        return Leg("pgbouncer", port, server.database, server.tables, process.pid, modes=modes)

    def start_shardloom(self, root, folder):
        """Starts `shardloom dev` with pgbench's rules and one reference table more."""
        program = os.environ.get("SHARDLOOM", str(root / "target/release/shardloom"))
        rules = folder / "rules"
        shutil.copytree(root / "examples/pgbench/rules", rules)
        (rules / "bench.yaml").write_text(f"kind: ReferenceTables\ntables: [{pgbench.REFERENCE_TABLE}]\nhome: s0\n")
        (folder / "empty.sql").write_text("")
        port, admin_port = free_port(), free_port()
        command = [program, "dev", "--shards", str(SHARDS), "--port", str(port), "--admin-port", str(admin_port)]
        command += ["--database", SHARDED_DATABASE, "--rules", str(rules), "--schema", str(folder / "empty.sql")]
        command += ["--passthrough", "any"]
        log_path = folder / "shardloom.log"
        with open(log_path, "w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self.processes.append(process)
        wait_for(lambda: "shardloom is ready:" in log_path.read_text(), process, log_path)
        status = subprocess.run(
            [program, "status", "--json", "--admin-port", str(admin_port)], capture_output=True, text=True, check=True
        )
        return {"port": port, "pid": process.pid, "home": json.loads(status.stdout)["shards"][0]["address"]}

    def stop_all(self):
        """Ends the processes that were started, the last first."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def pgbouncer_version(program):
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2]))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port, process, log_path):
    def answers():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    wait_for(answers, process, log_path)


def wait_for(holds, process, log_path):
    """Waits until `holds()`; a process that ended or a minute ends the benchmark with the log's last lines."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log_path.read_text().splitlines()[-10:])
            raise SystemExit(f"{process.args[0]} did not get ready:\n{tail}")
        time.sleep(0.05)
