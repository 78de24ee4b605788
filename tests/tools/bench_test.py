"""What `limpid bench` makes of figures: medians, ratios, the order of the rounds, the table, the plots. Nothing is measured here."""
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))

import alone
import draw
import markdown
import measures
import peers
import rounds
import summary
from pictures import Picture, Series, pictures_of
from table import number, render

TO, PING_PONG, MIX, OPEN = (measures.select([name])[0] for name in ("to", "ping-pong", "mix", "open"))


def cell(round_number, measure, contestant, point="", **figures):
    return {"round": round_number, "measure": measure, "point": point, "contestant": contestant, "figures": figures}


def three_rounds():
    """Ours is twice loopback in each round, whatever the machine does by the way: 10, 40, 20."""
    return [cell(r, "to", who, gbit_per_s=base * times, server_cpu_ns_per_kb=100)
            for r, base in enumerate((10, 40, 20)) for who, times in (("loopback", 1), ("ours", 2))]


def result_of(cells, wanted):
    return {"machine": {"processor": "a processor", "processors": 2, "kernel": "6.1", "load": 0.5}, "rounds": 3, "seconds": 1, "notes": [],
            "cells": cells, "absent": {"veth": "a reason"}, "summary": summary.summarize(cells, wanted, "loopback")}


class Statistics(unittest.TestCase):
    def test_quartiles(self):
        self.assertEqual(summary.quartiles([7]), (7, 7, 7))
        self.assertEqual(summary.quartiles([3, 1, 2]), (1.5, 2, 2.5))
        self.assertEqual(summary.spread([4, 1, 3, 2, 5]), {"median": 3, "q1": 2, "q3": 4, "min": 1, "max": 5})

    def test_ratios_are_taken_within_a_round(self):
        rows = summary.summarize(three_rounds(), [TO], "loopback")
        ours = next(r for r in rows if r["contestant"] == "ours" and r["figure"] == "gbit_per_s")
        self.assertEqual(ours["values"], [20, 80, 40])
        self.assertEqual(ours["median"], 40)
        self.assertEqual((ours["ratio"]["min"], ours["ratio"]["max"]), (2, 2))

    def test_a_round_without_its_base_has_no_ratio(self):
        cells = [c for c in three_rounds() if not (c["round"] == 1 and c["contestant"] == "loopback")]
        cells.append({"round": 1, "measure": "to", "point": "", "contestant": "loopback", "failed": "why"})
        self.assertEqual(summary.ratios({0: 4, 1: 6}, {0: 2}), [2])
        ours = next(r for r in summary.summarize(cells, [TO], "loopback") if r["contestant"] == "ours")
        self.assertEqual(len(ours["values"]), 3)
        self.assertEqual(ours["ratio"]["median"], 2)

    def test_what_a_point_keeps_of_another(self):
        cells = [cell(0, "mix", "ours", "bulk alone", gbit_per_s=10), cell(0, "mix", "ours", "both", gbit_per_s=4),
                 cell(1, "mix", "ours", "bulk alone", gbit_per_s=20), cell(1, "mix", "ours", "both", gbit_per_s=8)]
        kept = summary.compare_points(cells, "mix", "gbit_per_s", "both", "bulk alone")
        self.assertEqual(kept["ours"]["median"], 0.4)

    def test_figures_of_some_contestants_only(self):
        cells = [cell(0, "open", who, per_s=1, first_per_s=1, last_per_s=1, server_bytes_each=9) for who in ("loopback", "ours")]
        rows = [r for r in summary.summarize(cells, [OPEN], "loopback") if r["figure"] == "server_bytes_each"]
        self.assertEqual([(r["contestant"], "ratio" in r) for r in rows], [("ours", False)])


class Rounds(unittest.TestCase):
    def test_contestants_take_turns_at_being_first(self):
        cells = rounds.plan(3, [TO], ["loopback", "ours", "null"])
        self.assertEqual([c.contestant for c in cells], ["loopback", "ours", "null", "ours", "null", "loopback", "null", "loopback", "ours"])

    def test_a_round_has_all_measures_before_the_next_begins(self):
        cells = rounds.plan(2, [TO, PING_PONG], ["loopback", "ours"])
        self.assertEqual([(c.round, c.measure.name) for c in cells[::2]], [(0, "to"), (0, "ping-pong"), (1, "to"), (1, "ping-pong")])

    def test_peers_take_part_where_other_stacks_can(self):
        self.assertEqual([c.contestant for c in rounds.plan(1, [TO], ["peer:x", "loopback"])], ["loopback", "peer:x"])
        self.assertEqual([c.contestant for c in rounds.plan(1, [OPEN], ["peer:x", "loopback"])], ["loopback"])
        self.assertEqual(rounds.needed([OPEN], ["loopback", "null-busy", "peer:x"]), ["loopback"])

    def test_quick_keeps_the_ends_of_a_curve(self):
        sizes = measures.select(["sizes-to"])[0]
        self.assertEqual([p.label for p in measures.quick(sizes).points], ["64 B", "4 KiB", "128 KiB"])
        self.assertIs(measures.quick(MIX), MIX)

    def test_names_are_unique_and_all_have_figures(self):
        self.assertEqual(len(set(measures.NAMES)), len(measures.NAMES))
        for measure in measures.MEASURES:
            for point in measure.points:
                self.assertTrue(measure.figures_of(point))


