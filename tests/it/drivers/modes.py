"""psycopg in its modes: binding on the client and on the server, named cursors, pipelines, COPY, executemany, binary.

Usage: modes.py CONNINFO. Prints what it saw as JSON, one line per step; the same is expected whatever is behind the
port. The tables of the protocol tests must exist, with customers 1 to 30.
"""

import json
import sys

import psycopg


def say(step, value):
    print(json.dumps([step, value], default=str))


def binding(connection, factory):
    cursor = factory(connection)
    cursor.execute("SELECT customer_id, name, balance FROM customers WHERE customer_id = %s", (3,))
    say(factory.__name__, [cursor.fetchone(), [(c.name, c.type_code) for c in cursor.description]])
    cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s)", [(n, n % 7, "new") for n in range(1, 21)])
    say("executemany", cursor.rowcount)
    cursor.execute("SELECT count(*), sum(order_id) FROM orders")
    say("count", cursor.fetchone())
    connection.rollback()


def main(conninfo):
    with psycopg.connect(conninfo) as connection:
        for factory in (psycopg.Cursor, psycopg.ClientCursor, psycopg.RawCursor):
            if factory is not psycopg.RawCursor:
                binding(connection, factory)
        raw = psycopg.RawCursor(connection)
        raw.execute("SELECT name FROM customers WHERE customer_id = $1", (4,))
        say("raw", raw.fetchall())
        connection.rollback()

        with connection.cursor("named") as cursor:
            cursor.itersize = 2
            cursor.execute("SELECT name FROM customers WHERE customer_id = %s", (5,))
            say("named", cursor.fetchmany(1) + cursor.fetchall())
        connection.rollback()

        with connection.pipeline() as pipeline:
            cursors = [connection.execute("SELECT name FROM customers WHERE customer_id = %s", (n,)) for n in range(1, 6)]
            pipeline.sync()
            say("pipeline", [cursor.fetchone() for cursor in cursors])
            try:
                connection.execute("SELECT 1/0")
                pipeline.sync()
            except psycopg.errors.DivisionByZero as error:
                say("pipeline's error", error.sqlstate)
        connection.rollback()
        say("status", connection.info.transaction_status.name)

        cursor = connection.cursor(binary=True)
        cursor.execute("SELECT customer_id, name, balance FROM customers ORDER BY customer_id LIMIT 3")
        say("binary", cursor.fetchall())

        with cursor.copy("COPY regions FROM STDIN") as copy:
            for number in range(1, 4):
                copy.write_row((number, f"region {number}"))
        connection.commit()
        with cursor.copy("COPY (SELECT 1 AS a, 'x' AS b) TO STDOUT") as copy:
            say("copy out", b"".join(copy).decode())
        try:
            with cursor.copy("COPY customers (customer_id, name) FROM STDIN") as copy:
                copy.write_row((601, "never"))
                raise KeyError("given up")
        except KeyError:
            say("copy given up", connection.info.transaction_status.name)
        connection.rollback()

        connection.autocommit = True
        for _ in range(8):
            connection.execute("UPDATE customers SET balance = balance + 1 WHERE customer_id = %s", (6,))
        say("prepared by and by", connection.execute("SELECT balance FROM customers WHERE customer_id = 6").fetchone())
        notices = []
        connection.add_notice_handler(lambda notice: notices.append([notice.severity, notice.message_primary]))
        connection.execute("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
        say("notices", notices)


if __name__ == "__main__":
    main(sys.argv[1])
