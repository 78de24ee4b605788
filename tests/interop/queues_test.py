"""A host of several stacks, one for each queue of its TUN, and the kernel's programs."""
import json
import os
import socket
import subprocess

from harness import KERNEL, MIB, STACK, InteropTest, binary, main, require, run, running, sha256_of, wait_for_port

SITE = os.environ.get("LIMPID_SITE", "")
CONTROL = os.path.join(SITE, "control")  # of this host: those of other tests may run at the same time


def connections(port):
    report = json.loads(run([binary("ss"), "--control", CONTROL, "--json"]).stdout)[0]
    return [row for row in report["tcp"] if row["local"].endswith(f":{port}")]


class Queues(InteropTest):
    def setUp(self):
        super().setUp()
        wait_for_port(STACK, 80)

    def test_ss_shows_the_sockets_of_all_stacks(self):
        clients = [socket.create_connection((STACK, 7), 20) for _ in range(40)]
        try:
            rows = connections(7)
        finally:
            for client in clients:
                client.close()
        listening = [row["stack"] for row in rows if row["state"] == "LISTEN"]
        established = [row["stack"] for row in rows if row["state"] == "ESTABLISHED"]
        self.assertEqual(sorted(listening), [0, 1, 2])
        self.assertEqual(len(established), 40)
        self.assertEqual(set(established), {0, 1, 2})

    def test_parallel_downloads(self):
        require("curl")
        with open(os.path.join(SITE, "bulk"), "wb") as file:
            file.write(os.urandom(20 * MIB))
        original = sha256_of(os.path.join(SITE, "bulk"))
        running_clients = [
            subprocess.Popen(["curl", "-sS", "-o", self.path(str(n)), f"http://{STACK}/bulk"]) for n in range(12)
        ]
        for client in running_clients:
            self.assertEqual(client.wait(120), 0)
        for n in range(12):
            self.assertEqual(sha256_of(self.path(str(n))), original)

    def test_clients_of_ours_in_parallel(self):
        server = [binary("httpd"), "--kernel", "--port", "8080", "--generate", self.folder]
        with running(server):
            wait_for_port(KERNEL, 8080)
            got = run([*self.on_stack("fetch"), "--queues", "3", "--parallel", "50", "--repeat", "20",
                       f"http://{KERNEL}:8080/bytes/50000"])
        self.assertIn("1000 fetched, 0 failed, 50000000 bytes", got.stdout, got.stderr)

    def test_what_several_queues_have_not_is_refused(self):
        for options, said in [
            (["--pcapng", self.path("capture")], "--pcapng are not built"),
            (["--trace", self.path("trace")], "--trace or --qlog are not built"),
            (["--device", "tap"], "several queues of a TAP are not built"),
            (["--device", "veth"], "several queues of a veth are not built"),
        ]:
            with self.subTest(options=options):
                got = run([binary("fetch"), "--queues", "2", *options, f"http://{KERNEL}:8080/"])
                self.assertEqual(got.returncode, 1)
                self.assertIn(said, got.stderr)


if __name__ == "__main__":
    main(["httpd --port 80 --generate SITE", "echo --port 7"], host=("--queues", "3", "--control", "SITE/control"))
