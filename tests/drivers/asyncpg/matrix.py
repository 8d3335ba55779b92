"""asyncpg: the features of the driver matrix, one function each."""

import asyncio
import datetime
import decimal
import functools
import pathlib
import sys

import asyncpg

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from features import expect, run  # noqa: E402

NAME = "SELECT name FROM accounts WHERE account_id = $1"
FEATURES = []


def feature(work):
    """Makes a function of a coroutine, and lists it; it takes a connection of its own."""

    @functools.wraps(work)
    def wrapped():
        async def whole():
            connection = await asyncpg.connect(timeout=20, command_timeout=60)
            try:
                await work(connection)
            finally:
                await connection.close(timeout=20)

        asyncio.run(whole())

    FEATURES.append(wrapped)
    return work


async def raises(kind, awaitable):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


@feature
async def simple(c):
    await c.execute("SELECT 1; UPDATE accounts SET balance = 1 WHERE account_id = 3; SELECT 2")
    expect(await c.execute("UPDATE accounts SET balance = 2 WHERE account_id = 3"), "UPDATE 1")
    expect(await c.execute("UPDATE accounts SET balance = 2 WHERE account_id = 999"), "UPDATE 0")


@feature
async def extended(c):
    expect(tuple(await c.fetchrow("SELECT account_id, name FROM accounts WHERE account_id = $1", 7)), (7, "name 7"))
    expect(await c.fetchval("SELECT count(*) FROM accounts WHERE account_id = ANY($1)", [1, 2, 3]), 3)
    statement = await c.prepare("SELECT account_id, name FROM accounts WHERE account_id = $1")
    expect([each.type.name for each in statement.get_attributes()], ["int8", "text"])
    expect([each.name for each in statement.get_parameters()], ["int8"])


@feature
async def prepared(c):
    for number in range(1, 51):
        expect(await c.fetchval(NAME, number), f"name {number}")
    statement = await c.prepare("UPDATE accounts SET balance = balance + $1 WHERE account_id = $2 RETURNING account_id")
    for number in range(1, 51):
        async with c.transaction():
            expect(await statement.fetchval(decimal.Decimal(1), number), number)
    # More texts than the cache holds, without one, and none that lives long.
    for options in ({"statement_cache_size": 5}, {"statement_cache_size": 0}, {"max_cached_statement_lifetime": 1}):
        other = await asyncpg.connect(**options)
        for number in range(1, 31):
            text = f"SELECT name, {number} FROM accounts WHERE account_id = $1"
            expect(tuple(await other.fetchrow(text, number)), (f"name {number}", number))
        await other.close()


@feature
async def binary(c):
    rows = await c.fetch("SELECT event_id, label FROM events WHERE event_id <= $1 ORDER BY event_id", 20)
    expect([tuple(row) for row in rows], [(number, f"event {number}") for number in range(1, 21)])
    row = await c.fetchrow("SELECT $1::float8, $2::int2, $3::date, $4::uuid, $5::interval", 0.1, -3,
                           datetime.date(2026, 2, 28), "00000000-0000-0001-0000-000000000002", datetime.timedelta(days=3))
    expect((row[0], row[1], row[4]), (0.1, -3, datetime.timedelta(days=3)))


async def column(c, name, values, key):
    for value in values:
        key += 1
        await c.execute(f"INSERT INTO accounts (account_id, {name}) VALUES ($1, $2)", key, value)
        expect(await c.fetchval(f"SELECT {name} FROM accounts WHERE account_id = $1", key), value)


@feature
async def nulls(c):
    await column(c, "name", [None, ""], 1000)
    expect(await c.fetch(NAME, None), [])


@feature
async def arrays(c):
    await column(c, "tags", [[], ["a", 'b"c', "d,e", "{f}", "\\", None, "NULL"]], 1100)
    await column(c, "numbers", [[1, -2, 2147483647], [None], [[1, 2], [3, 4]]], 1150)


@feature
async def numeric(c):
    await column(c, "balance", [decimal.Decimal("0.01"), decimal.Decimal("-9999999999.99")], 1200)


