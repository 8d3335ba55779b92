"""Ids by psycopg, bound on the client and on the server. Usage: ids.py CONNINFO; prints how many distinct ones came."""

import sys

import psycopg


def main(conninfo):
    ids = set()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for factory in (psycopg.Cursor, psycopg.ClientCursor):
            cursor = factory(connection)
            ids.add(cursor.execute("SELECT shardloom.next_id(%s)", ("order",)).fetchone()[0])
            ids.update(row[0] for row in cursor.execute("SELECT shardloom.next_ids(%s, %s)", ("order", 2)).fetchall())
        cursor = connection.cursor(binary=True)
        ids.add(cursor.execute("SELECT shardloom.next_id('customer')").fetchone()[0])
        tags = [cursor.execute("SELECT tag FROM shardloom.decode_id(%s)", (id,)).fetchone()[0] for id in ids]
    assert sorted(tags) == [1] * 6 + [2], tags
    print(f"{len(ids)} ids")


if __name__ == "__main__":
    main(sys.argv[1])
