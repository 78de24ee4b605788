"""The bundled programs by themselves: the same sources on the kernel's sockets (--kernel), over the loopback address."""
import hashlib
import json
import os
import socket
import subprocess
import tempfile
import unittest

from harness import MIB, binary, run, running

HOST = "127.0.0.1"


def free_port():
    with socket.create_server((HOST, 0)) as probe:
        return probe.getsockname()[1]


def app(name, *arguments):
    return [binary(name), "--kernel", *map(str, arguments)]


def received_to_the_end(client):
    return b"".join(iter(lambda: client.recv(65536), b""))


class Echo(unittest.TestCase):
    def test_each_way_to_serve(self):
        for way in ([], ["--epoll"], ["--threads"]):
            port = free_port()
            with self.subTest(way=way), running(app("echo", "--port", port, *way), said="limpid-echo"):
                clients = [socket.create_connection((HOST, port), 10) for _ in range(20)]
                for number, client in enumerate(clients):
                    client.sendall(b"%d" % number * 10_000)
                    client.shutdown(socket.SHUT_WR)
                for number, client in enumerate(clients):
                    self.assertEqual(received_to_the_end(client), b"%d" % number * 10_000)
                    client.close()
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                    datagrams.settimeout(10)
                    datagrams.sendto(b"hello", (HOST, port))
                    self.assertEqual(datagrams.recvfrom(100), (b"hello", (HOST, port)))

    def test_a_client_that_does_not_read_holds_up_nobody(self):
        port = free_port()
        with running(app("echo", "--port", port), said="limpid-echo"):
            with socket.create_connection((HOST, port), 10) as stubborn, socket.create_connection((HOST, port), 10) as other:
                stubborn.setblocking(False)
                try:
                    while True:
                        stubborn.send(b"x" * 65536)
                except BlockingIOError:
                    pass
                other.sendall(b"hello")
                self.assertEqual(other.recv(100), b"hello")


class Http(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="limpid-site.")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.content = os.urandom(3 * MIB + 17)
        os.mkdir(os.path.join(cls.folder.name, "sub"))
        for name, content in (("big", cls.content), ("sub/a & b.txt", b"in a folder"), ("empty", b"")):
            with open(os.path.join(cls.folder.name, name), "wb") as file:
                file.write(content)
        os.symlink("/etc/hostname", os.path.join(cls.folder.name, "out"))

    def server(self, port, *more):
        return running(app("httpd", "--port", port, "--generate", *more, self.folder.name), said="limpid-httpd")

    def ask(self, port, text):
        with socket.create_connection((HOST, port), 10) as client:
            client.sendall(text.encode())
            client.shutdown(socket.SHUT_WR)
            return received_to_the_end(client)

    def test_fetch_from_httpd(self):
        for way in ([], ["--threads"]):
            port = free_port()
            with self.subTest(way=way), self.server(port, *way):
                got = run(app("fetch", "--sha256", f"http://{HOST}:{port}/big"))
                self.assertEqual(got.stdout.split()[0], hashlib.sha256(self.content).hexdigest(), got.stderr)
                got = run(app("fetch", "-q", "--range=-5", f"http://{HOST}:{port}/sub/a%20%26%20b.txt"))
                self.assertEqual(got.stdout, "older")
                got = run(app("fetch", "-j", "200", "-n", "5", f"http://{HOST}:{port}/bytes/3000"))
                self.assertIn("1000 fetched, 0 failed, 3000000 bytes", got.stdout, got.stderr)

    def test_answers(self):
        port = free_port()
        host = "Host: x\r\nConnection: close\r\n\r\n"
        with self.server(port):
            for request, status in [
                (f"GET /empty HTTP/1.1\r\n{host}", 200),
                (f"GET /sub HTTP/1.1\r\n{host}", 301),
                (f"GET /nothing HTTP/1.1\r\n{host}", 404),
                (f"GET /../etc/hostname HTTP/1.1\r\n{host}", 403),
                (f"GET /sub/%2e%2e/%2e%2e/etc/hostname HTTP/1.1\r\n{host}", 403),
                (f"GET /out HTTP/1.1\r\n{host}", 403),
                (f"GET /%00 HTTP/1.1\r\n{host}", 403),
                (f"PUT /empty HTTP/1.1\r\nContent-Length: 2\r\n{host}hi", 405),
                (f"GET /big HTTP/1.1\r\nRange: bytes=9999999-\r\n{host}", 416),
                ("GET / HTTP/1.1\r\n\r\n", 400),
                ("nonsense\r\n\r\n", 400),
                ("GET / HTTP/1.1\r\nHost: x\r\nA: " + "a" * 20_000 + "\r\n\r\n", 431),
            ]:
                with self.subTest(request=request[:60]):
                    self.assertEqual(self.ask(port, request).split(b" ")[1], b"%d" % status)
            listing = self.ask(port, f"GET /sub/ HTTP/1.1\r\n{host}")
            self.assertIn(b'<a href="a%20%26%20b.txt">a &amp; b.txt</a>', listing)

    def test_head_and_pipelining(self):
        port = free_port()
        with self.server(port):
            answer = self.ask(port, "HEAD /big HTTP/1.1\r\nHost: x\r\n\r\nGET /sub/a%20%26%20b.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        head, second, body = answer.split(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d\r\n" % len(self.content), head)
        self.assertTrue(second.startswith(b"HTTP/1.1 200"))
        self.assertEqual(body, b"in a folder")

    def test_a_request_byte_by_byte(self):
        port = free_port()
        with self.server(port), socket.create_connection((HOST, port), 10) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"GET /sub/a%20%26%20b.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
                client.sendall(bytes([byte]))
            self.assertTrue(received_to_the_end(client).endswith(b"in a folder"))


