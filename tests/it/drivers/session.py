"""One psycopg program as an application would write it; prints what it saw as JSON, one line per step.

Usage: session.py CONNINFO. The table `customers` (customer_id bigint PRIMARY KEY, name text, photo bytea,
joined timestamptz, balance numeric) must exist and be empty. The same output is expected whatever is behind the port.
"""

import datetime
import decimal
import json
import sys

import psycopg

JOINED = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
SELECT = "SELECT customer_id, name, photo, joined, balance FROM customers WHERE customer_id = %s"


def customer(number):
    return (number, f"name {number} é", bytes([0, number % 256, 255]), JOINED, decimal.Decimal(number) / 4)


def say(step, value):
    print(json.dumps([step, value], default=lambda v: v.hex() if isinstance(v, bytes) else str(v)))


def utc(row):
    return [v.astimezone(datetime.timezone.utc).isoformat() if isinstance(v, datetime.datetime) else v for v in row]


def main(conninfo):
    with psycopg.connect(conninfo) as connection:
        cursor = connection.cursor()
        for number in range(1, 21):
            cursor.execute("INSERT INTO customers VALUES (%s, %s, %s, %s, %s)", customer(number))
        connection.commit()
        say("inserted", cursor.rowcount)

        for binary in (False, True):
            for number in (1, 7, 20):
                say(f"read, binary {binary}", utc(connection.execute(SELECT, (number,), binary=binary).fetchone()))

        for number in range(1, 21):
            row = connection.execute(SELECT, (number,), prepare=True).fetchone()
            say("read prepared", utc(row))
        connection.commit()

        say("missing row", connection.execute(SELECT, (1000,)).fetchall())
        say("columns", [(c.name, c.type_code) for c in connection.execute(SELECT, (1,)).description])
        connection.rollback()

        try:
            connection.execute("INSERT INTO customers VALUES (%s, %s)", (1, "again"))
        except psycopg.errors.UniqueViolation as error:
            say("unique", [error.sqlstate, error.diag.message_primary, connection.info.transaction_status.name])
        try:
            connection.execute("SELECT 1")
        except psycopg.errors.InFailedSqlTransaction as error:
            say("failed transaction", error.sqlstate)
        connection.rollback()
        say("after rollback", connection.info.transaction_status.name)

        with connection.transaction():
            connection.execute("UPDATE customers SET balance = balance + 1 WHERE customer_id = %s", (3,))
            try:
                with connection.transaction():
                    connection.execute("UPDATE customers SET balance = 0 WHERE customer_id = %s", (3,))
                    raise psycopg.Rollback
            except psycopg.Rollback:
                pass
        say("savepoint", utc(connection.execute(SELECT, (3,)).fetchone()))
        connection.commit()

        with connection.cursor().copy("COPY customers (customer_id, name) FROM STDIN") as copy:
            for number in range(101, 151):
                copy.write_row((number, f"copied\t{number}\\"))
        connection.commit()
        say("copied", connection.execute("SELECT name FROM customers WHERE customer_id = 150").fetchone())
        say("count", connection.execute("SELECT count(*), sum(balance) FROM customers").fetchone())
        query = "SELECT customer_id FROM customers ORDER BY customer_id DESC LIMIT 5"
        say("ordered", [row[0] for row in connection.execute(query)])


if __name__ == "__main__":
    main(sys.argv[1])
