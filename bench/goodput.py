#!/usr/bin/env python3
"""Goodput over a bad path, beside the kernel's over the same one.

bench/goodput.py BUILD [--rounds N] [--seconds S] [--json FILE]        (./limpid bench goodput builds first, and calls this)

Each cell is a wire (apps/wire) of its own, with one upload of limpid-perf from its left side to its right one:

    kernel -> kernel       the measure of the path
    ours   -> kernel       our sender: recovery and congestion control
    kernel -> ours         our receiver: ACKs, SACK, window

The three run at the same time, with the same seed: frame N of the data's direction is lost for all of them or for none. ACKs are not
lost. Cells whose rate is low share the machine; the sum of what is expected to flow stays below --budget. The queue is one bandwidth-delay
product, at least 100 kB. Connections are fresh, and the kernel saves no metrics. Only ratios mean something. Nothing here is asserted.
"""

import argparse
import concurrent.futures
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PAIRS = ["kernel-kernel", "ours-kernel", "kernel-ours"]
MSS = 1448


class Path:
    def __init__(self, rate, rtt, loss):
        self.rate, self.rtt, self.loss = rate, rtt, loss  # Mbit/s, ms, %
        self.queue = max(int(rate * 1e6 * rtt * 1e-3 / 8), 100_000)

    def options(self, seed):
        return ["--rate", "%gmbit" % self.rate, "--delay", "%gms" % (self.rtt / 2), "--loss", "%g%%,0%%" % self.loss,
                "--queue", str(self.queue), "--seed", str(seed)]

    def expected(self, algorithm):
        """Mbit/s that will flow, roughly: what a loss-driven window allows (Mathis et al. 1997)."""
        if self.loss == 0 or algorithm == "bbr":
            return self.rate
        return min(self.rate, 1.22 * MSS * 8e-6 / (self.rtt * 1e-3 * math.sqrt(self.loss / 100)))

    def __str__(self):
        return "%g %%, %g ms" % (self.loss, self.rtt)


class Bench:
    def __init__(self, build, seconds, keep, buffer=0):
        self.bin = os.path.join(os.path.abspath(build), "bin")
        self.seconds = seconds
        self.keep = keep
        # Of our stack only: the kernel's buffers size themselves.
        self.ours = "limpid-run perf" + (" --buffer %d" % buffer if buffer else "")
        # limpid-run is found by the commands in the sides.
        self.environment = dict(os.environ, PATH=self.bin + os.pathsep + os.environ["PATH"])

    def wire(self, path, seed, server, client, name=""):
        """The client's output, and the wire's statistics."""
        with tempfile.NamedTemporaryFile("r", suffix=".json") as statistics_file:
            command = ["limpid-wire", "--quiet", "--json", statistics_file.name, *path.options(seed), "--right", server]
            if self.keep:
                command += ["--pcapng", os.path.join(self.keep, name + ".pcapng")]
            done = subprocess.run([*command, "--", "sh", "-c", client], capture_output=True, text=True, timeout=600, env=self.environment)
            if done.returncode != 0:
                raise RuntimeError("%s\n%s%s" % (" ".join(command), done.stdout, done.stderr))
            return done.stdout, json.load(statistics_file)

    def cell(self, path, algorithm, pair, seed):
        sender, receiver = pair.split("-")
        server = "exec limpid-perf --kernel -s" if receiver == "kernel" else "exec %s -s" % self.ours
        program = "limpid-perf --kernel" if sender == "kernel" else self.ours
        address = "10.79.0.2" if receiver == "kernel" else "10.78.0.2"
        client = "sleep 1; exec %s --json --upload -t %g --congestion %s %s" % (program, self.seconds, algorithm, address)
        name = "%s-%s-%g-%gms-%d" % (algorithm, pair, path.loss, path.rtt, seed)
        out, wire = self.wire(path, seed, server, client, name)
        upload = json.loads(out)["upload"]
        # What came in the time: a send buffer that drains for long afterwards would thin out the beginning.
        return {"mbit_per_s": upload["bytes_in_time"] * 8e-6 / self.seconds, "bytes": upload["bytes"], "seconds": upload["seconds"],
                "lost": wire["left_to_right"]["lost"], "queue_full": wire["left_to_right"]["queue_full"],
                "frames": wire["left_to_right"]["frames"], "late_us": wire["late_us"]}

    def fairness(self, path, who, algorithm, seed):
        """One flow, ours or the kernel's, and the kernel's CUBIC through one bottleneck: Mbit/s of each."""
        program = "limpid-perf --kernel" if who == "kernel" else self.ours
        flow = "{1} --json --upload -t {0:g} --congestion {2} 10.79.0.2 > $D/{3}"
        client = "sleep 1; %s & %s; wait" % (flow.format(self.seconds, program, algorithm, "flow"),
                                             flow.format(self.seconds, "limpid-perf --kernel", "cubic", "beside"))
        with tempfile.TemporaryDirectory() as folder:
            self.wire(path, seed, "exec limpid-perf --kernel -s", "D=%s; %s" % (folder, client),
                      "fairness-%s-%s-%gms-%d" % (who, algorithm, path.rtt, seed))
            result = {}
            for name in ("flow", "beside"):
                with open(os.path.join(folder, name)) as f:
                    result[name] = json.load(f)["upload"]["bytes_in_time"] * 8e-6 / self.seconds
            return result


