"""A server under test: started for one measurement, pinned to its processor, gone afterwards."""

import os
import signal
import subprocess
import tempfile
import time

import network

READY = "a server "  # what each says on standard error once it listens
PATIENCE = 20


class Process:
    """A server's process. `address` is known once it stands."""

    def __init__(self, command, cpu, inside=()):
        self.command = ["taskset", "-c", str(cpu), *inside, *command]
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.said)

    @property
    def pid(self):
        return self.process.pid  # taskset and nsenter become the program

    def text(self):
        self.said.seek(0)
        return self.said.read()

    def wait_until_ready(self):
        end = time.monotonic() + PATIENCE
        while READY not in self.text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise network.Refused("%s: %s" % (os.path.basename(self.command[3]), " ".join(self.text().split()) or "did not start"))
            time.sleep(0.01)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.said.close()


class Server:
    """What the client needs to know of a server that stands."""

    def __init__(self, address, process, source="", inside=(), also=(), interface=""):
        self.address, self.process, self.source, self.inside, self.also = address, process, source, list(inside), list(also)
        self.interface = interface

    def client_options(self):
        options = ["--server-pid", str(self.process.pid)]
        if self.source:
            options += ["--source", self.source, "--sources", str(network.SOURCES)]
        return options

    def close(self):
        for process in [self.process, *self.also]:
            process.close()
