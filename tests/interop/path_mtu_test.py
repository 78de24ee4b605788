"""Paths that take smaller packets than the first link does. The kernel's end of the cable is a router; behind it, in a
network namespace of its own, is the far host:

    10.77.0.2 our stack ── 1500 ── 10.77.0.1 router 10.78.0.1 ── smaller ── 10.78.0.2 far (kernel)
"""
import contextlib
import hashlib
import os
import subprocess
import unittest

from harness import InteropTest, STACK, binary, main, run, running

ROUTER = "10.78.0.1"
FAR = "10.78.0.2"


def ip(*words):
    done = run(["ip", *map(str, words)])
    if done.returncode != 0:
        raise unittest.SkipTest("ip " + " ".join(map(str, words)) + ": " + done.stderr.strip())


def packets_too_big():
    """That the router would have had to fragment, and told their sender."""
    with open("/proc/self/net/snmp", encoding="ascii") as table:
        names, values = [line.split() for line in table if line.startswith("Ip:")]
    return int(values[names.index("FragFails")])


@contextlib.contextmanager
def far_host(router_mtu):
    """The prefix of commands that run on the far host."""
    with subprocess.Popen(["unshare", "-n", "sleep", "1000"], stdin=subprocess.DEVNULL) as holder:
        try:
            inside = ["nsenter", "-t", str(holder.pid), "-n"]
            while os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
                pass  # not there yet
            with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as switch:
                switch.write("1")
            ip("link", "add", "router", "mtu", router_mtu, "type", "veth", "peer", "name", "far", "netns", holder.pid)
            ip("address", "add", ROUTER + "/24", "dev", "router")
            ip("link", "set", "router", "up")
            # Both ends: a veth drops what is larger than its other end's MTU, without a word.
            for words in (["link", "set", "lo", "up"], ["address", "add", FAR + "/24", "dev", "far"],
                          ["link", "set", "far", "mtu", str(router_mtu), "up"],
                          ["route", "add", "default", "via", ROUTER, "advmss", "1460"]):
                run([*inside, "ip", *words])
            yield inside
        finally:
            holder.terminate()
            run(["ip", "link", "delete", "router"])


class PathMtu(InteropTest):
    SIZE = 1_000_000

    def fetch(self, inside, timeout=60):
        """A download from our stack to the far host; its SHA-256."""
        site = os.environ["LIMPID_SITE"]
        data = os.urandom(self.SIZE)
        with open(os.path.join(site, "file"), "wb") as file:
            file.write(data)
        got = run([*inside, binary("fetch"), "--kernel", "--sha256", f"http://{STACK}/file"], timeout=timeout)
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertIn(hashlib.sha256(data).hexdigest(), got.stdout + got.stderr)

    # req: 1191-3-a
    def test_a_router_says_that_the_next_link_is_smaller(self):
        with far_host(1300) as inside:
            before = packets_too_big()
            self.fetch(inside, timeout=20)
            told = packets_too_big() - before
            self.assertGreater(told, 0)
            self.assertLess(told, 30, "no more than the first flight was too large")
            self.fetch(inside, timeout=20)
            self.assertEqual(packets_too_big() - before, told, "the next connection knows")

    # req: 1191-3-a
    def test_our_client_behind_such_a_router(self):
        with far_host(1300) as inside:
            with running([*inside, binary("echo"), "--kernel", "--tcp", "--port", "7007"], said="limpid-echo"):
                sent = os.urandom(300_000)
                got = subprocess.run(self.on_stack("nc", FAR, 7007), input=sent, capture_output=True, timeout=30,
                                     check=False)
                self.assertEqual(hashlib.sha256(got.stdout).hexdigest(), hashlib.sha256(sent).hexdigest(), got.stderr)


if __name__ == "__main__":
    main(["httpd --port 80 SITE"])
