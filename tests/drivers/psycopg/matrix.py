"""psycopg 3: the features of the driver matrix, one function each."""

import asyncio
import datetime
import decimal
import os
import pathlib
import sys
import threading

import psycopg
import psycopg_pool
from psycopg import errors, sql
from psycopg.rows import dict_row
from psycopg.types.json import Json, Jsonb

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from features import SHARDED, expect, run  # noqa: E402

NAME = "SELECT name FROM accounts WHERE account_id = %s"
# Prepared transactions are the whole server's.
NAMED = f"matrix-psycopg-{os.environ['PGDATABASE']}"


def connect(**options):
    return psycopg.connect("", **options)


def raises(kind, work, *arguments):
    try:
        work(*arguments)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def simple():
    with connect(cursor_factory=psycopg.ClientCursor) as connection:
        cursor = connection.execute("SELECT 1; SELECT 'two'; SELECT name FROM accounts WHERE account_id = 3")
        seen = [cursor.fetchall()]
        while cursor.nextset():
            seen.append(cursor.fetchall())
        expect(seen, [[(1,)], [("two",)], [("name 3",)]])
        expect(connection.execute(NAME, (4,)).fetchall(), [("name 4",)])
        cursor = connection.execute("")
        expect((cursor.statusmessage, cursor.rowcount), (None, -1))


def extended():
    with connect() as connection:
        cursor = connection.execute("SELECT account_id, name FROM accounts WHERE account_id = %s", (7,))
        expect([(column.name, column.type_code) for column in cursor.description], [("account_id", 20), ("name", 25)])
        expect(cursor.fetchone(), (7, "name 7"))
        cursor = connection.execute("SELECT count(*) FROM accounts WHERE account_id = ANY(%s)", ([1, 2, 3, 4],))
        expect(cursor.fetchone(), (4,))
        rows = connection.cursor(row_factory=dict_row).execute("SELECT 1 AS a, 2 AS b").fetchall()
        expect(rows, [{"a": 1, "b": 2}])


def prepared():
    with connect(autocommit=True, prepare_threshold=0) as connection:
        for number in range(1, 51):
            expect(connection.execute(NAME, (number,)).fetchone(), (f"name {number}",))
        for number in range(1, 51):
            with connection.transaction():
                connection.execute("UPDATE accounts SET balance = balance + 1 WHERE account_id = %s", (number,))
                row = connection.execute(NAME, (number,), prepare=True).fetchone()
                expect(row, (f"name {number}",))
        # More texts than the driver keeps: it deallocates.
        connection.prepared_max = 5
        for number in range(1, 30):
            row = connection.execute(f"SELECT name, {number} FROM accounts WHERE account_id = %s", (number,)).fetchone()
            expect(row, (f"name {number}", number))


def binary():
    with connect() as connection:
        cursor = connection.cursor(binary=True)
        cursor.execute("SELECT account_id, name, balance FROM accounts WHERE account_id = %b", (8,))
        row = cursor.fetchone()
        expect((row[0], row[1]), (8, "name 8"))
        expect(cursor.pgresult.fformat(0), 1)
        cursor.execute("SELECT event_id, label FROM events WHERE event_id <= %b ORDER BY event_id", (20,))
        expect(cursor.fetchall(), [(number, f"event {number}") for number in range(1, 21)])


def column(name, values, key):
    """Writes and reads each value, in text and in binary."""
    with connect() as connection:
        for value in values:
            for out in (False, True):
                cursor = connection.cursor(binary=out)
                for mark in ("%t", "%b"):
                    key += 1
                    query = sql.SQL(f"INSERT INTO accounts (account_id, {name}) VALUES (%s, {mark})")
                    cursor.execute(query, (key, value))
                    cursor.execute(f"SELECT {name} FROM accounts WHERE account_id = %s", (key,))
                    expect(cursor.fetchone(), (value.obj if isinstance(value, (Json, Jsonb)) else value,))


def nulls():
    column("name", [None, ""], 1000)
    with connect() as connection:
        cursor = connection.execute("SELECT name FROM accounts WHERE account_id = %s", (None,))
        expect(cursor.fetchall(), [])


def arrays():
    column("tags", [[], ["a", 'b"c', "d,e", "{f}", "\\", None, "NULL"]], 1100)
    column("numbers", [[1, -2, 2147483647], [None]], 1150)


def numeric():
    column("balance", [decimal.Decimal("0.01"), decimal.Decimal("-9999999999.99"), decimal.Decimal("12.50")], 1200)
    with connect() as connection:
        row = connection.execute("SELECT %s::numeric, 'NaN'::numeric", (decimal.Decimal("1e-30"),)).fetchone()
        expect((row[0], row[1].is_nan()), (decimal.Decimal("1e-30"), True))