class Peers(unittest.TestCase):
    def test_what_the_command_line_says(self):
        self.assertEqual(peers.parse("other 10.0.0.2 ./server --port 5201"), ("other", "10.0.0.2", "./server --port 5201"))
        with self.assertRaises(ValueError):
            peers.parse("other 10.0.0.2")


class Text(unittest.TestCase):
    def test_numbers(self):
        self.assertEqual([number(v) for v in (0, 0.123, 1.234, 12.34, 123.4, 12345.6)], ["0", "0.12", "1.23", "12.3", "123", "12,346"])

    def test_the_table(self):
        text = render(result_of(three_rounds(), [TO]), [TO])
        rows = text.split("bulk to the stack")[1].split("\n")
        rate, quartiles, against = (row.split() for row in rows[2:5])
        self.assertEqual(rate[-2:], ["20.0", "40.0"])
        self.assertEqual(quartiles, ["15.0..30.0", "30.0..60.0"])
        self.assertEqual(against[-2:], ["1.00x", "2.00x"])
        self.assertIn("no column kernel veth: a reason", text)

    def test_markdown(self):
        text = markdown.render(result_of(three_rounds(), [TO]), [TO])
        self.assertIn("| rate, Gbit/s | 20.0 (15.0..30.0) | 40.0 (30.0..60.0), 2.00x |", text)

    def test_in_short(self):
        text = render(result_of(three_rounds(), [TO]), [TO])
        self.assertRegex(text, r"in short: .*\n +ours\n  bulk to +2\.00x\n")

    def test_what_failed_is_said(self):
        cells = three_rounds() + [{"round": r, "measure": "to", "point": "", "contestant": "null", "failed": "no device"} for r in range(2)]
        self.assertIn("to, null, copy, failed 2 times: no device", render(result_of(cells, [TO]), [TO]))

    def test_the_programs_that_need_no_network(self):
        result = result_of([], [])
        result["parts"] = {"InternetChecksum/1460": alone.nanoseconds({"cpu_time": 42.0}),
                           "Scoreboard/10": alone.nanoseconds({"cpu_time": 1000.0, "items_per_second": 1e7}),
                           "SegmentIn/mtu:1500": alone.nanoseconds({"cpu_time": 1000.0, "per_segment": 5e-7})}
        result["memory"] = [{"connections": 1000, "bytes": 512}]
        result["goodput"] = {"rows": [{"algorithm": "cubic", "loss": 1, "rtt": 20, "kernel-kernel": 10, "ours-kernel": 11, "kernel-ours": 9,
                                       "ours-kernel ratio": 1.1, "kernel-ours ratio": 0.9}]}
        text = render(result, [])
        self.assertIn("512 bytes an end", text)
        self.assertEqual([row.split()[-1] for row in text.split("\n") if "/" in row and "goodput" not in row][:3], ["42.0", "100", "500"])
        self.assertRegex(text, r"cubic, 1 % lost, 20 ms +10\.0 +11\.0 +9\.00")


class Plots(unittest.TestCase):
    def test_only_what_was_measured_is_shown(self):
        shown = pictures_of(result_of(three_rounds(), [TO]), [TO])
        self.assertEqual([p.name for p in shown], ["overview", "bulk", "cpu"])
        overview = shown[0]
        self.assertEqual([(s.name, s.x, s.y) for s in overview.series], [("ours", ["bulk to"], [2])])

    def test_results_survive_their_file(self):
        result = json.loads(json.dumps(result_of(three_rounds(), [TO])))
        self.assertEqual(render(result, [TO]), render(result_of(three_rounds(), [TO]), [TO]))

    @unittest.skipUnless(draw.available(), "matplotlib is not installed")
    def test_files(self):
        lines = Picture("lines", "a title", "lines", "x", "y", [Series("ours", [1, 2], [3, 4], [2, 4], [4, 4])], log_x=True)
        bars = Picture("bars", "a title", "bars", "", "y", [Series("ours", ["a"], [3], [2], [4]), Series("other", ["b"], [1], [1], [1])], mark=1)
        with tempfile.TemporaryDirectory() as folder:
            draw.draw_all([lines, bars], folder)
            self.assertEqual(sorted(os.listdir(folder)), ["bars.png", "bars.svg", "lines.png", "lines.svg"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