@feature
async def timestamptz(c):
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    await column(c, "opened", [datetime.datetime(2026, 2, 28, 23, 59, 59, 999999, zone)], 1300)


@feature
async def bytea(c):
    await column(c, "payload", [b"", bytes(range(256)), b"\x00" * 70_000], 1400)


@feature
async def json(c):
    await column(c, "doc", ['{"a": [1, null, "ü"]}'], 1500)


@feature
async def errors(c):
    error = await raises(asyncpg.UniqueViolationError, c.execute("INSERT INTO accounts (account_id) VALUES ($1)", 1))
    expect((error.sqlstate, error.constraint_name), ("23505", "accounts_pkey"))
    await raises(asyncpg.UndefinedTableError, c.fetch("SELECT * FROM missing"))
    await raises(asyncpg.PostgresSyntaxError, c.fetch("SELEC 1"))
    await raises(asyncpg.DivisionByZeroError, c.fetch("SELECT 1 / $1::int", 0))
    await raises(asyncpg.DataError, c.fetch(NAME, "x"))
    async def failing():
        async with c.transaction():
            await raises(asyncpg.DivisionByZeroError, c.fetch("SELECT 1 / 0"))
            await c.fetch("SELECT 1")
    await raises(asyncpg.InFailedSQLTransactionError, failing())
    expect(await c.fetchval(NAME, 1), "name 1")