def timestamptz():
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    moment = datetime.datetime(2026, 2, 28, 23, 59, 59, 999999, zone)
    column("opened", [moment, datetime.datetime(1900, 1, 1, tzinfo=datetime.timezone.utc)], 1300)


def bytea():
    column("payload", [b"", bytes(range(256)), b"\x00" * 70_000], 1400)


def json():
    column("doc", [Jsonb({"a": [1, None, "ü"], "b": {"c": 1.5}}), Jsonb([])], 1500)
    with connect() as connection:
        expect(connection.execute("SELECT %s::json -> 'a'", (Json({"a": 5}),)).fetchone(), (5,))


def errors_():
    with connect(autocommit=True) as connection:
        error = raises(errors.UniqueViolation, connection.execute, "INSERT INTO accounts (account_id) VALUES (1)")
        expect((error.diag.sqlstate, error.diag.constraint_name), ("23505", "accounts_pkey"))
        error = raises(errors.UndefinedTable, connection.execute, "SELECT * FROM missing")
        expect(error.diag.statement_position, "15")
        raises(errors.SyntaxError, connection.execute, "SELEC 1")
        raises(errors.DivisionByZero, connection.execute, "SELECT 1 / %s", (0,))
        raises(errors.InvalidTextRepresentation, connection.execute, "SELECT name FROM accounts WHERE account_id = 'x'")
        expect(connection.execute("SELECT 1").fetchone(), (1,))
    with connect() as connection:
        raises(errors.DivisionByZero, connection.execute, "SELECT 1 / 0")
        raises(errors.InFailedSqlTransaction, connection.execute, "SELECT 1")
        connection.rollback()
        expect(connection.execute("SELECT 1").fetchone(), (1,))


errors_.__name__ = "errors"


def notices():
    with connect(autocommit=True) as connection:
        seen = []
        connection.add_notice_handler(lambda notice: seen.append((notice.severity, notice.message_primary)))
        connection.execute("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'world'; END $$")
        expect(seen, [("NOTICE", "hello"), ("WARNING", "world")])


def transactions():
    with connect() as connection, connect(autocommit=True) as other:
        connection.execute("INSERT INTO accounts (account_id, name) VALUES (2001, 'new'), (2002, 'new'), (2003, 'new')")
        expect(other.execute(NAME, (2001,)).fetchall(), [])
        connection.commit()
        expect(other.execute(NAME, (2003,)).fetchall(), [("new",)])
        connection.execute("DELETE FROM accounts WHERE account_id IN (2001, 2002, 2003)")
        expect(connection.execute(NAME, (2002,)).fetchall(), [])
        connection.rollback()
        expect(connection.execute(NAME, (2002,)).fetchall(), [("new",)])
        expect(connection.info.transaction_status.name, "INTRANS")


def savepoints():
    with connect() as connection:
        with connection.transaction():
            connection.execute("INSERT INTO accounts (account_id, name) VALUES (2101, 'kept')")
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO accounts (account_id, name) VALUES (2102, 'undone')")
                    connection.execute("INSERT INTO accounts (account_id, name) VALUES (2101, 'again')")
            except errors.UniqueViolation:
                pass
            with connection.transaction(force_rollback=True):
                connection.execute("UPDATE accounts SET name = 'undone' WHERE account_id = 2101")
        cursor = connection.execute("SELECT account_id, name FROM accounts WHERE account_id IN (2101, 2102)")
        expect(cursor.fetchall(), [(2101, "kept")])


def isolation():
    with connect() as connection, connect(autocommit=True) as other:
        for number, level in enumerate(psycopg.IsolationLevel):
            connection.isolation_level = level
            if not SHARDED:  # SHOW asks home, and one snapshot is of one shard.
                shown = connection.execute("SHOW transaction_isolation").fetchone()[0]
                expect(shown.replace(" ", "_").upper(), level.name)
            before = connection.execute(NAME, (61,)).fetchone()
            other.execute("UPDATE accounts SET name = %s WHERE account_id = 61", (f"level {number}",))
            seen = connection.execute(NAME, (61,)).fetchone()
            expect(seen == before, level >= psycopg.IsolationLevel.REPEATABLE_READ)
            connection.commit()
        connection.isolation_level = None
        connection.read_only = True
        raises(errors.ReadOnlySqlTransaction, connection.execute, "DELETE FROM accounts WHERE account_id = 1")
        connection.rollback()


