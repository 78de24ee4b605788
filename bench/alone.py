"""What needs no server: the core by itself, the memory of idle connections, and goodput over wires of its own (bench/goodput.py)."""

import json
import os
import re
import subprocess
import sys
import tempfile

MEMORY = (1_000, 5_000, 20_000, 50_000)
MEMORY_FULL = (1_000, 5_000, 20_000, 50_000, 100_000, 200_000)
GOODPUT_QUICK = ["--rounds", "1", "--seconds", "4", "--rtt", "20", "--algorithms", "cubic", "--fairness", "0"]
GOODPUT_FULL = ["--rounds", "3", "--slow-rounds", "5", "--budget", "420"]


class Failed(Exception):
    """A program that ended with an error; its words are the text."""


def output_of(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=3600, check=False)
    if done.returncode != 0:
        raise Failed("%s ended with status %d: %s" % (os.path.basename(words[0]), done.returncode, done.stderr.strip()))
    return done.stdout


def core(build):
    """{name of the benchmark: its figures} of core_bench."""
    out = output_of(os.path.join(build, "bench", "core_bench"), "--benchmark_format=json")
    return {b["name"]: b for b in json.loads(out)["benchmarks"]}


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
