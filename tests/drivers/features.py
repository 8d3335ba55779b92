"""What the Python programs of the driver matrix have in common: running features and printing what came of them."""

import os
import traceback

SHARDED = os.environ["SIDE"] == "sharded"


class Refused(Exception):
    """The proxy said that it does not do this over shards; the SQLSTATE tells it from a failure."""


def run(features, sqlstate):
    """Calls each function of `features` and prints `NAME ok`, `NAME refused SQLSTATE` or `NAME FAIL why`."""
    for feature in features:
        print(feature.__name__, outcome(feature, sqlstate), flush=True)


def outcome(feature, sqlstate):
    try:
        feature()
    except Exception as error:
        state = sqlstate(error)
        if SHARDED and state == "0A000":
            return f"refused {state}"
        where = traceback.extract_tb(error.__traceback__)[1:3]
        lines = ", ".join(f"line {frame.lineno}" for frame in where)
        return f"FAIL {type(error).__name__} {state} {' '.join(str(error).split())} ({lines})"
    return "ok"


def expect(seen, wanted):
    """Raises unless both are the same."""
    if seen != wanted:
        raise AssertionError(f"{short(seen)} instead of {short(wanted)}")


def short(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
