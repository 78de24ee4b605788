"""Bulk and small messages between perf on our stack and its twin on the kernel's sockets, in both roles."""
import json

from harness import BULK, KERNEL, STACK, InteropTest, binary, main, run, running, wait_for_port


class Perf(InteropTest):
    def check(self, command, who):
        got = run([*command, "--json", "--seconds", "0", "--bytes", str(BULK), "--upload", "--download"], timeout=240)
        self.assertEqual(got.returncode, 0, got.stderr)
        bulk = json.loads(got.stdout)
        for direction in ("upload", "download"):
            self.assertEqual(bulk[direction]["bytes"], BULK)
            print(f"\n  {who}, {direction}: {bulk[direction]['gbit_per_s']:.2f} Gbit/s", end="")
        got = run([*command, "--json", "--seconds", "1", "--ping-pong", "--connections"], timeout=120)
        self.assertEqual(got.returncode, 0, got.stderr)
        small = json.loads(got.stdout)
        self.assertGreater(small["ping-pong"]["round_trips"], 10)
        self.assertGreater(small["connections"]["connections"], 10)
        self.assertEqual(small["connections"]["failed"], 0)
        print(f"\n  {who}: p50 {small['ping-pong']['p50_us']:.0f} us, {small['connections']['per_s']:.0f} connections/s ", end="")

    def test_kernel_client(self):
        wait_for_port(STACK, 5201)
        self.check([binary("perf"), "--kernel", STACK], "the kernel's client, our server")

    def test_kernel_server(self):
        with running([binary("perf"), "--kernel", "--server", "--port", "5202"], said="a server"):
            self.check(self.on_stack("perf", "--port", "5202", KERNEL), "our client, the kernel's server")


if __name__ == "__main__":
    main(["perf --server"])