def batch():
    with connect() as connection:
        cursor = connection.cursor()
        rows = [(2200 + number, f"row {number}") for number in range(200)]
        cursor.executemany("INSERT INTO accounts (account_id, name) VALUES (%s, %s)", rows)
        expect(cursor.rowcount, 200)
        cursor.executemany(NAME, [(2200,), (2300,)], returning=True)
        expect(cursor.fetchone(), ("row 0",))
        cursor.nextset()
        expect(cursor.fetchone(), ("row 100",))
        connection.commit()
        connection.autocommit = True
        with connection.pipeline() as pipeline:
            cursors = [connection.execute(NAME, (number,)) for number in range(1, 41)]
            pipeline.sync()
            more = [connection.execute(NAME, (number,)) for number in range(41, 61)]
            expect([each.fetchone() for each in cursors + more], [(f"name {number}",) for number in range(1, 61)])
        with connection.pipeline(), connection.transaction():
            for number in range(2400, 2450):
                connection.execute("INSERT INTO accounts (account_id, name) VALUES (%s, 'p')", (number,))
        expect(connection.execute("SELECT count(*) FROM accounts WHERE name = 'p'").fetchone(), (50,))


def batch_error():
    with connect(autocommit=True) as connection:
        insert = "INSERT INTO accounts (account_id, name) VALUES (%s, 'half')"
        try:
            with connection.pipeline() as pipeline:
                connection.execute(insert, (2501,))
                pipeline.sync()
                connection.execute(insert, (2502,))
                connection.execute(insert, (1,))
                connection.execute(insert, (2503,))
                pipeline.sync()
            raise AssertionError("no error")
        except errors.UniqueViolation:
            pass
        cursor = connection.execute("SELECT account_id FROM accounts WHERE name = 'half' ORDER BY account_id")
        expect(cursor.fetchall(), [(2501,)])
        cursor = connection.cursor()
        rows = [(2511,), (2512,), (2,), (2513,)]
        raises(errors.UniqueViolation, cursor.executemany, insert, rows)
        cursor = connection.execute("SELECT count(*) FROM accounts WHERE name = 'half'")
        expect(cursor.fetchone()[0] in (1, 3), True)
        expect(connection.info.transaction_status.name, "IDLE")


def fetch_size():
    with connect() as connection:
        rows = connection.cursor().stream("SELECT event_id FROM events ORDER BY event_id")
        expect([row[0] for row in rows], list(range(1, 10_001)))
        rows = connection.cursor().stream("SELECT event_id FROM events ORDER BY event_id", size=1)
        expect(next(rows), (1,))
        rows.close()
        # The driver cancels what is left; whether that comes in time is chance.
        connection.rollback()
        expect(connection.execute("SELECT 1").fetchone(), (1,))


def server_cursor():
    with connect() as connection:
        with connection.cursor("walk") as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT entry_id FROM entries WHERE account_id = %s ORDER BY entry_id", (5,))
            expect([row[0] for row in cursor], list(range(1, 51)))
        with connection.cursor("jump", scrollable=True) as cursor:
            cursor.execute("SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY entry_id")
            cursor.scroll(10)
            expect(cursor.fetchone(), (11,))
            cursor.scroll(-5)
            expect(cursor.fetchmany(2), [(7,), (8,)])


def hold_cursor():
    with connect() as connection:
        cursor = connection.cursor("kept", withhold=True)
        cursor.execute("SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY entry_id")
        connection.commit()
        expect(cursor.fetchmany(2), [(1,), (2,)])
        cursor.close()


