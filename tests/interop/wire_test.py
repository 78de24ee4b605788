"""`limpid wire`: two kernels, and our stack behind one of them, over a simulated link on the real clock.

It makes its own namespaces, so this file is run once and not inside limpid-up.
"""
import json
import os
import re
import sys
import tempfile
import unittest

from docs_test import run_page
from harness import SKIPPED, binary, require, run

RIGHT = "10.79.0.2"


def wire(*options, command, timeout=60):
    """The command's output on the left side of a wire, and the wire's statistics."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as statistics:
        got = run([binary("wire"), "--quiet", "--json", statistics.name, *options, "--", *command], timeout=timeout)
        return got, json.load(statistics)


def answers(text):
    return [int(number) for number in re.findall(r"icmp_seq=([0-9]+) ", text)]


class Wire(unittest.TestCase):
    def test_a_kernels_ping_takes_the_delay_that_was_asked_for(self):
        require("ping")
        got, statistics = wire("--delay", "10ms,15ms", command=["ping", "-c", "10", "-i", "0.05", RIGHT])
        times = [float(t) for t in re.findall(r"time=([0-9.]+) ms", got.stdout)]
        self.assertEqual(len(times), 10, got.stdout)
        self.assertGreaterEqual(min(times), 25)
        self.assertLess(min(times), 45, "the quickest of ten, on a busy machine: not twice the delay")
        self.assertEqual(statistics["left_to_right"]["delivered"], 10)
        self.assertEqual(statistics["right_to_left"]["lost"], 0)

    def test_it_loses_what_the_seed_says(self):
        require("ping")
        def lost(seed, interval, size):
            got, statistics = wire("--loss", "20%,0%", "--seed", str(seed),
                                   command=["ping", "-c", "100", "-i", interval, "-s", size, "-W", "1", RIGHT])
            heard = answers(got.stdout)
            self.assertEqual(statistics["left_to_right"]["lost"], 100 - len(heard))
            return sorted(set(range(1, 101)) - set(heard))
        first = lost(5, "0.002", "56")
        self.assertGreater(len(first), 5)
        self.assertLess(len(first), 40)
        self.assertEqual(first, lost(5, "0.01", "1000"), "another pace, other sizes")
        self.assertNotEqual(first, lost(6, "0.002", "56"))

    def test_our_stack_behind_one_side(self):
        server = f"exec {binary('perf')} --kernel --server"
        script = f"sleep 0.5; exec {binary('run')} perf --json --upload --seconds 0 --bytes 3000000 {RIGHT}"
        got, statistics = wire("--rate", "100mbit", "--delay", "2ms", "--loss", "0.5%", "--reorder", "1%", "--dup", "1%",
                               "--right", server, command=["sh", "-c", script])
        self.assertEqual(json.loads(got.stdout)["upload"]["bytes"], 3000000, got.stderr)
        there = statistics["left_to_right"]
        self.assertGreater(there["frames"], 2000)
        self.assertGreater(there["lost"], 0)
        self.assertGreater(there["duplicated"], 0)
        self.assertGreater(there["reordered"], 0)

    def test_the_right_side_is_our_stack(self):
        server = f"exec {binary('run')} perf --server"
        script = f"sleep 1; exec {binary('perf')} --kernel --json --upload --seconds 0 --bytes 1000000 10.78.0.2"
        got, _ = wire("--delay", "1ms", "--right", server, command=["sh", "-c", script])
        self.assertEqual(json.loads(got.stdout)["upload"]["bytes"], 1000000, got.stderr)

    def test_the_capture_names_what_was_lost(self):
        require("ping", "tshark")
        with tempfile.TemporaryDirectory() as folder:
            capture = os.path.join(folder, "wire.pcapng")
            wire("--loss", "100%,0%", "--pcapng", capture, command=["ping", "-c", "3", "-i", "0.01", "-W", "1", RIGHT])
            got = run(["tshark", "-r", capture, "-Y", 'frame.comment contains "lost by the wire"'],
                      env=dict(os.environ, HOME=folder))
        self.assertEqual(len(got.stdout.splitlines()), 3, got.stderr)

    def test_the_commands_status_is_ours(self):
        self.assertEqual(wire(command=["sh", "-c", "exit 7"])[0].returncode, 7)
        got = run([binary("wire"), "--loss", "1"])
        self.assertEqual(got.returncode, 2)
        self.assertIn("--loss", got.stderr)

    def test_the_other_side_can_be_entered(self):
        require("nsenter", "ip")
        got, _ = wire(command=["sh", "-c", "nsenter --net=$LIMPID_RIGHT ip -o -4 address show wire0"])
        self.assertIn(RIGHT + "/24", got.stdout, got.stderr)

    def test_the_page_about_it(self):
        require("bash", "nsenter", "ip", "ping")
        with tempfile.TemporaryDirectory() as folder:
            self.assertGreaterEqual(run_page(self, "wire.md", folder), 4)


if __name__ == "__main__":
    probe = run([binary("wire"), "--quiet", "--", "true"])
    if probe.returncode == 1 and probe.stderr.startswith("limpid-wire: "):
        print("SKIP: " + " ".join(probe.stderr[len("limpid-wire: "):].split()))
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
