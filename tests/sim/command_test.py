"""limpid_sim_seeds from the command line: command_test.py PROGRAM"""
import json
import shlex
import subprocess
import sys
import time
import unittest

PROGRAM = sys.argv.pop(1)


def seeds(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120)


class Command(unittest.TestCase):
    def test_processes_side_by_side_change_nothing(self):
        results = [json.loads(seeds("--seeds", 60, "--json", "--jobs", jobs).stdout) for jobs in (1, 3)]
        for result in results:
            self.assertEqual(result["seeds"], 60)
            self.assertEqual(result["failed"], [])
        self.assertEqual(results[0]["segments"], results[1]["segments"])

    def test_it_goes_on_for_so_many_seconds(self):
        began = time.monotonic()
        result = json.loads(seeds("--for", 1, "--json").stdout)
        self.assertGreater(result["seeds"], 0)
        self.assertLess(time.monotonic() - began, 60)

    def test_a_failure_is_made_small_and_its_command_brings_it_back(self):
        got = seeds("--seeds", 200, "--pretend", "strips SACK", "--json", "--jobs", 2)
        self.assertEqual(got.returncode, 1, got.stderr)
        failed = json.loads(got.stdout)["failed"]
        self.assertGreater(len(failed), 5)
        self.assertEqual([f["seed"] for f in failed], sorted(f["seed"] for f in failed))
        first = failed[0]
        self.assertIn("strips SACK", first["scenario"])
        self.assertNotIn("conversation", first["scenario"])
        self.assertIn("pretended", first["failure"])
        replay = shlex.split(first["replay"])
        again = seeds(*replay[1:], "--verbose")
        self.assertEqual(again.returncode, 0, again.stdout)  # nothing is wrong with it
        self.assertIn(first["scenario"], again.stdout)

    def test_a_cut_that_means_nothing_is_told(self):
        self.assertIn("nothing of that name", seeds("--seed", 1, "--cut", "rubbish").stderr)


unittest.main()