def copy_in():
    with connect() as connection:
        cursor = connection.cursor()
        with cursor.copy("COPY accounts (account_id, name, balance) FROM STDIN") as copy:
            for number in range(3000, 3500):
                copy.write_row((number, None if number % 2 else "tab\there", number))
        expect(cursor.rowcount, 500)
        connection.commit()
        cursor.execute("SELECT count(*), count(name), sum(balance) FROM accounts WHERE account_id BETWEEN 3000 AND 3499")
        expect(cursor.fetchone(), (500, 250, decimal.Decimal(sum(range(3000, 3500)))))
        connection.rollback()
        with cursor.copy("COPY regions FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "text"])
            copy.write_row((1, "north"))
            copy.write_row((2, None))
        connection.commit()
        expect(cursor.execute("SELECT * FROM regions ORDER BY 1").fetchall(), [(1, "north"), (2, None)])


def copy_out():
    with connect() as connection:
        cursor = connection.cursor()
        with cursor.copy("COPY (SELECT n, 'x' FROM generate_series(1, 3) n) TO STDOUT") as copy:
            expect(b"".join(copy), b"1\tx\n2\tx\n3\tx\n")
        with cursor.copy("COPY (SELECT 1::int, 'x'::text) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "text"])
            expect(list(copy.rows()), [(1, "x")])
        with cursor.copy("COPY events TO STDOUT") as copy:
            expect(len(list(copy.rows())), 10_000)


def copy_fail():
    with connect() as connection:
        cursor = connection.cursor()
        try:
            with cursor.copy("COPY accounts (account_id, name) FROM STDIN") as copy:
                copy.write_row((3600, "never"))
                raise KeyError("given up")
        except KeyError:
            expect(connection.info.transaction_status.name, "INERROR")
        connection.rollback()
        try:
            with cursor.copy("COPY accounts (account_id, name) FROM STDIN") as copy:
                copy.write_row((3601, "never"))
                copy.write_row((1, "twice"))
            raise AssertionError("no error")
        except errors.UniqueViolation:
            connection.rollback()
        expect(cursor.execute("SELECT name FROM accounts WHERE name = 'never'").fetchall(), [])


def listen():
    with connect(autocommit=True) as connection, connect(autocommit=True) as other:
        connection.execute("LISTEN news")
        other.execute("NOTIFY news, 'first'")
        other.execute("SELECT pg_notify('news', 'second')")
        seen = [(each.channel, each.payload) for each in connection.notifies(timeout=20, stop_after=2)]
        expect(seen, [("news", "first"), ("news", "second")])
        connection.execute("UNLISTEN *")


def cancel():
    with connect() as connection:
        stop = threading.Event()

        def keep_cancelling():
            while not stop.wait(0.05):
                connection.cancel_safe()

        thread = threading.Thread(target=keep_cancelling)
        thread.start()
        try:
            raises(errors.QueryCanceled, connection.execute, "SELECT pg_sleep(30)")
        finally:
            stop.set()
            thread.join()
        connection.rollback()
        expect(connection.execute(NAME, (1,)).fetchone(), ("name 1",))


def timeout():
    with connect() as connection:
        connection.execute("SET LOCAL statement_timeout = '100ms'")
        raises(errors.QueryCanceled, connection.execute, "SELECT pg_sleep(30)")
        connection.rollback()
        connection.autocommit = True
        connection.execute("SET statement_timeout = '100ms'")
        raises(errors.QueryCanceled, connection.execute, "SELECT pg_sleep(30)")
        connection.execute("RESET statement_timeout")
        connection.execute("SELECT pg_sleep(0.2)")


def set_reset():
    with connect(autocommit=True, options="-c work_mem=5MB") as connection:
        show = lambda name: connection.execute(f"SHOW {name}").fetchone()[0]  # noqa: E731
        expect(show("work_mem"), "5MB")
        connection.execute("SET work_mem = '6MB'")
        for _ in range(5):
            expect(show("work_mem"), "6MB")
        connection.execute("SET TIME ZONE 'Asia/Kolkata'")
        expect(connection.info.parameter_status("TimeZone"), "Asia/Kolkata")
        connection.execute("RESET work_mem")
        expect(show("work_mem"), "5MB")
        connection.execute("SELECT set_config('TimeZone', 'UTC', false)")
        expect(show("TimeZone"), "UTC")
        with connection.transaction():
            connection.execute("SET LOCAL work_mem = '8MB'")
        expect(show("work_mem"), "5MB")
        connection.execute("DISCARD ALL")
        expect(show("TimeZone") != "Asia/Kolkata", True)


def large_row():
    text = "ü" * 500_000 + "end"
    with connect() as connection:
        connection.execute("INSERT INTO accounts (account_id, name, payload) VALUES (%s, %s, %s)",
                           (4001, text, b"\xff" * 1_000_000))
        connection.commit()
        for out in (False, True):
            row = connection.cursor(binary=out).execute(
                "SELECT name, payload FROM accounts WHERE account_id = 4001").fetchone()
            expect(row == (text, b"\xff" * 1_000_000), True)


def many_rows():
    with connect() as connection:
        rows = connection.execute("SELECT event_id, label FROM events ORDER BY event_id").fetchall()
        expect(rows, [(number, f"event {number}") for number in range(1, 10_001)])
        rows = connection.execute("SELECT event_id FROM events WHERE event_id > %s", (0,)).fetchall()
        expect(len(set(rows)), 10_000)


def pool():
    with psycopg_pool.ConnectionPool("", min_size=4, max_size=4, check=psycopg_pool.ConnectionPool.check_connection) as p:
        p.wait(20)

        def work(number):
            for key in range(1, 21):
                with p.connection() as connection:
                    expect(connection.execute(NAME, (key,)).fetchone(), (f"name {key}",))
                    connection.execute("UPDATE accounts SET balance = 0 WHERE account_id = %s", (number,))

        failures = []

        def guarded(number):
            try:
                work(number)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(number,)) for number in range(71, 81)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(failures, [])
    asyncio.run(async_pool())


async def async_pool():
    async with psycopg_pool.AsyncConnectionPool("", min_size=2, max_size=4, open=False) as p:

        async def work(key):
            async with p.connection() as connection:
                cursor = await connection.execute(NAME, (key,))
                expect(await cursor.fetchone(), (f"name {key}",))

        await asyncio.gather(*(work(key) for key in range(1, 41)))


def ddl():
    with connect(autocommit=True, prepare_threshold=0) as connection, connect(autocommit=True) as other:
        connection.execute("INSERT INTO shapes (shape_id, name) VALUES (1, 'square')")
        named = "SELECT name FROM shapes WHERE shape_id = %s"
        for sql in ("ALTER TABLE shapes ADD COLUMN sides int DEFAULT 4", "ALTER TABLE shapes DROP COLUMN sides",
                    "CREATE INDEX by_name ON shapes (name)", "DROP INDEX by_name"):
            for _ in range(3):
                expect(connection.execute(named, (1,)).fetchone(), ("square",))
            other.execute(sql)
        expect(connection.execute(named, (1,)).fetchone(), ("square",))


def ddl_columns():
    with connect(autocommit=True, prepare_threshold=0) as connection, connect(autocommit=True) as other:
        every = "SELECT * FROM shapes WHERE shape_id = %s"
        for _ in range(3):
            expect(connection.execute(every, (1,)).fetchone(), (1, "square"))
        other.execute("ALTER TABLE shapes ADD COLUMN sides int DEFAULT 4")
        expect(connection.execute(every, (1,)).fetchone(), (1, "square", 4))
        other.execute("ALTER TABLE shapes ALTER COLUMN name TYPE varchar(40)")
        expect(connection.execute(every, (1,)).fetchone(), (1, "square", 4))
        other.execute("ALTER TABLE shapes DROP COLUMN sides")
        expect(connection.execute(every, (1,)).fetchone(), (1, "square"))


def returning():
    with connect() as connection:
        insert = "INSERT INTO entries (account_id, note) VALUES (%s, %s) RETURNING entry_id, note"
        first = connection.execute(insert, (6, "a")).fetchone()
        second = connection.execute(insert, (6, "b")).fetchone()
        expect((second[0] > first[0], first[1], second[1]), (True, "a", "b"))
        many = connection.execute("INSERT INTO entries (account_id, note) VALUES (1, 'x'), (2, 'y'), (3, 'z') "
                                  "RETURNING account_id, note").fetchall()
        expect(many, [(1, "x"), (2, "y"), (3, "z")])
        row = connection.execute("UPDATE accounts SET balance = 5 WHERE account_id = 9 RETURNING balance").fetchone()
        expect(row, (decimal.Decimal(5),))
        connection.commit()
        cursor = connection.cursor()
        cursor.executemany(insert, [(number, "m") for number in range(1, 11)], returning=True)
        ids = [cursor.fetchone()[0]]
        while cursor.nextset():
            ids.append(cursor.fetchone()[0])
        expect(len(set(ids)), 10)


def two_phase():
    with connect() as connection:
        xid = connection.xid(1, NAMED, "branch")
        connection.tpc_begin(xid)
        connection.execute("INSERT INTO accounts (account_id, name) VALUES (5001, 'prepared')")
        connection.tpc_prepare()
        with connect() as other:
            expect(len([each for each in other.tpc_recover() if each.gtrid == NAMED]), 1)
        connection.tpc_commit()
        expect(connection.execute(NAME, (5001,)).fetchone(), ("prepared",))


FEATURES = [
    simple, extended, prepared, binary, nulls, arrays, numeric, timestamptz, bytea, json, errors_, notices, transactions,
    savepoints, isolation, batch, batch_error, fetch_size, server_cursor, hold_cursor, copy_in, copy_out, copy_fail,
    listen, cancel, timeout, set_reset, large_row, many_rows, pool, ddl, ddl_columns, returning, two_phase,
]

if __name__ == "__main__":
    if "PGMINPROTOCOLVERSION" in os.environ and psycopg.pq.version() < 180_000:
        sys.exit("an older libpq takes no notice of PGMINPROTOCOLVERSION")
    print(f"driver psycopg {psycopg.__version__}")
    run(FEATURES, lambda error: getattr(error, "sqlstate", None))
