"""Which plots the results give: plain data, so that it can be tested without a plotting library (bench/draw.py draws)."""

from dataclasses import dataclass

from measures import HEADLINES
from summary import contestants_of
from table import title


@dataclass
class Series:
    name: str
    x: list
    y: list
    low: list  # the quartiles, or y itself
    high: list


@dataclass
class Picture:
    name: str  # of the file
    title: str
    kind: str  # "lines" or "bars"; of bars the x are words
    x_label: str
    y_label: str
    series: list
    log_x: bool = False
    log_y: bool = False
    mark: float | None = None  # a line across: 1, where ratios are shown


PERCENTILES = ("p50_us", "p90_us", "p99_us", "p99.9_us")


def series_of(name, pairs):
    """`pairs`: (x, spread)."""
    return Series(name, [x for x, _ in pairs], [s["median"] for _, s in pairs], [s["q1"] for _, s in pairs], [s["q3"] for _, s in pairs])


def find(rows, measure, contestant, figure, point=None):
    return [r for r in rows if (r["measure"], r["contestant"], r["figure"]) == (measure, contestant, figure)
            and (point is None or r["point"] == point)]


def names_in(rows, measures):
    names = []
    for row in rows:
        if row["measure"] in measures and row["contestant"] not in names:
            names.append(row["contestant"])
    return names


def overview(rows):
    series = []
    for name in names_in(rows, [m for m, _, _ in HEADLINES]):
        pairs = [(what, r["ratio"]) for measure, figure, what in HEADLINES for r in find(rows, measure, name, figure) if "ratio" in r]
        if pairs and name != "loopback":
            series.append(series_of(title(name), pairs))
    return Picture("overview", "against kernel loopback, cubic", "bars", "", "ratio (of p50: less is better)", series, mark=1.0)


def bars(rows, name, heading, measures, figure, y_label):
    series = []
    for contestant in names_in(rows, [m for m, _ in measures]):
        pairs = [(what, r) for measure, what in measures for r in find(rows, measure, contestant, figure)]
        if pairs:
            series.append(series_of(title(contestant), pairs))
    return Picture(name, heading, "bars", "", y_label, series)


def latency(rows):
    series = []
    for contestant in names_in(rows, ["ping-pong"]):
        pairs = [(key.removesuffix("_us"), r) for key in PERCENTILES for r in find(rows, "ping-pong", contestant, key)]
        series.append(series_of(title(contestant), pairs))
    return Picture("ping-pong", "64 bytes there and back", "lines", "percentile", "us", series, log_y=True)


def mix(rows):
    series = []
    for contestant in names_in(rows, ["mix"]):
        pairs = [(what, r) for point, figure, what in (("ping-pong alone", "p99_us", "p99 alone"), ("both", "p99_us", "p99 beside bulk"))
                 for r in find(rows, "mix", contestant, figure, point)]
        if pairs:
            series.append(series_of(title(contestant), pairs))
    return Picture("mix", "ping-pong beside bulk on one stack", "bars", "", "us", series)


def curve(rows, measure):
    series = []
    for contestant in names_in(rows, [measure.name]):
        pairs = [(p.x, r) for p in measure.points for r in find(rows, measure.name, contestant, "gbit_per_s", p.label)]
        if pairs:
            series.append(series_of(title(contestant), pairs))
    return Picture(measure.name, measure.title, "lines", measure.axis, "Gbit/s", series, log_x=True, log_y=measure.name.startswith("sizes"))


def opening(cells):
    """The rate in each tenth, of the round with the median total."""
    series = []
    for contestant in contestants_of(cells, "open"):
        rounds = sorted((c["figures"] for c in cells if c["measure"] == "open" and c["contestant"] == contestant and "figures" in c),
                        key=lambda f: f["per_s"])
        if rounds:
            rates = rounds[len(rounds) // 2]["rates"]
            series.append(Series(title(contestant), [10 * (i + 1) for i in range(len(rates))], rates, rates, rates))
    return Picture("open", "connections opened that stay", "lines", "percent of them open", "a second", series)


def memory(rows):
    sizes = [r["bytes"] for r in rows]
    series = [Series("ours, one end", [r["connections"] for r in rows], sizes, sizes, sizes)] if rows else []
    return Picture("memory", "resident memory of an idle connection", "lines", "connections", "bytes an end", series, log_x=True)


def goodput(rows):
    """One for each algorithm and round trip."""
    pictures = []
    for algorithm, rtt in sorted({(r["algorithm"], r["rtt"]) for r in rows}):
        mine = sorted((r for r in rows if (r["algorithm"], r["rtt"]) == (algorithm, rtt)), key=lambda r: r["loss"])
        series = []
        for pair in ("kernel-kernel", "ours-kernel", "kernel-ours"):
            y = [r[pair] for r in mine]
            series.append(Series(pair.replace("-", " > "), ["%g %%" % r["loss"] for r in mine], y, y, y))
        pictures.append(Picture("goodput-%s-%gms" % (algorithm, rtt), "goodput by loss: %s, %g ms" % (algorithm, rtt), "lines", "loss", "Mbit/s", series))
    return pictures


def pictures_of(result, measures):
    """All that have something to show."""
    rows = result.get("summary", [])
    bulk = [("to", "to the stack"), ("from", "from the stack")]
    found = [overview(rows), bars(rows, "bulk", "bulk, one stream", bulk, "gbit_per_s", "Gbit/s"),
             bars(rows, "cpu", "the server's processor time", bulk, "server_cpu_ns_per_kb", "ns/KB"), latency(rows),
             bars(rows, "connections", "connect, request, answer, close", [("connections", "connections")], "per_s", "a second"), mix(rows),
             *[curve(rows, m) for m in measures if m.axis], opening(result.get("cells", [])), memory(result.get("memory") or []),
             *goodput((result.get("goodput") or {}).get("rows", []))]
    return [p for p in found if any(s.y for s in p.series)]
