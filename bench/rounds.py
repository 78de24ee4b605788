"""The rounds: in each of them every contestant of every measure, one after the other, so that what a machine does by the way befalls
all alike. A server lives for one measurement."""

import json
import subprocess
import sys
import time

import network

WARM_UP = 0.3
OPENING = 2.0  # of the connections that stay, seconds, roughly
OVERHEAD = 0.4  # of a cell: its server's start and end, seconds


class Cell:
    def __init__(self, round_number, measure, point, contestant):
        self.round, self.measure, self.point, self.contestant = round_number, measure, point, contestant


def rotated(items, by):
    by %= max(len(items), 1)
    return items[by:] + items[:by]


def plan(rounds, measures, available):
    """All cells in the order in which they run: contestants take turns at being the first."""
    return [Cell(r, measure, point, name) for r in range(rounds) for measure in measures for point in measure.points
            for name in rotated(contestants_of(measure, available), r)]


def contestants_of(measure, available):
    peers = [n for n in available if n.startswith("peer:")] if measure.peers else []
    return [n for n in [*measure.contestants, *peers] if n in available]


def needed(measures, available):
    """Those of them who take part in anything."""
    taking_part = {name for measure in measures for name in contestants_of(measure, available)}
    return [name for name in available if name in taking_part]


def seconds_of(cells, seconds):
    return sum((seconds + WARM_UP if c.point.mode != "open" else OPENING) + OVERHEAD for c in cells)


class Rounds:
    def __init__(self, tools, contestants, seconds):
        self.tools, self.contestants, self.seconds = tools, contestants, seconds

    def client(self, cell, server):
        command = [*server.inside, self.tools.program("bench_client"), cell.point.mode, server.address, "--seconds", str(self.seconds),
                   "--warm-up", str(WARM_UP), "--congestion", "cubic", "--cpu", str(self.tools.client_cpu),
                   *server.client_options(), *cell.point.arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=self.seconds + 120, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise network.Refused(" ".join(done.stderr.split()) or "the client ended with status %d" % done.returncode)
        return json.loads(done.stdout)

    def measure(self, cell):
        result = {"round": cell.round, "measure": cell.measure.name, "point": cell.point.label, "contestant": cell.contestant}
        try:
            server = self.contestants[cell.contestant].start(cell.measure.server)
            try:
                result["figures"] = self.client(cell, server)
            finally:
                server.close()
        except (network.Refused, subprocess.TimeoutExpired) as error:
            result["failed"] = str(error)
        return result

    def run(self, cells):
        """The cells' results, and so many of them as stood when somebody pressed Ctrl-C."""
        results = []
        try:
            for number, cell in enumerate(cells):
                results.append(self.measure(cell))
                self.tell(number + 1, cells, cell, results[-1])
        except KeyboardInterrupt:
            print("bench: stopped; what follows is of %d of %d measurements" % (len(results), len(cells)), file=sys.stderr)
        return results

    def tell(self, number, cells, cell, result):
        first = cell.measure.figures_of(cell.point)[0]
        what = result["failed"] if "failed" in result else "%.4g %s" % (result["figures"][first.key], first.unit)
        left = seconds_of(cells[number:], self.seconds)
        print("[%d/%d, %d:%02d left] round %d  %s %s  %s: %s" % (
            number, len(cells), left // 60, left % 60, cell.round + 1, cell.measure.name, cell.point.label, cell.contestant, what),
            file=sys.stderr, flush=True)


def run_inside(tools, wanted, options, make):
    """All that needs the private network: {"cells": …, "absent": {contestant: reason}}. `make`: contestants by their names."""
    network.prepare()
    contestants, absent, notes = {}, {}, []
    try:
        network.need_tun()
    except network.Refused as reason:
        notes.append("ours goes over a veth pair and AF_PACKET (%s)" % reason)
    for name in needed(wanted, options["contestants"]):
        try:
            contestants[name] = make(name, tools)
        except network.Refused as reason:
            absent[name] = str(reason)
    cells = plan(options["rounds"], wanted, list(contestants))
    started = time.time()
    try:
        results = Rounds(tools, contestants, options["seconds"]).run(cells)
    finally:
        for contestant in contestants.values():
            contestant.close()
    return {"cells": results, "absent": absent, "notes": notes, "seconds": time.time() - started}
