"""Pictures as files, by matplotlib (Debian: python3-matplotlib)."""

import os

from measures import TITLES

MISSING = "no plots: matplotlib is missing; as root: apt-get install python3-matplotlib"


def available():
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


# The kernel in greys, ours in blues and greens, the ceilings in warm colours. With RPS as without.
COLOURS = {"loopback": "#333333", "loopback+loop": "#777777", "veth": "#aaaaaa",
           "ours": "#0b63c4", "ours+loop": "#5aa9e6", "ours-zerocopy": "#0a9b8a", "ours-asleep": "#9ad1d4", "ours-busy": "#7b3fb5",
           "null": "#e0a030", "null-nocopy": "#c1440e", "null-busy": "#e5707e"}
OTHERS = ("#8c564b", "#bcbd22", "#e377c2", "#9467bd")  # peers


def colour(series, number):
    """The same for a contestant in all plots."""
    name = next((key for key, words in TITLES.items() if words == series.name), "")
    return COLOURS.get(name.removesuffix("+rps"), OTHERS[number % len(OTHERS)])


def whiskers(series):
    """How far the quartiles lie from the median, as matplotlib wants them."""
    return [[y - low for y, low in zip(series.y, series.low)], [high - y for y, high in zip(series.y, series.high)]]


def draw_bars(axes, picture):
    words = []
    for series in picture.series:
        words += [x for x in series.x if x not in words]
    width = 0.8 / len(picture.series)
    for i, series in enumerate(picture.series):
        at = [words.index(x) + (i + 0.5) * width - 0.4 for x in series.x]
        axes.bar(at, series.y, width, label=series.name, color=colour(series, i), yerr=whiskers(series), capsize=2)
    axes.set_xticks(range(len(words)), words)


def draw_lines(axes, picture):
    for i, series in enumerate(picture.series):
        axes.errorbar(series.x, series.y, yerr=whiskers(series), marker="o", markersize=3, capsize=2, label=series.name,
                      color=colour(series, i))
    if picture.log_x:
        ticks = sorted({x for series in picture.series for x in series.x})
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, ["%g" % t for t in ticks])
        axes.minorticks_off()
    if picture.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        low, high = axes.get_ylim()
        axes.yaxis.set_minor_formatter("{x:g}" if high < 30 * low else "")
    else:
        axes.set_ylim(bottom=0)


def draw(picture, folder):
    """NAME.svg and NAME.png; their paths."""
    import matplotlib
    matplotlib.use("Agg")  # no screen needed
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(7.5, 4.2), layout="constrained")
    (draw_bars if picture.kind == "bars" else draw_lines)(axes, picture)
    if picture.mark is not None:
        axes.axhline(picture.mark, color="grey", linewidth=0.8)
    axes.set_title(picture.title)
    axes.set_xlabel(picture.x_label)
    axes.set_ylabel(picture.y_label)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small", framealpha=0.6)
    paths = [os.path.join(folder, picture.name + ending) for ending in (".svg", ".png")]
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.endswith(".svg") else None)
    pyplot.close(figure)
    return paths


def draw_all(pictures, folder):
    return [path for picture in pictures for path in draw(picture, folder)]