class Budget:
    """Jobs take what they expect to move, and wait until it is free."""

    def __init__(self, total):
        self.total = self.free = total
        self.changed = threading.Condition()

    def run(self, cost, work):
        cost = min(cost, self.total)
        with self.changed:
            self.changed.wait_for(lambda: self.free >= cost)
            self.free -= cost
        try:
            return work()
        finally:
            with self.changed:
                self.free += cost
                self.changed.notify_all()


def run_all(bench, paths, algorithms, arguments):
    """{(algorithm, path): [ {pair: result} for each round ]}; the slow cells of a round last and together."""
    results = {}
    share = Budget(arguments.budget)

    def rounds_of(algorithm, path):
        return arguments.rounds if path.expected(algorithm) > path.rate / 2 else arguments.slow_rounds or arguments.rounds

    jobs = [(r, a, p) for r in range(max(arguments.rounds, arguments.slow_rounds)) for a in algorithms
            for p in sorted(paths, key=lambda p: -p.expected(a)) if r < rounds_of(a, p)]

    def measure(job):
        round_number, algorithm, path = job

        def all_pairs():
            with concurrent.futures.ThreadPoolExecutor(len(PAIRS)) as pairs:
                runs = {pair: pairs.submit(bench.cell, path, algorithm, pair, round_number + 1) for pair in PAIRS}
                return {pair: f.result() for pair, f in runs.items()}

        got = share.run(len(PAIRS) * path.expected(algorithm), all_pairs)
        print("round %d  %-5s %-16s %s" % (round_number + 1, algorithm, path, "  ".join(
            "%s %.1f" % (pair, got[pair]["mbit_per_s"]) for pair in PAIRS)), file=sys.stderr, flush=True)
        results.setdefault((algorithm, str(path)), []).append(got)

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for job in [pool.submit(measure, job) for job in jobs]:
            job.result()
    return results


def table_of(results, paths, algorithms):
    """Medians and ratios (the median of the rounds' own ratios), and their geometric means."""
    rows, means = [], {}
    for algorithm in algorithms:
        logs = {"ours-kernel": [], "kernel-ours": []}
        for path in paths:
            rounds = results[(algorithm, str(path))]
            row = {"algorithm": algorithm, "loss": path.loss, "rtt": path.rtt, "queue": path.queue}
            for pair in PAIRS:
                row[pair] = statistics.median(r[pair]["mbit_per_s"] for r in rounds)
            for pair in logs:
                row[pair + " ratio"] = statistics.median(r[pair]["mbit_per_s"] / r["kernel-kernel"]["mbit_per_s"] for r in rounds)
                logs[pair].append(math.log(row[pair + " ratio"]))
            rows.append(row)
        means[algorithm] = {pair: math.exp(statistics.mean(values)) for pair, values in logs.items()}
    return rows, means


def mark(ratio):
    return "%5.2f%s" % (ratio, " *" if ratio < 0.9 else "  ")


def print_table(rows, means, rate, rounds, seconds):
    print("goodput, Mbit/s, of a %g Mbit/s path: medians of %d rounds of %g s   (* below 0.9 of the kernel's)" % (rate, rounds, seconds))
    print("%-6s %7s %7s %9s | %13s %13s %13s | %12s %12s" % (
        "", "loss", "RTT", "queue", "kernel>kernel", "ours>kernel", "kernel>ours", "our sender", "our receiver"))
    for r in rows:
        print("%-6s %6g%% %5gms %8dB | %13.1f %13.1f %13.1f | %12s %12s" % (
            r["algorithm"], r["loss"], r["rtt"], r["queue"], r["kernel-kernel"], r["ours-kernel"], r["kernel-ours"],
            mark(r["ours-kernel ratio"]), mark(r["kernel-ours ratio"])))
    for algorithm, mean in means.items():
        print("%-6s geometric mean: our sender %.3f, our receiver %.3f" % (algorithm, mean["ours-kernel"], mean["kernel-ours"]))


