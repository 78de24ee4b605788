"""ICMP and UDP between the kernel's programs and ours."""
import socket
import subprocess

from harness import KERNEL, STACK, InteropTest, binary, main, require, run, running


class Icmp(InteropTest):
    # req: 792-echo-a, 1122-3.2.2.6-a
    def test_the_kernels_ping(self):
        require("ping")
        for size in (0, 56, 1400):
            got = run(["ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", "-s", str(size), STACK])
            self.assertIn("3 received, 0% packet loss", got.stdout, got.stderr)

    def test_our_ping(self):
        for size in (0, 56, 1400):
            got = run(self.on_stack("ping", "-c", 3, "-i", 0.2, "-W", 5, "-s", size, KERNEL))
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertIn("3 packets transmitted, 3 received, 0% packet loss", got.stdout)

    def test_our_ping_of_nobody(self):
        got = run(self.on_stack("ping", "-c", 1, "-W", 1, "10.77.0.99"))
        self.assertEqual(got.returncode, 1)
        self.assertIn("0 received", got.stdout)

    def test_the_kernels_traceroute(self):
        require("traceroute")
        for probes in ([], ["-I"]):
            got = run(["traceroute", "-n", "-q", "2", "-m", "5", *probes, STACK])
            rows = got.stdout.splitlines()[1:]
            self.assertEqual(len(rows), 1, got.stdout + got.stderr)
            self.assertIn(STACK, rows[0])

    def test_our_traceroute(self):
        for probes in ([], ["-I"]):
            got = run(self.on_stack("traceroute", "-q", 2, "-m", 5, "-w", 3, *probes, KERNEL))
            rows = got.stdout.splitlines()[1:]
            self.assertEqual(len(rows), 1, got.stdout + got.stderr)
            self.assertIn(KERNEL, rows[0])
            self.assertNotIn("*", rows[0])


class Udp(InteropTest):
    # req: SOCK-udp-2
    def test_our_echo_answers_each_sender(self):
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
        for number, client in enumerate(clients):
            client.settimeout(20)
            client.sendto(b"%d" % number * 100, (STACK, 7))
        for number, client in enumerate(clients):
            self.assertEqual(client.recvfrom(2000), (b"%d" % number * 100, (STACK, 7)))
            client.close()

    # req: 768-zero-a
    def test_an_empty_datagram_and_the_longest_unfragmented_one(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(20)
            for size in (0, 1, 1472):
                client.sendto(b"x" * size, (STACK, 7))
                self.assertEqual(len(client.recv(2000)), size)

    def test_our_nc_and_the_kernels_echo(self):
        with running([binary("echo"), "--kernel", "--udp", "--bind-address", KERNEL, "--port", "7007"], said="limpid-echo"):
            got = subprocess.run(self.on_stack("nc", "-u", "-w", 1, KERNEL, 7007), input=b"hello", capture_output=True,
                                 timeout=30, check=False)
        self.assertEqual(got.stdout, b"hello", got.stderr)

    # req: 1122-3.2.2.1-a, 1122-4.1.3.1-a
    def test_a_closed_port_of_ours_refuses(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(1.5)
            client.connect((STACK, 9))
            for _ in range(10):  # ICMP errors are limited in rate, as Linux does it: the first may be one too many
                client.send(b"anybody?")
                try:
                    client.recv(100)
                except TimeoutError:
                    continue
                except ConnectionRefusedError:
                    return
            self.fail("not refused")

    # req: 1122-4.1.3.3-a
    def test_a_closed_port_of_the_kernel_refuses(self):
        got = subprocess.run(self.on_stack("nc", "-u", "-w", 5, KERNEL, 9), input=b"anybody?", capture_output=True,
                             timeout=30, check=False)
        self.assertIn(b"Connection refused", got.stderr)

    # The protocol is part of a socket's name: TCP 7 and UDP 7 are two sockets of two kinds.
    # req: SOCK-bind-3
    def test_tcp_and_udp_on_one_port(self):
        with socket.create_connection((STACK, 7), 20) as stream:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.settimeout(20)
                datagrams.sendto(b"datagram", (STACK, 7))
                stream.sendall(b"stream")
                self.assertEqual(stream.recv(100), b"stream")
                self.assertEqual(datagrams.recv(100), b"datagram")


if __name__ == "__main__":
    main(["echo --port 7"])
