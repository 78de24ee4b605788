"""The lab: needs no privileges and no network, only virtual time."""
import os
import re
import tempfile
import unittest

from harness import binary, require, run


def lab(*arguments, timeout=60):
    return run([binary("sim"), "lab", *map(str, arguments)], timeout=timeout)


class Lab(unittest.TestCase):
    def test_the_first_lab_shows_each_sort_of_loss(self):
        got = lab()
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertLessEqual(len(got.stdout.splitlines()), 150)
        lost = [int(n) for n in re.search(r"Lost: (\d+) data segments, (\d+) ACKs, \d+ SYN or FIN, (\d+) retrans", got.stdout).groups()]
        self.assertNotIn(0, lost, "the default seed shows too little: choose another from `limpid-sim lab --seeds 3000`")
        for expected in ("CLOSED -> SYN-SENT", "SYN-RECEIVED", "lost", "FIN,ACK", "FIN-WAIT-1 -> FIN-WAIT-2",
                         "FIN-WAIT-2 -> TIME-WAIT", "LAST-ACK -> CLOSED", "RFC 9293 §3.10.7.4", "65536 bytes in "):
            self.assertIn(expected, got.stdout)

    def test_the_same_seed_is_the_same_to_the_last_packet(self):
        self.assertEqual(lab("--seed", 7, "--loss", 5).stdout, lab("--seed", 7, "--loss", 5).stdout)
        self.assertNotEqual(lab("--seed", 7, "--loss", 5).stdout, lab("--seed", 8, "--loss", 5).stdout)

    def test_a_hundred_bad_links(self):
        for arguments in (["--loss", 5], ["--loss", 20, "--size", 20_000], ["--loss", 2, "--rate", 0, "--delay", 1, "--size", 1_000_000],
                          ["--loss", 1, "--rate", 1, "--delay", 300]):
            with self.subTest(arguments=arguments):
                got = lab("--seeds", 25, "--quiet", *arguments, timeout=120)
                self.assertEqual(got.returncode, 0, got.stderr)
                self.assertIn("25 downloads, 0 wrong", got.stdout)

    def test_tshark_reads_the_capture(self):
        require("tshark")
        with tempfile.TemporaryDirectory(prefix="limpid-lab.") as folder:
            capture = os.path.join(folder, "lab.pcapng")
            self.assertEqual(lab("--quiet", "--pcapng", capture).returncode, 0)
            tshark = ["tshark", "-r", capture, "-Y"]
            home = dict(os.environ, HOME=folder)
            self.assertEqual(run([*tshark, "_ws.malformed"], env=home).stdout, "")
            self.assertGreater(len(run([*tshark, "tcp"], env=home).stdout.splitlines()), 100)
            self.assertGreater(len(run([*tshark, 'frame.comment contains "RFC"'], env=home).stdout.splitlines()), 50)

    def test_mistakes(self):
        self.assertEqual(lab("--loss", 200).returncode, 2)
        self.assertEqual(run([binary("sim")]).returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
