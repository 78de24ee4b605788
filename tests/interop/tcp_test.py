"""TCP between the kernel's programs and ours: the half-close in both roles, refusals, silence, keep-alive."""
import json
import os
import re
import socket
import subprocess
import threading
import time

from harness import KERNEL, MIB, STACK, InteropTest, binary, main, newest_stack, require, run, running


class HalfClose(InteropTest):
    # req: SOCK-shut-1
    def test_the_kernel_sends_its_fin_first_and_goes_on_receiving(self):
        with socket.create_connection((STACK, 7), 20) as client:
            client.sendall(b"all that there is to say")
            client.shutdown(socket.SHUT_WR)
            heard = b"".join(iter(lambda: client.recv(65536), b""))
        self.assertEqual(heard, b"all that there is to say")

    def test_our_nc_calls_and_hears_more_after_its_fin(self):
        listener = socket.create_server((KERNEL, 9001))
        answer = os.urandom(MIB)
        heard = []

        def serve():
            peer, _ = listener.accept()
            with peer:
                heard.append(b"".join(iter(lambda: peer.recv(65536), b"")))  # to our FIN
                time.sleep(0.3)
                peer.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        got = subprocess.run(self.on_stack("nc", KERNEL, 9001), input=b"question", capture_output=True, timeout=30, check=False)
        server.join()
        listener.close()
        self.assertEqual(heard, [b"question"])
        self.assertEqual(got.stdout, answer, got.stderr)

    def test_our_nc_listens_and_says_more_after_the_kernels_fin(self):
        said = os.urandom(MIB)
        with open(self.path("said"), "wb") as file:
            file.write(said)
        with open(self.path("said"), "rb") as source, open(self.path("heard"), "wb") as sink:
            with running(self.on_stack("nc", "-l", 9002), said="listening", stdin=source, stdout=sink) as nc:
                with socket.create_connection((newest_stack(), 9002), 20) as client:
                    client.sendall(b"question")
                    client.shutdown(socket.SHUT_WR)
                    heard = b"".join(iter(lambda: client.recv(65536), b""))
                nc.wait(20)
        self.assertEqual(heard, said)
        with open(self.path("heard"), "rb") as sink:
            self.assertEqual(sink.read(), b"question")

    def test_kernel_nc_both_ways(self):
        require("nc")
        got = subprocess.run(["nc", "-N", STACK, "7"], input=b"hello\n", capture_output=True, timeout=30, check=False)
        self.assertEqual(got.stdout, b"hello\n")
        with open(self.path("heard"), "wb") as sink:
            with running(["nc", "-l", KERNEL, "9003"], stdout=sink) as server:
                time.sleep(0.3)
                subprocess.run(self.on_stack("nc", "-w", "5", KERNEL, 9003), input=b"hello\n", timeout=30, check=False)
                server.wait(10)
        with open(self.path("heard"), "rb") as sink:
            self.assertEqual(sink.read(), b"hello\n")


class Options(InteropTest):
    """What the kernel says that both sides agreed on."""

    def assert_agreed(self, *which):
        require("ss")
        said = run(["ss", "-tinoH", "state", "established", *which]).stdout
        self.assertRegex(said, r"\bts sack\b.*\bwscale:8,[0-9]+\b", which)

    def test_the_kernel_calls(self):
        with socket.create_connection((STACK, 7), 20) as client:
            client.sendall(b"hello")
            self.assertEqual(client.recv(16), b"hello")
            self.assert_agreed("dst", f"{STACK}:7")

    def test_the_kernel_is_called(self):
        with socket.create_server((KERNEL, 9004)) as listener:
            with running(self.on_stack("nc", KERNEL, 9004), stdin=subprocess.PIPE) as nc:
                peer, _ = listener.accept()
                with peer:
                    nc.stdin.write(b"hello")
                    nc.stdin.flush()
                    self.assertEqual(peer.recv(16), b"hello")
                    self.assert_agreed("sport", "=", ":9004")
                nc.stdin.close()
                nc.wait(20)


