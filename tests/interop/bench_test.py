"""limpid bench, once through with tiny measurements: every sort of contestant is started, measured and shown. How fast anything is does not
matter here."""
import json
import os
import sys
import tempfile
import unittest

from harness import SKIPPED, run

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "run")
SLOW = ("Resource temporarily unavailable", "no round trip was made", "timed out", "did not start", "nothing moved")
BUILD = os.path.dirname(os.environ["LIMPID_BIN"])


class Bench(unittest.TestCase):
    def test_once_through(self):
        with tempfile.TemporaryDirectory() as folder:
            got = run([sys.executable, BENCH, BUILD, "--only", "to,connections", "--rounds", "1", "--seconds", "0.1", "--out", folder], timeout=240)
            if got.returncode != 0 and "limpid-up: " in got.stderr:
                print("SKIP: " + " ".join(got.stderr.split("limpid-up: ")[1].split()))
                sys.exit(SKIPPED)
            self.assertEqual(got.returncode, 0, got.stderr)
            with open(os.path.join(folder, "results.json"), encoding="utf-8") as f:
                result = json.load(f)
            # Of a machine that has no time for us, and of other people's stacks, nothing is asked.
            failed = [c for c in result["cells"] if "failed" in c and not c["contestant"].startswith("peer:")
                      and not any(slow in c["failed"] for slow in SLOW)]
            self.assertEqual(failed, [], got.stderr)
            tried = {c["contestant"] for c in result["cells"]} | set(result["absent"])
            self.assertLessEqual({"loopback", "veth", "ours", "ours-busy", "null", "null-nocopy", "null-busy"}, tried)
            self.assertIn("connect, request, answer, close  [connections]", got.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