class Others(unittest.TestCase):
    def test_nc_half_close(self):
        port = free_port()
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as heard:
            said.write(b"answer")
            said.seek(0)
            with running(app("nc", "-l", port), said="listening", stdin=said, stdout=heard) as server:
                got = subprocess.run(app("nc", HOST, port), input=b"question", capture_output=True, timeout=20, check=False)
                server.wait(10)
            heard.seek(0)
            self.assertEqual((got.stdout, heard.read()), (b"answer", b"question"))

    def test_nc_is_refused(self):
        got = run(app("nc", HOST, free_port()))
        self.assertEqual((got.returncode, got.stderr), (1, "limpid-nc: connect: Connection refused\n"))

    def test_chat(self):
        port = free_port()
        with running(app("chat", "--port", port), said="a room"):
            with socket.create_connection((HOST, port), 10) as one, socket.create_connection((HOST, port), 10) as two:
                first, second = one.makefile("r"), two.makefile("r")
                one.sendall(b"Anna\n")
                self.assertEqual([first.readline() for _ in range(2)], ["your name?\n", "* Anna has come\n"])
                two.sendall(b"Bert\nhello\n")
                self.assertEqual([first.readline() for _ in range(2)], ["* Bert has come\n", "<Bert> hello\n"])
                one.close(), first.close()
                self.assertEqual([second.readline() for _ in range(3)], ["your name?\n", "* Bert has come\n", "* Anna has left\n"])
                second.close()

    def test_perf(self):
        port = free_port()
        with running(app("perf", "--server", "--port", port), said="a server"):
            got = run(app("perf", f"{HOST}:{port}", "--seconds", 0.2, "--bytes", 5_000_000, "--json"))
            self.assertEqual(got.returncode, 0, got.stderr)
            figures = json.loads(got.stdout)
            self.assertEqual(list(figures), ["sockets", "upload", "download", "ping-pong", "connections"])
            latency = figures["ping-pong"]
            self.assertTrue(0 < latency["min_us"] <= latency["p50_us"] <= latency["p99_us"] <= latency["max_us"])

    def test_help_and_mistakes(self):
        for name in ("chat", "echo", "fetch", "httpd", "nc", "perf", "ping", "traceroute", "ss", "sim"):
            with self.subTest(name=name):
                self.assertIn("--help", run([binary(name), "--help"]).stdout)
                mistaken = run([binary(name), "--kernel", "--no-such-option"])
                self.assertEqual(mistaken.returncode, 2)
                self.assertNotEqual(mistaken.stderr, "")

    def test_raw_sockets(self):
        try:
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
        except PermissionError:
            self.skipTest("no right to raw sockets")
        self.assertIn("2 received", run(app("ping", "-c", 2, "-i", 0.1, HOST)).stdout)
        self.assertIn(f" 1  {HOST}", run(app("traceroute", HOST)).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
