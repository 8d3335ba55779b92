"""SQLAlchemy over psycopg and asyncpg: a smoke test with a mapped model."""

import asyncio
import decimal
import os
import pathlib
import sys

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from features import SHARDED, expect, run  # noqa: E402

WHERE = "{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format_map(os.environ)
ENGINE = sa.create_engine(f"postgresql+psycopg://{WHERE}", pool_size=4, pool_pre_ping=True)


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    account_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str | None] = mapped_column(sa.Text)
    balance: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(12, 2))
    doc: Mapped[dict | None] = mapped_column(JSONB)


class Entry(Base):
    __tablename__ = "entries"
    # Made by the server, or by the proxy.
    entry_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, server_default=sa.FetchedValue())
    account_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    note: Mapped[str | None] = mapped_column(sa.Text)


def orm():
    with Session(ENGINE) as session:
        session.add_all([Account(account_id=2001 + n, name=f"orm {n}", doc={"n": n}) for n in range(10)])
        session.commit()
        account = session.get(Account, 2003)
        expect((account.name, account.doc), ("orm 2", {"n": 2}))
        account.balance = decimal.Decimal("7.25")
        session.commit()
        session.refresh(account)
        expect(account.balance, decimal.Decimal("7.25"))
        found = session.scalars(sa.select(Account).where(Account.name.like("orm %")).order_by(Account.account_id)).all()
        expect([each.account_id for each in found], list(range(2001, 2011)))
        session.delete(account)
        session.commit()
        expect(session.get(Account, 2003), None)


def returning():
    with Session(ENGINE) as session:
        entry = Entry(account_id=6, note="made")
        session.add(entry)
        session.commit()
        expect(entry.entry_id > 50, True)
        ids = session.scalars(sa.insert(Entry).returning(Entry.entry_id),
                              [{"account_id": 7, "note": f"n{number}"} for number in range(5)]).all()
        expect(len(set(ids)), 5)
        session.commit()


def savepoints():
    with Session(ENGINE) as session:
        session.add(Account(account_id=2101, name="kept"))
        session.flush()
        try:
            with session.begin_nested():
                session.add(Account(account_id=2102, name="undone"))
                session.flush()
                session.execute(sa.text("INSERT INTO accounts (account_id) VALUES (2101)"))
        except sa.exc.IntegrityError:
            pass
        session.commit()
        expect(session.scalars(sa.select(Account.account_id).where(Account.account_id.in_([2101, 2102]))).all(), [2101])


def fetch_size():
    with ENGINE.connect() as connection:
        rows = connection.execution_options(yield_per=7).execute(
            sa.text("SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY entry_id"))
        expect([row[0] for row in rows], list(range(1, 51)))


def isolation():
    for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT"):
        with ENGINE.connect().execution_options(isolation_level=level) as connection:
            expect(connection.scalar(sa.text("SELECT name FROM accounts WHERE account_id = 1")), "name 1")
            connection.commit()


def pool():
    async def work():
        engine = create_async_engine(f"postgresql+asyncpg://{WHERE}", pool_size=3)
        made = async_sessionmaker(engine)

        async def one(key):
            async with made() as session:
                account = await session.get(Account, key)
                expect(account.name, f"name {key}")

        await asyncio.gather(*(one(key) for key in range(1, 31)))
        await engine.dispose()

    asyncio.run(work())


def describe():
    inspector = sa.inspect(ENGINE)
    expect(set(inspector.get_table_names()) >= {"accounts", "entries", "events", "regions"}, True)
    expect([column["name"] for column in inspector.get_columns("entries")], ["entry_id", "account_id", "note"])
    expect(inspector.get_pk_constraint("entries")["constrained_columns"], ["account_id", "entry_id"])


def migrations():
    metadata = sa.MetaData()
    parent = sa.Table("parents", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
    sa.Table("children", metadata, sa.Column("id", sa.Integer, primary_key=True),
             sa.Column("parent_id", sa.ForeignKey("parents.id"), index=True), sa.Column("doc", JSONB))
    metadata.create_all(ENGINE)
    with ENGINE.begin() as connection:
        expect(connection.execute(sa.insert(parent).values(name="a")).inserted_primary_key[0], 1)
    metadata.drop_all(ENGINE)


if __name__ == "__main__":
    print(f"driver SQLAlchemy {sa.__version__}")
    features = [orm, returning, savepoints, fetch_size, isolation, pool, describe]
    run(features if SHARDED else [*features, migrations],
        lambda error: getattr(getattr(error, "orig", error), "sqlstate", None))