class Ends(InteropTest):
    # req: SOCK-connect-1
    def test_a_closed_port_of_the_kernel_refuses(self):
        got = run(self.on_stack("nc", KERNEL, 9))
        self.assertNotEqual(got.returncode, 0)
        self.assertIn("Connection refused", got.stderr)

    # req: 9293-3.5.2-b
    def test_a_closed_port_of_ours_refuses(self):
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((STACK, 9), 20)

    # req: SOCK-connect-2
    def test_a_silent_port_times_out(self):
        begin = time.monotonic()
        got = run(self.on_stack("nc", "--fault", "out.swallow=tcp:9", "--syn-count", 1, KERNEL, 9))
        self.assertIn("Connection timed out", got.stderr)
        self.assertGreater(time.monotonic() - begin, 2.9)  # 1 s, and after the second SYN 2 s

    # req: 9293-MAY-5
    def test_keep_alive_ends_a_connection_to_a_kernel_that_went_silent(self):
        listener = socket.create_server((KERNEL, 9004))
        nc = subprocess.Popen(self.on_stack("nc", "-v", "--keep-alive", 1, KERNEL, 9004), stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        peer, (address, _) = listener.accept()
        time.sleep(1.5)
        self.assertIsNone(nc.poll(), "the kernel answers the probes, and the connection lives")
        # From now on the kernel's answers to this address go nowhere.
        silenced = run(["ip", "route", "add", "blackhole", address + "/32"])
        self.assertEqual(silenced.returncode, 0, silenced.stderr)
        try:
            nc.wait(20)  # its input stays open: it is the probes that find out, not a FIN
            said = nc.stderr.read()
        finally:
            nc.kill()
            nc.communicate()
            run(["ip", "route", "del", "blackhole", address + "/32"])
            peer.close()
            listener.close()
        self.assertIn("Connection timed out", said)

    def test_a_reset_of_the_kernel_is_seen(self):
        listener = socket.create_server((KERNEL, 9005))
        nc = subprocess.Popen(self.on_stack("nc", KERNEL, 9005), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        _, said = nc.communicate(timeout=20)
        listener.close()
        self.assertIn("Connection reset by peer", said)


class LookingIn(InteropTest):
    def test_ss_lists_what_there_is(self):
        with socket.create_connection((STACK, 7), 20) as client:
            client.sendall(b"hello")
            self.assertEqual(client.recv(100), b"hello")
            reports = json.loads(run([binary("ss"), "--json"]).stdout)
            ours = "%s:%d" % client.getsockname()
            rows = [row for report in reports for row in report["tcp"] if row.get("remote") == ours]
            self.assertEqual(len(rows), 1, reports)
            self.assertEqual((rows[0]["state"], rows[0]["local"], rows[0]["bytes_received"]), ("ESTABLISHED", STACK + ":7", 5))
            table = run([binary("ss")]).stdout
            self.assertRegex(table, r"tcp +LISTEN .*:7 ")
            self.assertRegex(table, r"tcp +ESTABLISHED .*" + re.escape(ours))
            self.assertRegex(table, r"udp .*:7 ")
            self.assertRegex(run([binary("ss"), "--counters"]).stdout, r"tcp_passive_opens +[1-9]")

    def test_the_dialogue_is_printed(self):
        run(self.on_stack("nc", "--trace", self.path("trace"), KERNEL, 9))
        with open(self.path("trace"), encoding="utf-8") as file:
            said = file.read()
        self.assertIn("CLOSED -> SYN-SENT", said)
        self.assertIn("RST,ACK", said)


class ManyClients(InteropTest):
    def test_chat(self):
        with running(self.on_stack("chat", "--port", 5000), said="a room"):
            room = newest_stack()
            guests = [socket.create_connection((room, 5000), 20) for _ in range(20)]
            lines = [guest.makefile("r", encoding="ascii") for guest in guests]
            for number, guest in enumerate(guests):
                guest.sendall(b"guest%d\n" % number)
                while lines[number].readline() != f"* guest{number} has come\n":
                    pass
            guests[3].sendall(b"good morning\n")
            for number, heard in enumerate(lines):
                if number != 3:
                    while heard.readline() != "<guest3> good morning\n":
                        pass
            for guest in guests:
                guest.close()

    def test_echo_in_threads_and_with_epoll(self):
        for way in ("--threads", "--epoll"):
            with self.subTest(way=way), running(self.on_stack("echo", way, "--port", 7), said="limpid-echo"):
                server = newest_stack()
                clients = [socket.create_connection((server, 7), 20) for _ in range(50)]
                for number, client in enumerate(clients):
                    client.sendall(b"%d" % number)
                for number, client in enumerate(clients):
                    self.assertEqual(client.recv(100), b"%d" % number)
                    client.close()


if __name__ == "__main__":
    main(["echo --port 7"])
