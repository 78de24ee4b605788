"""The gdb kit against a real gdb: kit_test.py GDB PROGRAM KIT. Exit 77: skipped, gdb may not trace here."""

import subprocess
import sys
import unittest

GDB, PROGRAM, KIT = sys.argv[1:4]
FILTER = "Loopback.BytesArriveInOrderAndTheConnectionEnds"


def gdb(*commands):
    arguments = [GDB, "-q", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set debuginfod enabled off", "-ex", "source " + KIT]
    for command in commands:
        arguments += ["-ex", command]
    done = subprocess.run(arguments + ["--args", PROGRAM, "--gtest_filter=" + FILTER], capture_output=True, text=True, timeout=100)
    return done.stdout + done.stderr


class Kit(unittest.TestCase):
    def test_a_segment_reads_as_in_packetdrill(self):
        out = gdb("break limpid::Connection::on_segment", "run", "print s", "print now", "print this->tuple()", "kill")
        self.assertRegex(out, r"\$1 = S\. 0:0\(0\) ack 1 win 65535")
        self.assertRegex(out, r"\$2 = t=0\.000000 s")

    def test_conns_lists_listeners_half_open_ones_and_connections(self):
        out = gdb("break limpid::Connection::on_segment", "run", "limpid conns", "kill")
        self.assertRegex(out, r"LISTEN +127\.0\.0\.1:80  backlog 10")
        self.assertRegex(out, r"#2 SYN-RECEIVED 127\.0\.0\.1:80 <-> 127\.0\.0\.1:\d+  SYN,ACKs sent 1")
        self.assertRegex(out, r"#1 SYN-SENT +127\.0\.0\.1:\d+ <-> 127\.0\.0\.1:80  una 0 nxt 1")

    def test_conn_shows_the_variables_of_the_rfc(self):
        out = gdb("break limpid::Connection::on_segment", "run", "limpid conn", "limpid conn 99", "kill")
        self.assertRegex(out, r"SND\.UNA 0  SND\.NXT 1")
        self.assertRegex(out, r"RTO 1 s")
        self.assertRegex(out, r"timers   rto at t=1\.000000 s")
        self.assertIn("no connection 99", out)

    def test_break_at_a_state_change(self):
        out = gdb("break limpid::Stack::tcp_connect", "run", "limpid break ->TIME-WAIT", "continue", "limpid conns", "kill")
        self.assertRegex(out, r"set_state \(.*event=limpid::TcpEvent::rcv_fin")
        self.assertRegex(out, r"#1 FIN-WAIT-2")
        self.assertIn("no such state: NOWHERE", gdb("limpid break ->NOWHERE"))

    def test_break_at_a_rule(self):
        out = gdb("break limpid::Stack::tcp_connect", "run", "limpid break open.syn-acked", "continue", "print plan", "kill")
        self.assertRegex(out, r"= ack 1:1\(0\) because open\.syn-acked")
        self.assertIn("no such rule", gdb("limpid break no.such-rule"))

    def test_the_kit_knows_every_rule(self):
        out = gdb("break limpid::Connection::on_segment", "run", "print (int)limpid::Rule::count_", "python print('kit %d' % len(RULES))", "kill")
        count = out.split("$1 = ")[1].split()[0]
        self.assertIn("kit " + count, out)


if __name__ == "__main__":
    probe = gdb("break main", "run", "kill")
    if "Breakpoint 1, " not in probe:
        print("SKIP: gdb cannot run a program here (is ptrace refused?):\n" + probe)
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], "-v"])
