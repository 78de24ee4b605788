"""While a debugger holds the process, the stack's clock stands still: a real gdb stops limpid-nc for ten seconds inside
Connection::on_segment, in a call of the program, and while every thread waits; the peer is the kernel.

Inside: no timer of ours has fired and nothing was sent twice, though a retransmission timer of a fraction of a second was
running; and the stack's clock has gone on by the time between the stops only. The kernel's own timers know no debugger:
its retransmissions are counted, as the proof that the time was long enough.
"""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from harness import KERNEL, InteropTest, binary, main, require, run  # noqa: E402

STOP = 10  # seconds


class Gdb:
    """A gdb that is attached to a process, driven by lines."""

    def __init__(self, pid):
        self.process = subprocess.Popen(
            ["gdb", "-q", "-nx", "-p", str(pid), "-ex", "set confirm off", "-ex", "set pagination off",
             "-ex", "set debuginfod enabled off"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.seen = ""
        os.set_blocking(self.process.stdout.fileno(), False)
        self.wait_for("(gdb) ")
        if "Operation not permitted" in self.seen or "ptrace:" in self.seen:
            raise unittest.SkipTest("ptrace is refused here")

    def say(self, line):
        self.seen = ""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait_for(self, text, timeout=60):
        end = time.monotonic() + timeout
        while text not in self.seen:
            if time.monotonic() > end:
                raise AssertionError(f"gdb did not say {text!r} but: {self.seen}")
            try:
                self.seen += os.read(self.process.stdout.fileno(), 65536).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.01)

    def command(self, line):
        self.say(line)
        self.wait_for("(gdb) ")

    def run_on(self):
        self.say("continue")
        self.wait_for("Continuing")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        self.wait_for("received signal SIGINT")

    def leave(self):
        self.say("detach")
        self.say("quit")
        self.process.wait(20)


class Freeze(InteropTest):
    def setUp(self):
        super().setUp()
        require("gdb")
        listener = socket.create_server((KERNEL, 9101))
        self.control = self.path("control")
        self.nc = subprocess.Popen(self.on_stack("nc", "--control", self.control, KERNEL, 9101), stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, self.nc)
        listener.settimeout(20)
        self.peer, _ = listener.accept()
        self.addCleanup(self.peer.close)
        self.peer.settimeout(30)
        listener.close()
        self.write(b"one\n")
        self.assertEqual(self.peer.recv(100), b"one\n")
        self.gdb = Gdb(self.nc.pid)
        self.addCleanup(self.end, self.gdb.process)
        self.gdb.run_on()
        time.sleep(0.5)  # the stack sees at its next look that a tracer is there

    @staticmethod
    def end(process):
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def write(self, line):
        self.nc.stdin.write(line)
        self.nc.stdin.flush()

    def report(self):
        answer = run([binary("ss"), "--control", self.control, "--json"])
        return json.loads(answer.stdout)[0]

    def kernel_retransmits(self):
        info = self.peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return struct.unpack_from("I", info, 100)[0]  # tcpi_total_retrans

    def finish(self, before, began, frozen=STOP):
        """After the thaw: the conversation goes on, and no timer of ours saw the gap."""
        self.write(b"three\n")
        got = b""
        while not got.endswith(b"three\n"):
            got += self.peer.recv(100)
        after = self.report()
        real = time.monotonic() - began
        stack = (after["now_us"] - before["now_us"]) / 1e6
        print(f"real {real:.2f} s, on the stack's clock {stack:.2f} s; "
              f"the kernel sent {self.kernel_retransmits()} segments again, we none", file=sys.stderr)
        for counter in ("tcp_timeouts", "tcp_retransmits", "tcp_keepalive_probes", "tcp_window_probes"):
            self.assertEqual(after["counters"][counter], 0, counter)
        self.assertLess(stack, real - frozen + 1)
        self.assertGreater(stack, 0)
        self.gdb.interrupt()
        self.gdb.leave()
        self.assertIsNone(self.nc.poll(), "limpid-nc lives on")

    def test_stopped_in_on_segment(self):
        before, began = self.report(), time.monotonic()
        self.gdb.interrupt()
        self.gdb.command("break limpid::Connection::on_segment")
        self.gdb.run_on()
        self.write(b"two\n")  # its acknowledgment, or the answer, comes while our retransmission timer runs
        self.assertEqual(self.peer.recv(100), b"two\n")
        self.peer.sendall(b"answer\n")
        self.gdb.wait_for("Breakpoint 1,")
        time.sleep(STOP)
        self.gdb.command("delete")
        self.gdb.run_on()
        self.finish(before, began)
        self.assertGreaterEqual(self.kernel_retransmits(), 1, "ten seconds are long for the kernel")

    def test_stopped_in_a_call_of_the_program(self):
        before, began = self.report(), time.monotonic()
        self.gdb.interrupt()
        self.gdb.command("break lp_poll")
        self.gdb.run_on()
        self.write(b"two\n")
        self.gdb.wait_for("Breakpoint 1,")
        time.sleep(STOP)
        self.gdb.command("delete")
        self.gdb.run_on()
        self.finish(before, began)

    def test_stopped_while_all_wait(self):
        before, began = self.report(), time.monotonic()
        self.gdb.interrupt()
        time.sleep(STOP)
        self.gdb.run_on()
        self.finish(before, began)

    def test_stopped_by_a_signal(self):
        before, began = self.report(), time.monotonic()
        self.gdb.interrupt()
        self.gdb.leave()
        os.kill(self.nc.pid, signal.SIGSTOP)
        time.sleep(STOP)
        os.kill(self.nc.pid, signal.SIGCONT)
        self.gdb = Gdb(self.nc.pid)
        self.addCleanup(self.end, self.gdb.process)
        self.gdb.run_on()
        self.finish(before, began)


if __name__ == "__main__":
    if shutil.which("gdb") is None:
        print("SKIP: gdb is not installed")
        sys.exit(77)
    sys.exit(main(["echo --port 7"]))
