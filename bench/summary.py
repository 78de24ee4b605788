"""What many rounds say: medians, quartiles, and ratios that are taken within a round before anything is averaged."""

import statistics


def quartiles(values):
    """(first quartile, median, third quartile), of one value thrice that value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def spread(values):
    low, middle, high = quartiles(values)
    return {"median": middle, "q1": low, "q3": high, "min": min(values), "max": max(values)}


def by_round(cells, measure, point, contestant, figure):
    """{round: value} of the cells that have it."""
    return {c["round"]: c["figures"][figure] for c in cells
            if (c["measure"], c["point"], c["contestant"]) == (measure, point, contestant) and figure in c.get("figures", {})}


def ratios(values, base):
    """Each round's own ratio; rounds in which one of the two is missing do not count."""
    return [values[r] / base[r] for r in sorted(values) if base.get(r)]


def summarize(cells, measures, base):
    """One row for each measure, point, figure and contestant that has values."""
    rows = []
    for measure in measures:
        for point in measure.points:
            for figure in measure.figures_of(point):
                reference = by_round(cells, measure.name, point.label, base, figure.key)
                for contestant in figure.only or contestants_of(cells, measure.name):
                    values = by_round(cells, measure.name, point.label, contestant, figure.key)
                    if not values:
                        continue
                    row = {"measure": measure.name, "point": point.label, "figure": figure.key, "unit": figure.unit,
                           "contestant": contestant, "values": [values[r] for r in sorted(values)], **spread(list(values.values()))}
                    against = ratios(values, reference)
                    if against and not figure.only:
                        row["ratio"] = spread(against)
                    rows.append(row)
    return rows


def contestants_of(cells, measure):
    """In the order of their first appearance in the first round."""
    seen = []
    for cell in cells:
        if cell["measure"] == measure and cell["contestant"] not in seen:
            seen.append(cell["contestant"])
    return seen


def compare_points(cells, measure, figure, point, against):
    """{contestant: spread of the rounds' own ratios of one point to another}: what is kept of a figure."""
    kept = {}
    for contestant in contestants_of(cells, measure):
        values = ratios(by_round(cells, measure, point, contestant, figure), by_round(cells, measure, against, contestant, figure))
        if values:
            kept[contestant] = spread(values)
    return kept
