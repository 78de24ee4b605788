"""A contestant whose device hands what it receives to the client's processor (RPS), so that the kernel's end of the work is not done by
the thread that wrote to the device."""

import network
import outside
from contestants import Contestant


class Steered(Contestant):
    def __init__(self, inner, tools, ask_at):
        super().__init__(inner.name + "+rps", tools)
        self.inner, self.ask_at = inner, ask_at
        network.need_tun()
        self.steer("tun0")  # limpid-up's own device: a rehearsal

    def steer(self, interface):
        answer = outside.ask(self.ask_at, interface, 1 << self.tools.client_cpu)
        if answer != "done":
            raise network.Refused(answer)

    def start(self, kind):
        server = self.inner.start(kind)
        try:
            self.steer(server.interface)
        except network.Refused:
            server.close()
            raise
        return server

    def close(self):
        self.inner.close()
