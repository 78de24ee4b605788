"""The private network that a comparison runs in: addresses, and further namespaces for a veth pair or a peer's guest.

Everything here acts on the network namespace that limpid-up made, and is gone with it."""

import json
import os
import re
import subprocess
import time

SOURCES = 32  # addresses of the client that take turns, so that it never waits for a port in TIME-WAIT


class Refused(Exception):
    """A way that this machine does not offer; its text is the reason."""


def need_tun():
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        raise Refused("/dev/net/tun: %s; as root: chmod 0666 /dev/net/tun" % error.strerror) from error


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, **options)
    if done.returncode != 0:
        raise Refused("%s: %s" % (" ".join(words[:3]), (done.stderr.strip() or "status %d" % done.returncode).splitlines()[0]))
    return done.stdout


def write_setting(path, value, inside=()):
    """A sysctl of this network. Where /proc/sys is read-only the default stays: the same for all who are measured."""
    subprocess.run([*inside, "sh", "-c", "echo %s > /proc/sys/net/%s" % (value, path)], stderr=subprocess.DEVNULL, check=False)


def prepare(inside=()):
    write_setting("ipv4/tcp_no_metrics_save", "1", inside)
    write_setting("ipv4/ip_local_port_range", "'10000 65000'", inside)


def interfaces():
    """{our end's address: interface} of the cables to stacks of ours, 10.77.N.2."""
    rows = run("ip", "-o", "-4", "address")
    return {"10.77.%s.2" % n: name for name, n in re.findall(r"^\d+: (\S+)\s+inet 10\.77\.(\d+)\.1/", rows, re.MULTILINE)}


def add_sources(interface, network, inside=()):
    """NETWORK.101 and so on as the client's further addresses; the first of them."""
    lines = "".join("address add %s.%d/24 dev %s\n" % (network, 101 + i, interface) for i in range(SOURCES))
    run(*inside, "ip", "-batch", "-", input=lines)
    return network + ".101"


class Namespace:
    """Another network namespace, held by a process that sleeps."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stderr=subprocess.DEVNULL)
        self.inside = ["nsenter", "--net=/proc/%d/ns/net" % self.holder.pid]
        self.wait_until_apart()
        run(*self.inside, "ip", "link", "set", "lo", "up")
        prepare(self.inside)

    def wait_until_apart(self):
        ours = os.readlink("/proc/self/ns/net")
        for _ in range(100):
            try:
                if os.readlink("/proc/%d/ns/net" % self.holder.pid) != ours:
                    return
            except OSError as error:
                raise Refused("a second network namespace: %s" % error.strerror) from error
            if self.holder.poll() is not None:
                break
            time.sleep(0.02)
        raise Refused("no second network namespace")

    def close(self):
        self.holder.kill()
        self.holder.wait()


def join_by_veth(namespace):
    """10.75.0.1 here, 10.75.0.2 there."""
    run("ip", "link", "add", "bench0", "type", "veth", "peer", "name", "bench1", "netns", str(namespace.holder.pid))
    run("ip", "address", "add", "10.75.0.1/24", "dev", "bench0")
    run(*namespace.inside, "ip", "address", "add", "10.75.0.2/24", "dev", "bench1")
    run("ip", "link", "set", "bench0", "up")
    run(*namespace.inside, "ip", "link", "set", "bench1", "up")
    add_sources("bench0", "10.75.0")
    for _ in range(150):  # the kernel looks at the carriers of its virtual cables once a second
        state = json.loads(run("ip", "-json", "link", "show", "bench0"))[0]
        if state.get("operstate") == "UP":
            return
        time.sleep(0.02)
