"""tshark reads what we capture, and finds nothing malformed in it."""
import os
import socket
import sys

from harness import KERNEL, InteropTest, main, require, run, running, wait_for_port


class Capture(InteropTest):
    def tshark(self, capture, *arguments):
        got = run(["tshark", "-r", capture, *arguments], timeout=120, env=dict(os.environ, HOME=self.folder))
        self.assertEqual(got.returncode, 0, got.stderr)
        return got.stdout.splitlines()

    def test_tshark_reads_a_download(self):
        require("tshark")
        self.random_file("file", 300_000)
        capture = self.path("fetch.pcapng")
        server = [sys.executable, "-m", "http.server", "8080", "--directory", self.folder]
        with running(server, said=None):
            wait_for_port(KERNEL, 8080)
            got = run(self.on_stack("fetch", "--pcapng", capture, "--sha256", f"http://{KERNEL}:8080/file"))
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(self.tshark(capture, "-Y", "_ws.malformed"), [])
        self.assertGreater(len(self.tshark(capture, "-Y", "tcp")), 20)
        self.assertGreater(len(self.tshark(capture, "-Y", 'frame.comment contains "RFC"')), 5, "packets tell their reason")
        self.assertEqual(len(self.tshark(capture, "-Y", "tcp.flags.syn == 1")), 2)
        self.assertEqual(len(self.tshark(capture, "-Y", "tcp.flags.reset == 1")), 0)

    def test_tshark_reads_a_ping_and_datagrams(self):
        require("tshark")
        capture = self.path("ping.pcapng")
        run(self.on_stack("ping", "--pcapng", capture, "-c", 2, "-i", 0.2, KERNEL))
        self.assertEqual(self.tshark(capture, "-Y", "_ws.malformed"), [])
        self.assertEqual(len(self.tshark(capture, "-Y", "icmp")), 4)


if __name__ == "__main__":
    main(["echo --port 7"])
