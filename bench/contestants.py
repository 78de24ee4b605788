"""Who is measured. Each contestant starts a server of its sort; all have the same client."""

import os
import subprocess

import network
from servers import Process, Server

RING = 512 * 1024  # the user's buffer of the ceiling with a copy: what stays within a core's cache


class Tools:
    """Where the programs of a build lie, and the processors: the client's and the server's."""

    def __init__(self, build, busy_poll):
        self.bin, self.bench = os.path.join(build, "bin"), os.path.join(build, "bench")
        self.busy_poll = busy_poll
        cpus = sorted(os.sched_getaffinity(0))
        self.client_cpu, self.server_cpu = cpus[0], cpus[-1]
        perf_help = subprocess.run([self.app("perf"), "--help"], capture_output=True, text=True, check=False).stdout
        self.has_zerocopy = "--zerocopy" in perf_help

    def app(self, name):
        return os.path.join(self.bin, "limpid-" + name)

    def program(self, name):
        return os.path.join(self.bench, name)

    def server(self, kind, *options):
        """The command of perf's server with a thread a connection, or as one event loop."""
        return [self.program("event_server"), *options] if kind == "events" else [self.app("perf"), "--server", *options]

    def kernel_server(self, kind):
        """On the kernel's sockets, with CUBIC whatever the system's default is."""
        return self.server(kind, "--kernel", "--congestion", "cubic")


class Contestant:
    def __init__(self, name, tools):
        self.name, self.tools = name, tools

    def start(self, kind):
        raise NotImplementedError

    def close(self):
        pass

    def process(self, command, inside=()):
        process = Process(command, self.tools.server_cpu, inside)
        try:
            process.wait_until_ready()
        except network.Refused:
            process.close()
            raise
        return process


class Loopback(Contestant):
    def start(self, kind):
        return Server("127.0.0.1", self.process(self.tools.kernel_server(kind)), "127.1.0.1")


class Veth(Contestant):
    def __init__(self, name, tools):
        super().__init__(name, tools)
        self.there = network.Namespace()
        try:
            network.join_by_veth(self.there)
        except network.Refused:
            self.close()
            raise

    def start(self, kind):
        return Server("10.75.0.2", self.process(self.tools.kernel_server(kind), self.there.inside), "10.75.0.101")

    def close(self):
        self.there.close()


class OneLoop(Contestant):
    """Another one with an event loop for all streams, whatever the measure has else."""

    def __init__(self, inner):
        super().__init__(inner.name + "+loop", inner.tools)
        self.inner = inner

    def start(self, kind):
        return self.inner.start("events")

    def close(self):
        self.inner.close()


class Ours(Contestant):
    def __init__(self, name, tools, *options):
        super().__init__(name, tools)
        self.options = options

    def start(self, kind):
        before = network.interfaces()
        process = self.process(self.tools.server(kind, *self.options))
        try:
            address, interface = next((a, i) for a, i in network.interfaces().items() if a not in before)
            return Server(address, process, network.add_sources(interface, address.rsplit(".", 1)[0]), interface=interface)
        except BaseException:
            process.close()
            raise


class Null(Contestant):
    """The ceiling: bench/null_tcp.h."""

    def __init__(self, name, tools, *options):
        super().__init__(name, tools)
        network.need_tun()
        self.options = options

    def start(self, kind):
        process = self.process([self.tools.program("null_tcp"), *self.options])
        return Server("10.76.0.2", process, network.add_sources("null0", "10.76.0"), interface="null0")


def make(name, tools):
    """The contestant of that name; Refused with the reason when this machine cannot have it."""
    if name.endswith("+loop"):
        return OneLoop(make(name.removesuffix("+loop"), tools))
    busy = ["--busy-poll", str(tools.busy_poll)]
    if name in ("ours-busy", "null-busy") and tools.busy_poll == 0:
        raise network.Refused("not asked for (--busy-poll 0)")
    if name == "ours-zerocopy" and not tools.has_zerocopy:
        raise network.Refused("limpid-perf has no --zerocopy in this build")
    builders = {
        "loopback": lambda: Loopback(name, tools),
        "veth": lambda: Veth(name, tools),
        "ours": lambda: Ours(name, tools),
        "ours-asleep": lambda: Ours(name, tools, "--busy-poll", "0"),
        "ours-busy": lambda: Ours(name, tools, *busy),
        "ours-zerocopy": lambda: Ours(name, tools, "--zerocopy"),
        "null": lambda: Null(name, tools, "--copy", str(RING)),
        "null-nocopy": lambda: Null(name, tools),
        "null-busy": lambda: Null(name, tools, "--busy"),
    }
    return builders[name]()
