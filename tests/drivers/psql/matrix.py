"""psql: the features of the driver matrix, one function each. psql is the installed one."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from features import expect, run  # noqa: E402

# With -d the libpq variables of the environment still say where and who.
PSQL = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]


class Failed(Exception):
    def __init__(self, text):
        super().__init__(text)
        found = re.search(r"(?:ERROR|FATAL):  ([0-9A-Z]{5}):", text)
        self.sqlstate = found.group(1) if found else None


def psql(script, *options):
    done = subprocess.run([*PSQL, *options], input=script, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(done.stderr)
    return done.stdout


def raises(state, script):
    try:
        psql(script)
    except Failed as error:
        expect(error.sqlstate, state)
        return str(error)
    raise AssertionError(f"no error {state}")


def simple():
    expect(psql("SELECT 1; SELECT 'two' \\; SELECT 3;\nSELECT name FROM accounts WHERE account_id = 4;"), "1\ntwo\n3\nname 4\n")
    expect(psql("", "-c", "SELECT 1; SELECT 2"), "1\n2\n")


def extended():
    expect(psql("SELECT account_id, name FROM accounts WHERE account_id = 1 \\gdesc\n"), "account_id|bigint\nname|text\n")
    expect(psql("SELECT 1 AS one, 'x' AS two \\gset\nSELECT :one, :'two';"), "1|x\n")
    if version() >= 16:
        expect(psql("SELECT name FROM accounts WHERE account_id = $1 \\bind 5 \\g\n"), "name 5\n")


def prepared():
    expect(psql("PREPARE p AS SELECT name FROM accounts WHERE account_id = $1;\nEXECUTE p(5);\nDEALLOCATE p;"), "name 5\n")


def nulls():
    expect(psql("\\pset null '∅'\nSELECT NULL, '';"), "∅|\n")


def errors():
    raises("23505", "INSERT INTO accounts (account_id) VALUES (1);")
    text = raises("42703", "SELECT missing FROM accounts WHERE account_id = 1;")
    expect("LINE 1: SELECT missing" in text, True)
    expect(psql("\\set ON_ERROR_STOP 0\nSELECT 1/0;\n\\echo :SQLSTATE\nSELECT 1;"), "22012\n1\n")
    script = "\\set ON_ERROR_ROLLBACK on\n\\set ON_ERROR_STOP 0\nBEGIN;\nSELECT 1/0;\nSELECT 2;\nCOMMIT;"
    expect(psql(script), "2\n")


def notices():
    done = subprocess.run([*PSQL, "-c", "DO $$ BEGIN RAISE NOTICE 'hello'; END $$"], capture_output=True, text=True)
    expect("hello" in done.stderr, True)


def transactions():
    psql("BEGIN;\nINSERT INTO accounts (account_id, name) VALUES (2001, 'new'), (2002, 'new');\nROLLBACK;")
    expect(psql("SELECT count(*) FROM accounts WHERE name = 'new';"), "0\n")
    psql("INSERT INTO accounts (account_id, name) VALUES (2001, 'new'), (2002, 'new');", "-1")
    expect(psql("SELECT count(*) FROM accounts WHERE name = 'new';"), "2\n")


def savepoints():
    script = """BEGIN; SAVEPOINT a; INSERT INTO accounts (account_id, name) VALUES (2101, 'undone');
        ROLLBACK TO a; COMMIT; SELECT count(*) FROM accounts WHERE name = 'undone';"""
    expect(psql(script), "0\n")


def fetch_size():
    out = psql("\\set FETCH_COUNT 100\nSELECT event_id FROM events WHERE event_id = ANY ('{1,2,3}') ORDER BY 1;")
    expect(out, "1\n2\n3\n")
    out = psql("\\set FETCH_COUNT 100\nSELECT event_id FROM events ORDER BY event_id;")
    expect(out.split(), [str(number) for number in range(1, 10_001)])


def copy_in():
    psql("COPY accounts (account_id, name) FROM STDIN;\n3000\tx\n3001\ty\n\\.\n")
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.write("".join(f"{key}\tfile\n" for key in range(3100, 3600)))
        file.flush()
        psql(f"\\copy accounts (account_id, name) from '{file.name}'\n")
    expect(psql("SELECT count(*) FROM accounts WHERE name = 'file';"), "500\n")


def copy_out():
    expect(psql("COPY (SELECT n, 'x' FROM generate_series(1, 2) n) TO STDOUT;"), "1\tx\n2\tx\n")
    expect(len(psql("\\copy events to stdout\n").splitlines()), 10_000)


def copy_fail():
    raises("23505", "COPY accounts (account_id, name) FROM STDIN;\n3700\tnever\n1\ttwice\n\\.\n")
    expect(psql("SELECT count(*) FROM accounts WHERE name = 'never';"), "0\n")


def listen():
    out = psql("LISTEN news;\nNOTIFY news, 'first';\n")
    expect('Asynchronous notification "news" with payload "first"' in out, True)


def cancel():
    """Ctrl-C: SIGINT while the statement runs."""
    process = subprocess.Popen(
        [*PSQL, "-v", "ON_ERROR_STOP=0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("\\echo ready\nSELECT pg_sleep(30);\n")
    process.stdin.close()
    expect(process.stdout.readline(), "ready\n")
    deadline = time.monotonic() + 20
    error = ""
    # Until it has arrived at psql's server: before that there is nothing to cancel.
    while "57014" not in error and time.monotonic() < deadline:
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        error += process.stderr.readline()
    expect("57014" in error, True)
    process.wait(20)
    process.stdout.close()
    process.stderr.close()
    expect(psql("SELECT name FROM accounts WHERE account_id = 1;"), "name 1\n")


def timeout():
    raises("57014", "SET statement_timeout = '100ms';\nSELECT pg_sleep(30);")


def set_reset():
    expect(psql("SET work_mem = '6MB';\nSHOW work_mem;\nRESET work_mem;\nSET application_name = 'x';\nSHOW application_name;"),
           "6MB\nx\n")


def many_rows():
    expect(len(psql("SELECT * FROM events ORDER BY event_id;").splitlines()), 10_000)


def returning():
    out = psql("INSERT INTO entries (account_id, note) VALUES (6, 'a'), (7, 'b') RETURNING note;")
    expect(out, "a\nb\n")


def describe():
    for command in ("\\d", "\\d+", "\\dt+", "\\di+", "\\dn+", "\\du", "\\df", "\\dT", "\\dv", "\\ds", "\\dp", "\\l", "\\dx",
                    "\\dd", "\\ddp", "\\dO", "\\dL", "\\dew", "\\dRp", "\\dX", "\\sf pg_catalog.pg_sleep_for", "\\conninfo"):
        expect(psql(command + "\n") is not None, True)
    out = psql("\\t off\n\\pset footer on\n\\d entries\n")
    expect([word for word in ("entry_id", "bigint", "entries_pkey") if word not in out], [])
    expect(psql("\\d+ accounts\n").count("\n") >= 8, True)
    expect(psql("\\dt accounts\n"), "public|accounts|table|app\n")


def version():
    text = subprocess.run(["psql", "--version"], capture_output=True, text=True).stdout
    return int(re.search(r"(\d+)", text).group(1))


FEATURES = [
    simple, extended, prepared, nulls, errors, notices, transactions, savepoints, fetch_size, copy_in, copy_out, copy_fail,
    listen, cancel, timeout, set_reset, many_rows, returning, describe,
]

if __name__ == "__main__":
    if shutil.which("psql") is None:
        sys.exit("psql is missing: sudo apt-get install -y postgresql-client")
    os.environ.setdefault("PSQL_HISTORY", "/dev/null")
    # The installed one, whichever that is: no version.
    print("driver psql")
    run(FEATURES, lambda error: getattr(error, "sqlstate", None))
