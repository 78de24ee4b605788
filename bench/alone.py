"""What needs no server: the core by itself, its instructions (bench/seeing.py), the memory of idle connections, and goodput over wires of its own (bench/goodput.py)."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from programs import Failed, output_of

PARTS = ("parts_bench", "recovery_bench", "segment_bench")
MEMORY = (1_000, 5_000, 20_000, 50_000)
MEMORY_FULL = (1_000, 5_000, 20_000, 50_000, 100_000, 200_000)
GOODPUT_QUICK = ["--rounds", "1", "--seconds", "4", "--rtt", "20", "--algorithms", "cubic", "--fairness", "0"]
GOODPUT_FULL = ["--rounds", "3", "--slow-rounds", "5", "--budget", "420"]


def google_benchmark(build, program, *options):
    """{name of the benchmark: its figures}."""
    out = output_of(os.path.join(build, "bench", program), "--benchmark_format=json", *options)
    return {b["name"].removesuffix("/manual_time"): b for b in json.loads(out)["benchmarks"]}


def core(build):
    return google_benchmark(build, "core_bench")


def seeing(build):
    """Instructions a segment (bench/seeing.py)."""
    if shutil.which("valgrind") is None:
        raise Failed("valgrind is not installed")
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeing.py")
    return json.loads(output_of(sys.executable, program, build, "--json"))


def parts(build):
    """{name: nanoseconds}: of a segment or an item where the benchmark counts them, else of a turn."""
    times = {}
    for program in PARTS:
        for name, b in google_benchmark(build, program, "--benchmark_min_time=0.2").items():
            times[name] = nanoseconds(b)
    return times


def nanoseconds(b):
    if "per_segment" in b:
        return b["per_segment"] * 1e9
    return 1e9 / b["items_per_second"] if "items_per_second" in b else b["cpu_time"]


def memory(build, counts):
    """[{connections, bytes}]: of one end."""
    rows = []
    for count in counts:
        out = output_of(os.path.join(build, "bench", "idle_memory"), str(count))
        rows.append({"connections": count, "bytes": int(re.search(r"(-?\d+) bytes an end", out).group(1))})
    return rows


def goodput(build, arguments):
    """The rows of bench/goodput.py; its progress and its own table go to standard error."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as result:
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "goodput.py")
        done = subprocess.run([sys.executable, program, build, "--json", result.name, *arguments], stdout=sys.stderr, check=False)
        if done.returncode != 0:
            raise Failed("goodput ended with status %d" % done.returncode)
        return json.load(result)
