"""The same table for a page: a Markdown table for each measure, median, quartiles and ratio in one cell."""

from summary import compare_points, contestants_of
from table import number, span, title


def cell(row):
    if row is None:
        return ""
    text = number(row["median"])
    if span(row):
        text += " (%s)" % span(row)
    return text + (", %sx" % number(row["ratio"]["median"]) if "ratio" in row and row["contestant"] != "loopback" else "")


def rows_of(words):
    return "| " + " | ".join(words) + " |"


def of_measure(measure, rows, cells):
    names = contestants_of(cells, measure.name)
    found = {(r["point"], r["figure"], r["contestant"]): r for r in rows if r["measure"] == measure.name}
    lines = ["`%s`: %s" % (measure.name, measure.title), "", rows_of(["", *map(title, names)]), rows_of(["---"] * (len(names) + 1))]
    for point in measure.points:
        for figure in measure.figures_of(point):
            if any((point.label, figure.key, n) in found for n in names):
                left = "%s%s, %s" % (point.label + ": " if point.label else "", figure.title, figure.unit)
                lines.append(rows_of([left, *(cell(found.get((point.label, figure.key, n))) for n in names)]))
    for what, figure, point, against in measure.compare:
        kept = compare_points(cells, measure.name, figure, point, against)
        if kept:
            lines.append(rows_of([what, *("%sx" % number(kept[n]["median"]) if n in kept else "" for n in names)]))
    return "\n".join(lines)


def render(result, measures):
    cells = result.get("cells", [])
    return "\n\n".join(of_measure(m, result["summary"], cells) for m in measures if contestants_of(cells, m.name)) + "\n"
