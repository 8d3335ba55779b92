"""The table of a benchmark."""

import datetime
import os
import pathlib
import statistics
import subprocess

import legs
import pgbench

HEAD = ["workload", "mode", "way", "tps", "of direct", "of pgbouncer", "latency ms", "CPU s per 1,000", "CPU of pgbouncer"]


def median(runs, figure):
    """Returns the median of `figure(run)` over the runs that went well; None if none did."""
    values = [figure(run) for run in runs if not run.problem]
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def tps(run):
    return run.tps


def latency(run):
    return run.latency_ms


def cpu_per_thousand(run):
    return run.cpu_seconds * 1000 / run.transactions if run.cpu_seconds is not None and run.transactions else None


def shown(value, digits):
    return "–" if value is None else f"{value:,.{digits}f}"


def ratio(value, base):
    return "–" if value is None or not base else f"{value / base:.2f}"


def row(runs, workload, mode, leg):
    own = runs[(workload.name, mode, leg.name)]
    problems = sorted({run.problem for run in own if run.problem})
    if problems and all(run.problem for run in own):
        return [workload.name, mode, leg.name, problems[0].replace("|", "\\|"), *["–"] * 5]
    direct = runs[(workload.name, mode, "direct")]
    bouncer = runs[(workload.name, mode, "pgbouncer")]
    rate, cost = median(own, tps), median(own, cpu_per_thousand)
    return [
        workload.name,
        mode,
        leg.name,
        shown(rate, 0) + (" (some runs failed)" if problems else ""),
        ratio(rate, median(direct, tps)),
        ratio(rate, median(bouncer, tps)),
        shown(median(own, latency), 2),
        shown(cost, 3),
        ratio(cost, median(bouncer, cpu_per_thousand)),
    ]


def table(runs, all_legs, chosen, machine):
    """Returns the report as Markdown."""
    rows = [row(runs, w, mode, leg) for w in pgbench.WORKLOADS for mode in pgbench.MODES for leg in all_legs]
    widths = [max(len(cells[i]) for cells in [HEAD, *rows]) for i in range(len(HEAD))]
    line = lambda cells: "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    about = (
        f"pgbench -c {chosen['clients']} -j {chosen['threads']}, {chosen['seconds']} s per run, {chosen['rounds']} "
        f"interleaved rounds (medians), scale {chosen['scale']}. CPU is the proxy process's, user and system."
    )
    text = ["# pgbench: direct, PgBouncer, Shardloom", "", about, "", machine, "", line(HEAD), rule, *map(line, rows), ""]
    return "\n".join(text)


def machine(root):
    """Returns one sentence on what was measured where."""
    said = lambda *command: subprocess.run(command, capture_output=True, text=True, cwd=root).stdout.strip()
    bouncer = ".".join(map(str, legs.pgbouncer_version(legs.shutil.which("pgbouncer") or "/usr/sbin/pgbouncer")))
    commit = said("git", "rev-parse", "--short", "HEAD") or "unknown"
    return f"{os.cpu_count()} cores, {said(pgbench.program('pgbench'), '--version')}, PgBouncer {bouncer}, commit {commit}."


def failures(runs):
    return [run for group in runs.values() for run in group if run.problem and run is not pgbench.NOT_AVAILABLE]


def write(folder, text):
    """Writes `text` to a file named after the time; returns its path."""
    folder.mkdir(exist_ok=True)
    path = pathlib.Path(folder) / f"{datetime.datetime.now():%Y-%m-%dT%H%M%S}.md"
    path.write_text(text)
    return path
