"""Django over psycopg: a smoke test with models, and migrations where tables are not sharded."""

import decimal
import os
import pathlib
import sys

import django
from django.conf import settings

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from features import SHARDED, expect, run  # noqa: E402

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"],
        "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
    }},
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402


class Account(models.Model):
    account_id = models.BigIntegerField(primary_key=True)
    name = models.TextField(null=True)
    balance = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    opened = models.DateTimeField(null=True)
    payload = models.BinaryField(null=True)
    doc = models.JSONField(null=True)

    class Meta:
        app_label = "matrix"
        db_table = "accounts"
        managed = False


def orm():
    Account.objects.create(account_id=2001, name="orm", doc={"a": [1, None]}, payload=b"\x00\xff")
    account = Account.objects.get(pk=2001)
    expect((account.name, account.doc, bytes(account.payload)), ("orm", {"a": [1, None]}, b"\x00\xff"))
    account.balance = decimal.Decimal("7.25")
    account.save()
    expect(Account.objects.filter(account_id=2001).values_list("balance", flat=True).get(), decimal.Decimal("7.25"))
    for number in range(20):
        Account.objects.create(account_id=2010 + number, name="bulk")
    expect(Account.objects.filter(name="bulk").count(), 20)
    expect(list(Account.objects.filter(name="bulk").order_by("account_id").values_list("pk", flat=True)[:3]),
           [2010, 2011, 2012])
    expect(Account.objects.filter(pk__in=[2010, 2011]).update(name="changed"), 2)
    expect(Account.objects.filter(pk=2011).delete()[0], 1)


def batch():
    Account.objects.bulk_create([Account(account_id=2300 + number, name="many") for number in range(20)])
    expect(Account.objects.filter(name="many").count(), 20)


def savepoints():
    with transaction.atomic():
        Account.objects.create(account_id=2101, name="kept")
        try:
            with transaction.atomic():
                Account.objects.create(account_id=2102, name="undone")
                Account.objects.create(account_id=2101, name="again")
        except IntegrityError:
            pass
    expect(list(Account.objects.filter(pk__in=[2101, 2102]).values_list("pk", flat=True)), [2101])


def transactions():
    try:
        with transaction.atomic():
            Account.objects.create(account_id=2201, name="undone")
            raise KeyError
    except KeyError:
        pass
    expect(Account.objects.filter(pk=2201).exists(), False)
    with transaction.atomic():
        expect(Account.objects.select_for_update().get(pk=1).name, "name 1")


def fetch_size():
    with connection.cursor() as cursor:
        cursor.execute("SELECT event_id FROM events ORDER BY event_id")
        expect(len(cursor.fetchall()), 10_000)
    keys = [account.pk for account in Account.objects.filter(pk=7).iterator(chunk_size=2)]
    expect(keys, [7])


def describe():
    with connection.cursor() as cursor:
        names = {table.name for table in connection.introspection.get_table_list(cursor)}
        expect(names >= {"accounts", "entries", "events", "regions"}, True)
        columns = [column.name for column in connection.introspection.get_table_description(cursor, "entries")]
        expect(columns, ["entry_id", "account_id", "note"])


def migrations():
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import Group, User
    user = User.objects.create_user("ann", password="x")
    user.groups.add(Group.objects.create(name="staff"))
    expect(user.pk > 0 and list(user.groups.values_list("name", flat=True)) == ["staff"], True)
    call_command("migrate", "auth", "0001", verbosity=0)
    call_command("migrate", "auth", "zero", verbosity=0)


def sqlstate(error):
    return getattr(error.__cause__ or error, "sqlstate", None)


if __name__ == "__main__":
    print(f"driver Django {django.get_version()}")
    features = [orm, batch, transactions, savepoints, fetch_size, describe]
    run(features if SHARDED else [*features, migrations], sqlstate)
