"""The results as text: a block for each measure, a column for each contestant, under each median its spread and its ratio."""

from measures import ALONE, HEADLINES, TITLES
from summary import compare_points, contestants_of

LEFT, COLUMN = 34, 19
BUSY = 0.7  # a load average at the start above which others are at work


def number(value):
    """Three figures, and no more zeros than they need."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return "{:,.0f}".format(value)
    return "%.0f" % value if abs(value) >= 100 else "%.1f" % value if abs(value) >= 10 else "%.2f" % value


def title(contestant):
    return TITLES.get(contestant, contestant.removeprefix("peer:"))


def line(left, columns):
    return (left.ljust(LEFT) + "".join(c.rjust(COLUMN) for c in columns)).rstrip()


def span(s, suffix=""):
    """The quartiles, where there is more than one value."""
    return "%s..%s%s" % (number(s["q1"]), number(s["q3"]), suffix) if s["min"] != s["max"] else ""


def block(measure, rows, cells):
    """The lines of one measure."""
    names = contestants_of(cells, measure.name)
    lines = [measure.title + "  [" + measure.name + "]", line("", [title(n) for n in names])]
    for point in measure.points:
        for figure in measure.figures_of(point):
            mine = {r["contestant"]: r for r in rows
                    if (r["measure"], r["point"], r["figure"]) == (measure.name, point.label, figure.key)}
            if not mine:
                continue
            left = "  %s%s, %s" % (point.label + ": " if point.label else "", figure.title, figure.unit)
            lines.append(line(left, [number(mine[n]["median"]) if n in mine else "-" for n in names]))
            spreads = [span(mine[n]) if n in mine else "" for n in names]
            if any(spreads):
                lines.append(line("", spreads))
            against = ["%sx" % number(mine[n]["ratio"]["median"]) if n in mine and "ratio" in mine[n] else "" for n in names]
            if any(against):
                lines.append(line("    against kernel lo", against))
    for what, figure, point, against in measure.compare:
        kept = compare_points(cells, measure.name, figure, point, against)
        if kept:
            lines.append(line("  " + what, ["%sx" % number(kept[n]["median"]) if n in kept else "-" for n in names]))
    return lines


def in_short(rows):
    """The headlines' ratios, a line each."""
    found = {(r["measure"], r["contestant"]): r["ratio"] for r in rows for measure, figure, _ in HEADLINES
             if (r["measure"], r["figure"]) == (measure, figure) and "ratio" in r}
    names = [n for n in dict.fromkeys(n for _, n in found) if n != "loopback"]
    if not names:
        return []
    lines = ["in short: against kernel lo (of p50, less is better)", line("", [title(n) for n in names])]
    for measure, _, words in HEADLINES:
        if any((measure, n) in found for n in names):
            lines.append(line("  " + words, ["%sx" % number(found[measure, n]["median"]) if (measure, n) in found else "-" for n in names]))
    return [lines]


def alone_blocks(result):
    blocks = []
    if result.get("memory"):
        blocks.append([ALONE["memory"] + "  [memory]"] + [
            line("  %s connections" % number(r["connections"]), ["%s bytes an end" % number(r["bytes"])]) for r in result["memory"]])
    if result.get("core"):
        core = result["core"]
        blocks.append([ALONE["core"] + "  [core]",
                       line("  a segment of 1460 bytes, ns", [number(core["BulkTransfer/mtu:1500/checksums:1"]["per_segment"] * 1e9)]),
                       line("    without checksums", [number(core["BulkTransfer/mtu:1500/checksums:0"]["per_segment"] * 1e9)]),
                       line("  64 bytes there and back, us", [number(core["PingPong"]["cpu_time"] / 1000)]),
                       line("  a connection, SYN to both FINs, us", [number(core["ConnectAndClose"]["cpu_time"] / 1000)])])
    if result.get("seeing"):
        seeing = result["seeing"]
        blocks.append([ALONE["seeing"] + "  [seeing]",
                       line("  without checksums, beside the copies", [number(seeing["seen"])]),
                       line("    with an empty tracer", [number(seeing["unseen"])]),
                       line("    seeing, off, costs", ["%.2f %%" % seeing["cost"]]),
                       line("  with the checksums of TCP", [number(seeing["with_checksums"])])])
    if result.get("parts"):
        blocks.append([ALONE["parts"] + "  [parts]", *(line("  " + name, [number(ns)]) for name, ns in result["parts"].items())])
    if result.get("goodput"):
        lines = [ALONE["goodput"] + "  [goodput]", line("  Mbit/s", ["kernel > kernel", "ours > kernel", "kernel > ours"])]
        for r in result["goodput"]["rows"]:
            left = "  %s, %g %% lost, %g ms" % (r["algorithm"], r["loss"], r["rtt"])
            lines.append(line(left, [number(r[pair]) for pair in ("kernel-kernel", "ours-kernel", "kernel-ours")]))
            lines.append(line("    against kernel > kernel", ["", "%sx" % number(r["ours-kernel ratio"]), "%sx" % number(r["kernel-ours ratio"])]))
        blocks.append(lines)
    return blocks


def notes(result):
    lines = ["no column %s: %s" % (title(name), reason) for name, reason in result.get("absent", {}).items()]
    failed = {}
    for cell in result.get("cells", []):
        if "failed" in cell:
            key = (cell["measure"], cell["point"], cell["contestant"], cell["failed"])
            failed[key] = failed.get(key, 0) + 1
    lines += ["%s%s, %s, failed %d times: %s" % (m, " " + p if p else "", title(c), times, why)
              for (m, p, c, why), times in failed.items()]
    return lines + result.get("notes", [])


def render(result, measures):
    """The whole text. `result` is what the JSON file holds."""
    machine = result["machine"]
    head = ["%s, %d processors, Linux %s; load average at the start %.1f" % (
        machine["processor"], machine["processors"], machine["kernel"], machine["load"])]
    if result.get("cells"):
        head.append("medians of %d interleaved rounds of %g s; below, the quartiles and the median of the rounds' own ratios" % (
            result["rounds"], result["seconds"]))
    if machine["load"] > BUSY:
        head.append("other work was running on this machine: these figures say little")
    blocks = in_short(result.get("summary", []))
    blocks += [block(m, result["summary"], result["cells"]) for m in measures if contestants_of(result.get("cells", []), m.name)]
    blocks += alone_blocks(result)
    if notes(result):
        blocks.append(notes(result))
    return "\n\n".join("\n".join(b) for b in [head, *blocks]) + "\n"
