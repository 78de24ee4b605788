"""What a port scanner makes of us: 80 is open, 81 closed, and 82 filtered: the fault decorator swallows what goes there."""
import re

from harness import STACK, InteropTest, main, require, run


class Scans(InteropTest):
    def scan(self, kind, ports):
        require("nmap")
        got = run(["nmap", kind, "-n", "-Pn", "--max-retries", "2", "--host-timeout", "60s", "-p", ports, STACK], timeout=90)
        self.assertEqual(got.returncode, 0, got.stderr)
        return dict(re.findall(r"^(\d+)/\w+\s+(\S+)", got.stdout, re.MULTILINE))

    def test_syn_scan(self):
        self.assertEqual(self.scan("-sS", "80,81,82"), {"80": "open", "81": "closed", "82": "filtered"})

    # RFC 9293 §3.10.7.2: a segment without SYN, ACK or RST does nothing to a listener, and draws a RST where none is.
    def test_null_scan(self):
        self.assertEqual(self.scan("-sN", "80,81"), {"80": "open|filtered", "81": "closed"})

    def test_xmas_scan(self):
        self.assertEqual(self.scan("-sX", "80,81"), {"80": "open|filtered", "81": "closed"})

    def test_udp_scan(self):
        self.assertEqual(self.scan("-sU", "7,81,82"), {"7": "open", "81": "closed", "82": "open|filtered"})

    def test_connect_scan(self):
        self.assertEqual(self.scan("-sT", "80,81,82"), {"80": "open", "81": "closed", "82": "filtered"})


if __name__ == "__main__":
    main(["echo --port 7 --udp", "echo --port 80 --tcp"], fault="swallow=tcp:82,swallow=udp:82")
