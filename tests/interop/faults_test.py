"""The same transfers over a cable that loses 2 %, reorders 2 % and duplicates 1 % of the packets, each way."""
import os
import re
import socket
import subprocess
import sys

from harness import KERNEL, MIB, STACK, InteropTest, main, require, run, running, sha256_of, wait_for_port

# Without SACK and timestamps a kernel that sends backs off further with each timeout, up to two minutes (Karn: no
# retransmitted segment gives a sample). Its patience is not what is tested: one second is enough here.
KERNEL_MAX_RTO = "/proc/sys/net/ipv4/tcp_rto_max_ms"
# A server that has written everything and closed leaves the rest to a socket without owner. The kernel gives such a one
# up, without a word, as soon as its RTO has reached the largest, unless it is told a number of tries.
KERNEL_ORPHAN_RETRIES = "/proc/sys/net/ipv4/tcp_orphan_retries"
FAULT = "loss=2%,reorder=2%,dup=1%"
SIZE = int(os.environ.get("LIMPID_FAULT_MIB", "10")) * MIB
SITE = os.environ.get("LIMPID_SITE", "")


class BadCable(InteropTest):
    @classmethod
    def setUpClass(cls):
        if os.path.exists(KERNEL_MAX_RTO):
            for name, value in ((KERNEL_MAX_RTO, "1000"), (KERNEL_ORPHAN_RETRIES, "15")):
                with open(name, "w", encoding="ascii") as setting:
                    setting.write(value)

    def test_curl_fetches_from_our_httpd(self):
        require("curl")
        wait_for_port(STACK, 80)
        with open(os.path.join(SITE, "bulk"), "wb") as file:
            file.write(os.urandom(SIZE))
        got = run(["curl", "-sS", "-o", self.path("got"), f"http://{STACK}/bulk"], timeout=240)
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(sha256_of(self.path("got")), sha256_of(os.path.join(SITE, "bulk")))

    def test_fetch_from_python(self):
        original = self.random_file("bulk", SIZE)
        server = [sys.executable, "-m", "http.server", "8080", "--directory", self.folder]
        with running(server, stdout=subprocess.DEVNULL):
            wait_for_port(KERNEL, 8080)
            got = run(self.on_stack("fetch", "--fault", FAULT, "--timeout", 120, "--sha256", f"http://{KERNEL}:8080/bulk"), timeout=240)
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(got.stdout.split()[0], sha256_of(original))

    def test_fifty_short_conversations(self):
        clients = [socket.create_connection((STACK, 7), 60) for _ in range(50)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number * 5000)
            client.shutdown(socket.SHUT_WR)
        for number, client in enumerate(clients):
            self.assertEqual(b"".join(iter(lambda c=client: c.recv(65536), b"")), b"%d" % number * 5000)
            client.close()

    def test_a_frame_held_back_leaves_when_its_time_has_come(self):
        # 5 ms each way: whoever sent it must bring the I/O thread back, which else sleeps on for up to 100 ms.
        got = run(self.on_stack("ping", "-c", "12", "-i", "0.1", "--fault", "delay=5ms", KERNEL), timeout=60)
        self.assertEqual(got.returncode, 0, got.stderr)
        times = sorted(float(t) for t in re.findall(r"time=([0-9.]+) ms", got.stdout))
        self.assertEqual(len(times), 12, got.stdout)
        self.assertLess(times[6], 20, "half of them took longer than twice the delay and 10 ms")


if __name__ == "__main__":
    main(["httpd --port 80 SITE", "echo --port 7"], fault=FAULT)
