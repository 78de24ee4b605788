"""What is measured: each measure by its name, with what the client does, on whom, and which figures come of it."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Figure:
    key: str  # as bench_client names it
    title: str
    unit: str
    more_is_better: bool = True
    only: tuple = ()  # contestants of whom it says something; empty: all


@dataclass(frozen=True)
class Point:
    """One setting of a measure; measures that have none have a single point without a label."""
    mode: str  # of bench_client
    label: str = ""
    x: float = 0  # where a plot has it
    arguments: tuple = ()


@dataclass(frozen=True)
class Measure:
    name: str
    title: str
    contestants: tuple
    points: tuple
    server: str = "threads"  # or "events": one loop over epoll
    compare: tuple = ()  # (title, figure, point, against): what one point keeps of another
    axis: str = ""  # what a plot's x is
    peers: bool = False  # other stacks take part

    def figures_of(self, point):
        return FIGURES[point.mode]


GBIT = Figure("gbit_per_s", "rate", "Gbit/s")
CPU_BYTE = Figure("server_cpu_ns_per_kb", "server's CPU", "ns/KB", False)
LATENCY = [Figure(key + "_us", key, "us", False) for key in ("p50", "p90", "p99", "p99.9")]
FIGURES = {
    "to": [GBIT, CPU_BYTE],
    "from": [GBIT, CPU_BYTE],
    "ping-pong": [*LATENCY, Figure("server_cpu_us", "server's CPU", "us", False)],
    "mix": [GBIT, CPU_BYTE, *LATENCY],
    "connections": [Figure("per_s", "connections", "/s"), Figure("p50_us", "p50", "us", False), Figure("p99_us", "p99", "us", False),
                    Figure("server_cpu_us", "server's CPU", "us", False)],
    "open": [Figure("per_s", "all of them", "/s"), Figure("first_per_s", "first tenth", "/s"), Figure("last_per_s", "last tenth", "/s"),
             Figure("server_bytes_each", "server's memory", "bytes each", False, ("ours",))],
}

BULK = ("loopback", "veth", "ours", "ours-zerocopy", "null", "null-nocopy")
SMALL = ("loopback", "veth", "ours", "ours-asleep", "ours-busy", "null-nocopy", "null-busy")
CURVE = ("loopback", "veth", "ours")
MIXED = ("loopback", "loopback+loop", "veth", "ours", "ours+loop", "null")
STREAMING = ("loopback", "loopback+loop", "veth", "ours", "ours+loop", "null")

SIZES = (64, 256, 1024, 4096, 16384, 65536, 131072)
STREAMS = (1, 2, 4, 8, 16)
CONNECTIONS = 19_900


def size_label(size):
    return "%d KiB" % (size // 1024) if size >= 1024 else "%d B" % size


def by_size(mode):
    return tuple(Point(mode, size_label(s), s, ("--message", str(s))) for s in SIZES)


def by_streams(mode):
    return tuple(Point(mode, "%d" % n, n, ("--streams", str(n))) for n in STREAMS)


def sixteen_to_one(figure="gbit_per_s"):
    return (("16 streams against one", figure, "16", "1"),)


MEASURES = [
    Measure("to", "bulk to the stack, one stream", BULK, (Point("to"),), peers=True),
    Measure("from", "bulk from the stack, one stream", BULK, (Point("from"),), peers=True),
    Measure("from-rps", "bulk from the stack, with RPS on the device",
            ("loopback", "ours+rps", "ours-zerocopy+rps", "null+rps", "null-nocopy+rps"), (Point("from"),)),
    Measure("ping-pong", "64 bytes there and back", SMALL, (Point("ping-pong"),), peers=True),
    Measure("connections", "connect, request, answer, close", SMALL, (Point("connections"),), server="events", peers=True),
    Measure("mix", "bulk to the stack and ping-pong at the same time", MIXED,
            (Point("to", "bulk alone"), Point("ping-pong", "ping-pong alone"), Point("mix", "both")),
            compare=(("rate kept", "gbit_per_s", "both", "bulk alone"), ("p99 grows to", "p99_us", "both", "ping-pong alone"))),
    Measure("streams-to", "bulk to the stack by number of streams", STREAMING, by_streams("to"), compare=sixteen_to_one(), axis="streams"),
    Measure("streams-from", "bulk from the stack by number of streams", STREAMING, by_streams("from"), compare=sixteen_to_one(), axis="streams"),
    Measure("sizes-to", "bulk to the stack by bytes of a send()", CURVE, by_size("to"), axis="bytes of a send()"),
    Measure("sizes-from", "bulk from the stack by bytes of a send()", CURVE, by_size("from"), axis="bytes of a send()"),
    Measure("open", "connections opened that stay, a round trip each", ("loopback", "veth", "ours", "null-nocopy"),
            (Point("open", arguments=("--connections", str(CONNECTIONS))),), server="events"),
]
# Without a server: measured by programs of their own (bench/alone.py).
ALONE = {"memory": "resident memory of an idle connection by their number, both ends in memory",
         "core": "the core alone: nanoseconds a segment, a request, a connection",
         "seeing": "the core alone: instructions a segment, and what seeing costs of them while nobody looks (bench/seeing.py)",
         "parts": "parts of it by themselves: nanoseconds each",
         "goodput": "goodput by loss, over wires of 100 Mbit/s (bench/goodput.py)"}
NAMES = [m.name for m in MEASURES] + list(ALONE)

# (measure, figure, words): the ratios to look at first.
HEADLINES = (("to", "gbit_per_s", "bulk to"), ("from", "gbit_per_s", "bulk from"), ("ping-pong", "p50_us", "ping-pong p50"),
             ("connections", "per_s", "connections"))

TITLES = {"loopback": "kernel lo", "loopback+loop": "kernel lo, loop", "ours+loop": "ours, loop", "veth": "kernel veth", "ours": "ours", "ours-zerocopy": "ours, zero-copy", "ours-asleep": "ours, asleep", "ours-busy": "ours, busy",
          "null": "null, copy", "null-nocopy": "null", "null-busy": "null, busy", "ours+rps": "ours, RPS", "ours-zerocopy+rps": "zero-copy, RPS", "null+rps": "null, copy, RPS",
          "null-nocopy+rps": "null, RPS"}


def select(names):
    """The measures of these names, in the order of the list above."""
    return [m for m in MEASURES if m.name in names]


def quick(measure):
    """Fewer points: the ends, and one between."""
    if len(measure.points) <= 3:
        return measure
    points = (measure.points[0], measure.points[len(measure.points) // 2], measure.points[-1])
    return replace(measure, points=points)