def measure_fairness(bench, arguments, algorithms):
    """[ {algorithm, rtt, who: [ {flow, beside} for each round ]} ]"""
    share = Budget(arguments.budget)
    paths = [Path(arguments.rate, rtt, 0) for rtt in arguments.fairness_rtt]
    rows = [{"algorithm": a, "rtt": p.rtt, "queue": p.queue, "kernel": [], "ours": []} for a in algorithms for p in paths]
    jobs = [(row, who, r) for r in range(arguments.fairness) for row in rows for who in ("ours", "kernel")]

    def measure(job):
        row, who, r = job
        path = next(p for p in paths if p.rtt == row["rtt"])
        got = share.run(path.rate, lambda: bench.fairness(path, who, row["algorithm"], r + 1))
        row[who].append(got)
        print("fairness %d  %-6s %-5s %g ms  %.1f beside %.1f" % (r + 1, who, row["algorithm"], path.rtt, got["flow"], got["beside"]),
              file=sys.stderr, flush=True)

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for job in [pool.submit(measure, job) for job in jobs]:
            job.result()
    return rows


def share_of(rounds):
    shares = [100 * r["flow"] / (r["flow"] + r["beside"]) for r in rounds]
    return "%3.0f %% (%.0f to %.0f)" % (statistics.median(shares), min(shares), max(shares))


def print_fairness(rows):
    if not rows:
        return
    print("share of a flow beside the kernel's cubic, without losses but the queue's: median (least to most)")
    print("%-6s %7s %9s | %20s | %20s" % ("", "RTT", "queue", "ours", "the kernel's"))
    for r in rows:
        print("%-6s %5gms %8dB | %20s | %20s" % (r["algorithm"], r["rtt"], r["queue"], share_of(r["ours"]), share_of(r["kernel"])))


def numbers(text):
    return [float(word) for word in text.split(",") if word]


def arguments_of(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", help="a build folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=0, help="of cells below half of the rate, which are cheap (default: as the others)")
    parser.add_argument("--seconds", type=float, default=20, help="of each upload")
    parser.add_argument("--algorithms", default="reno,cubic,bbr")
    parser.add_argument("--loss", type=numbers, default=[0, 0.1, 1, 3], help="%% of the data's frames: 0,0.1,1,3")
    parser.add_argument("--rtt", type=numbers, default=[2, 20, 100], help="ms: 2,20,100")
    parser.add_argument("--rate", type=float, default=100, help="Mbit/s")
    parser.add_argument("--budget", type=float, default=310, help="Mbit/s that may flow at once")
    parser.add_argument("--fairness", type=int, default=5, metavar="N", help="rounds of two flows through one bottleneck")
    parser.add_argument("--fairness-rtt", type=numbers, default=[20, 100], help="ms: 20,100")
    parser.add_argument("--buffer", type=int, default=0, help="bytes of our stack's socket buffers (default: its configuration's)")
    parser.add_argument("--keep", metavar="FOLDER", help="write each wire's pcapng to this folder")
    parser.add_argument("--json", help="write all figures to this file")
    return parser.parse_args(words)


def main():
    arguments = arguments_of(sys.argv[1:])
    algorithms = arguments.algorithms.split(",")
    bench = Bench(arguments.build, arguments.seconds, arguments.keep, arguments.buffer)
    paths = [Path(arguments.rate, rtt, loss) for rtt in arguments.rtt for loss in arguments.loss]
    started = time.time()
    results = run_all(bench, paths, algorithms, arguments) if arguments.rounds else {}
    fair_bench = Bench(arguments.build, 1.5 * arguments.seconds, arguments.keep, arguments.buffer)
    fairness = measure_fairness(fair_bench, arguments, algorithms) if arguments.fairness else []
    rows, means = table_of(results, paths, algorithms) if results else ([], {})
    if rows:
        print_table(rows, means, arguments.rate, arguments.rounds, arguments.seconds)
    print_fairness(fairness)
    late = [run["late_us"]["mean"] for rounds in results.values() for r in rounds for run in r.values()]
    if late:  # a relay that does not get the processor is another path
        print("frames were delivered late by %.0f us (median of the runs' means), by %.0f at worst" % (statistics.median(late), max(late)))
    print("%.0f s in all; load average %s" % (time.time() - started, os.getloadavg()))
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump({"rows": rows, "geometric_means": means, "fairness": fairness,
                       "rounds": {"%s, %s" % key: value for key, value in results.items()}}, f, indent=1)


if __name__ == "__main__":
    main()
