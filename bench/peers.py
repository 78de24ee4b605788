"""Other stacks in user space, beside which ours is measured: those that are installed and known here, and any that --peer names."""

import shutil
import socket
import time

import network
from contestants import Contestant
from servers import PATIENCE, Process, Server

PORT = 5201


def parse(text):
    """(name, address, command) of "NAME ADDRESS COMMAND …"."""
    words = text.split(None, 2)
    if len(words) != 3:
        raise ValueError("'%s': a peer is \"NAME ADDRESS COMMAND\"" % text)
    return tuple(words)


def installed():
    return [name for name in BUILT_IN if shutil.which(name.removeprefix("peer:"))]


class Slirp(Contestant):
    """slirp4netns between a guest's network, where the client runs, and a server on the kernel's sockets: its own TCP is what the client
    talks to. Both processes share the server's processor; the time that is counted is slirp4netns's."""

    def __init__(self, name, tools):
        super().__init__(name, tools)
        network.need_tun()
        self.guest = network.Namespace()

    def start(self, kind):
        server = self.process(self.tools.kernel_server(kind))
        slirp = Process(["slirp4netns", "--configure", "--mtu=65520", str(self.guest.holder.pid), "tap0"], self.tools.server_cpu)
        both = Server("10.0.2.2", slirp, inside=self.guest.inside, also=[server])
        try:
            wait_for(lambda: "tap0" in network.run(*self.guest.inside, "ip", "-o", "-4", "address"), slirp)
        except network.Refused:
            both.close()
            raise
        return both

    def close(self):
        self.guest.close()


class Command(Contestant):
    """Whatever serves perf's protocol (apps/perf/protocol.h) on port 5201 of an address that it sets up itself."""

    def __init__(self, name, tools, address, command):
        super().__init__(name, tools)
        self.address, self.command = address, command

    def start(self, kind):
        process = Process(["sh", "-c", "exec " + self.command], self.tools.server_cpu)
        try:
            wait_for(self.answers, process)
        except network.Refused:
            process.close()
            raise
        return Server(self.address, process)

    def answers(self):
        try:
            socket.create_connection((self.address, PORT), 1).close()
            return True
        except OSError:
            return False


BUILT_IN = {"peer:slirp4netns": Slirp}


def wait_for(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition():
        if process.process.poll() is not None or time.monotonic() > end:
            raise network.Refused(" ".join(process.text().split()) or "did not answer")
        time.sleep(0.05)