@feature
async def notices(c):
    seen = []
    c.add_log_listener(lambda _, message: seen.append(message.message))
    await c.execute("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
    await asyncio.sleep(0)
    expect(seen, ["hello"])


@feature
async def transactions(c):
    other = await asyncpg.connect()
    transaction = c.transaction()
    await transaction.start()
    await c.execute("INSERT INTO accounts (account_id, name) VALUES (2001, 'new'), (2002, 'new'), (2003, 'new')")
    expect(await other.fetch(NAME, 2001), [])
    await transaction.commit()
    expect(await other.fetchval(NAME, 2003), "new")
    transaction = c.transaction()
    await transaction.start()
    expect(await c.execute("DELETE FROM accounts WHERE account_id IN ($1, $2, $3)", 2001, 2002, 2003), "DELETE 3")
    await transaction.rollback()
    expect(await other.fetchval(NAME, 2002), "new")
    await other.close()


@feature
async def savepoints(c):
    async with c.transaction():
        await c.execute("INSERT INTO accounts (account_id, name) VALUES (2101, 'kept')")
        try:
            async with c.transaction():
                await c.execute("INSERT INTO accounts (account_id, name) VALUES (2102, 'undone')")
                await c.execute("INSERT INTO accounts (account_id, name) VALUES (2101, 'again')")
        except asyncpg.UniqueViolationError:
            pass
    rows = await c.fetch("SELECT account_id FROM accounts WHERE account_id IN (2101, 2102)")
    expect([row[0] for row in rows], [2101])


@feature
async def isolation(c):
    other = await asyncpg.connect()
    for level in ("read_committed", "repeatable_read", "serializable"):
        async with c.transaction(isolation=level):
            before = await c.fetchval(NAME, 61)
            await other.execute("UPDATE accounts SET name = $1 WHERE account_id = 61", level)
            expect(await c.fetchval(NAME, 61) == before, level != "read_committed")
    async with c.transaction(isolation="serializable", readonly=True, deferrable=True):
        await raises(asyncpg.ReadOnlySQLTransactionError, c.execute("DELETE FROM accounts WHERE account_id = 1"))
        await raises(asyncpg.InFailedSQLTransactionError, c.execute("SELECT 1"))
    await other.close()


@feature
async def batch(c):
    rows = [(2200 + number, f"row {number}") for number in range(300)]
    await c.executemany("INSERT INTO accounts (account_id, name) VALUES ($1, $2)", rows)
    expect(await c.fetchval("SELECT count(*) FROM accounts WHERE name LIKE 'row %'"), 300)
    statement = await c.prepare("UPDATE accounts SET name = $2 WHERE account_id = $1 RETURNING name")
    if hasattr(statement, "fetchmany"):
        made = await statement.fetchmany([(2200, "x"), (2201, "y")])
        expect([row[0] for row in made], ["x", "y"])


@feature
async def batch_error(c):
    rows = [(2601,), (2602,), (1,), (2603,)]
    insert = "INSERT INTO accounts (account_id, name) VALUES ($1, 'half')"
    await raises(asyncpg.UniqueViolationError, c.executemany(insert, rows))
    expect(await c.fetch("SELECT account_id FROM accounts WHERE name = 'half'"), [])


@feature
async def fetch_size(c):
    async with c.transaction():
        keys = [row[0] async for row in c.cursor("SELECT event_id FROM events WHERE event_id > $1 ORDER BY event_id",
                                                 9000, prefetch=70)]
        expect(keys, list(range(9001, 10_001)))
        cursor = await c.cursor("SELECT event_id FROM events ORDER BY event_id")
        expect([row[0] for row in await cursor.fetch(3)], [1, 2, 3])
        expect(await c.fetchval(NAME, 4), "name 4")
        await cursor.forward(10)
        expect((await cursor.fetchrow())[0], 14)


@feature
async def server_cursor(c):
    async with c.transaction():
        await c.execute("DECLARE walk CURSOR FOR SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY 1")
        expect([row[0] for row in await c.fetch("FETCH 3 FROM walk")], [1, 2, 3])
        await c.execute("MOVE 10 FROM walk")
        expect(await c.fetchval("FETCH walk"), 14)


@feature
async def hold_cursor(c):
    await c.execute("DECLARE kept CURSOR WITH HOLD FOR SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY 1")
    expect([row[0] for row in await c.fetch("FETCH 2 FROM kept")], [1, 2])
    await c.execute("CLOSE kept")


@feature
async def copy_in(c):
    rows = "".join(f"{key}\tx\n" for key in range(3000, 3500)).encode()
    async def source():
        for at in range(0, len(rows), 1000):
            yield rows[at:at + 1000]
    done = await c.copy_to_table("accounts", source=source(), columns=["account_id", "name"])
    expect(done, "COPY 500")
    expect(await c.fetchval("SELECT count(*) FROM accounts WHERE account_id BETWEEN 3000 AND 3499"), 500)
    done = await c.copy_records_to_table("regions", records=[(1, "north"), (2, None)])
    expect(done, "COPY 2")
    expect([tuple(row) for row in await c.fetch("SELECT * FROM regions ORDER BY 1")], [(1, "north"), (2, None)])


@feature
async def copy_out(c):
    got = bytearray()
    async def sink(data):
        got.extend(data)
    await c.copy_from_query("SELECT n, 'x' FROM generate_series(1, $1::int) n", 3, output=sink)
    expect(bytes(got), b"1\tx\n2\tx\n3\tx\n")
    expect(await c.copy_from_table("events", output=sink), "COPY 10000")


@feature
async def copy_fail(c):
    async def source():
        yield b"3600\tnever\n"
        raise KeyError("given up")
    await raises(KeyError, c.copy_to_table("accounts", source=source(), columns=["account_id", "name"]))
    twice = [b"3601\tnever\n1\ttwice\n"]
    async def again():
        for each in twice:
            yield each
    await raises(asyncpg.UniqueViolationError,
                 c.copy_to_table("accounts", source=again(), columns=["account_id", "name"]))
    expect(await c.fetch("SELECT name FROM accounts WHERE name = 'never'"), [])


@feature
async def listen(c):
    heard = asyncio.Queue()
    await c.add_listener("news", lambda _, __, channel, payload: heard.put_nowait((channel, payload)))
    other = await asyncpg.connect()
    await other.execute("NOTIFY news, 'first'")
    expect(await asyncio.wait_for(heard.get(), 20), ("news", "first"))
    await other.close()
    await c.reset()


@feature
async def cancel(c):
    for _ in range(3):
        await raises(asyncio.TimeoutError, c.fetch("SELECT pg_sleep(30)", timeout=0.2))
        expect(await c.fetchval(NAME, 1), "name 1")


@feature
async def timeout(c):
    await c.execute("SET statement_timeout = '100ms'")
    await raises(asyncpg.QueryCanceledError, c.fetch("SELECT pg_sleep(30)"))
    await c.execute("RESET statement_timeout")
    await c.fetch("SELECT pg_sleep(0.2)")


@feature
async def set_reset(c):
    other = await asyncpg.connect(server_settings={"work_mem": "5MB", "application_name": "matrix"})
    show = lambda name: other.fetchval(f"SHOW {name}")  # noqa: E731
    expect((await show("work_mem"), await show("application_name")), ("5MB", "matrix"))
    await other.execute("SET work_mem = '6MB'")
    for _ in range(5):
        expect(await show("work_mem"), "6MB")
    await other.execute("SET TIME ZONE 'Asia/Kolkata'")
    expect(other.get_settings().TimeZone, "Asia/Kolkata")
    await other.reset()
    expect(await show("work_mem"), "5MB")
    await other.close()


@feature
async def large_row(c):
    text = "ü" * 500_000 + "end"
    await c.execute("INSERT INTO accounts (account_id, name, payload) VALUES ($1, $2, $3)", 4001, text, b"\xff" * 1_000_000)
    row = await c.fetchrow("SELECT name, payload FROM accounts WHERE account_id = 4001")
    expect(tuple(row) == (text, b"\xff" * 1_000_000), True)


@feature
async def many_rows(c):
    rows = await c.fetch("SELECT event_id, label FROM events ORDER BY event_id")
    expect([tuple(row) for row in rows], [(number, f"event {number}") for number in range(1, 10_001)])


@feature
async def pool(_):
    async with asyncpg.create_pool(min_size=2, max_size=4) as p:
        async def work(key):
            async with p.acquire() as connection, connection.transaction():
                await connection.execute("SET LOCAL work_mem = '7MB'")
                expect(await connection.fetchval(NAME, key), f"name {key}")
                expect(await connection.fetchval("SHOW work_mem"), "7MB")
        await asyncio.gather(*(work(key) for key in range(1, 51)))


@feature
async def ddl(c):
    other = await asyncpg.connect()
    await c.execute("INSERT INTO shapes (shape_id, name) VALUES (1, 'square')")
    named = "SELECT name FROM shapes WHERE shape_id = $1"
    for sql in ("ALTER TABLE shapes ADD COLUMN sides int DEFAULT 4", "ALTER TABLE shapes DROP COLUMN sides"):
        for _ in range(3):
            expect(await c.fetchval(named, 1), "square")
        await other.execute(sql)
    expect(await c.fetchval(named, 1), "square")
    await other.close()


@feature
async def ddl_columns(c):
    other = await asyncpg.connect()
    every = "SELECT * FROM shapes WHERE shape_id = $1"
    for _ in range(3):
        expect(tuple(await c.fetchrow(every, 1)), (1, "square"))
    await other.execute("ALTER TABLE shapes ADD COLUMN sides int DEFAULT 4")
    try:
        expect(tuple(await c.fetchrow(every, 1)), (1, "square", 4))
    finally:
        await other.execute("ALTER TABLE shapes DROP COLUMN sides")
    expect(tuple(await c.fetchrow(every, 1)), (1, "square"))
    await other.close()


@feature
async def returning(c):
    insert = "INSERT INTO entries (account_id, note) VALUES ($1, $2) RETURNING entry_id"
    first, second = await c.fetchval(insert, 6, "a"), await c.fetchval(insert, 6, "b")
    expect(second > first, True)
    rows = await c.fetch("INSERT INTO entries (account_id, note) VALUES ($1, 'x'), ($2, 'y') RETURNING note", 1, 2)
    expect([row[0] for row in rows], ["x", "y"])


if __name__ == "__main__":
    print(f"driver asyncpg {asyncpg.__version__}")
    run(FEATURES, lambda error: getattr(error, "sqlstate", None))
