"""The one thing that root of the private network may not do: receive packet steering (RPS) on its devices takes root of the machine. So
bench/run, if it is that, stays outside and does it when asked over a socket of the file system."""

import os
import re
import socket
import socketserver
import subprocess
import threading

SET = """mount -t sysfs none /sys && echo %x > /sys/class/net/%s/queues/rx-0/rps_cpus"""


class Outside:
    """Answers "INTERFACE MASK" by "done" or by a reason, for as long as the block lasts."""

    def __init__(self, path):
        self.pid = None  # of a process in the private network
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                self.wfile.write(outer.steer(self.rfile.readline().decode()).encode())

        self.server = socketserver.UnixStreamServer(path, Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def steer(self, request):
        asked = re.fullmatch(r"([a-z]+[0-9]+) ([0-9]+)\n", request)
        if os.geteuid() != 0:
            return "RPS takes root of the machine: start it as root"
        if not asked or self.pid is None:
            return "not understood: " + request
        command = ["nsenter", "--net=/proc/%d/ns/net" % self.pid, "unshare", "--mount", "sh", "-c", SET % (int(asked[2]), asked[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "done" if done.returncode == 0 else "RPS: " + " ".join(done.stderr.split())


def ask(path, interface, mask):
    """From inside: "done", or why not."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(b"%s %d\n" % (interface.encode(), mask))
        return s.makefile().read()
