"""HTTP both ways between the kernel's programs and ours: whole files, ranges, a thousand clients at once."""
import http.client
import os
import socket
import subprocess
import sys

from harness import BULK, KERNEL, MIB, STACK, InteropTest, main, require, run, running, sha256_of, wait_for_port

SITE = os.environ.get("LIMPID_SITE", "")

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 128; }}
http {{
  access_log off; sendfile on;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 0.0.0.0:8081; root {folder}; }}
}}
"""


class KernelClients(InteropTest):
    def setUp(self):
        super().setUp()
        wait_for_port(STACK, 80)

    # req: 9293-MUST-2
    def test_curl_fetches_from_our_httpd(self):
        require("curl")
        original = os.path.join(SITE, "bulk")
        with open(original, "wb") as file:
            file.write(os.urandom(MIB) * (BULK // MIB))
        got = run(["curl", "-sS", "-o", self.path("got"), f"http://{STACK}/bulk"], timeout=120)
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(sha256_of(self.path("got")), sha256_of(original))

    def test_curl_uses_one_connection_for_two_files(self):
        require("curl")
        url = f"http://{STACK}/bytes/1000"
        got = run(["curl", "-sS", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} %{size_download}\n", url, url])
        self.assertEqual(got.stdout.split(), ["1", "1000", "0", "1000"], got.stderr)

    def test_ranges_and_errors(self):
        with open(os.path.join(SITE, "ten"), "w", encoding="ascii") as file:
            file.write("0123456789")
        connection = http.client.HTTPConnection(STACK, 80, timeout=20)
        for method, target, headers, status, body in [
            ("GET", "/ten", {}, 200, b"0123456789"),
            ("GET", "/ten", {"Range": "bytes=2-4"}, 206, b"234"),
            ("GET", "/ten", {"Range": "bytes=-3"}, 206, b"789"),
            ("GET", "/ten", {"Range": "bytes=10-"}, 416, None),
            ("HEAD", "/ten", {}, 200, b""),
            ("GET", "/nothing", {}, 404, None),
            ("DELETE", "/ten", {}, 405, None),
            ("GET", "/../etc/passwd", {}, 403, None),
            ("GET", "/%2e%2e/etc/passwd", {}, 403, None),
        ]:
            with self.subTest(method=method, target=target, headers=headers):
                connection.request(method, target, headers=headers)
                response = connection.getresponse()
                content = response.read()
                self.assertEqual(response.status, status)
                if body is not None:
                    self.assertEqual(content, body)
        connection.close()

    def test_pipelined_requests_are_answered_in_order(self):
        with socket.create_connection((STACK, 80), 20) as client:
            client.sendall(b"".join(b"GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(1, 20)))
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        lengths = [int(line[16:]) for line in answer.split(b"\r\n") if line.startswith(b"Content-Length: ")]
        self.assertEqual(lengths, list(range(1, 20)))

    # One port serves them all: each connection is another pair of addresses and ports.
    # req: SOCK-reuse-5
    def test_a_thousand_connections_at_once(self):
        clients = [socket.create_connection((STACK, 80), 60) for _ in range(1000)]
        try:
            for client in clients:
                client.sendall(b"GET /bytes/2000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            for client in clients:
                answer = b"".join(iter(lambda c=client: c.recv(65536), b""))
                self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))
                self.assertEqual(len(answer.split(b"\r\n\r\n", 1)[1]), 2000)
        finally:
            for client in clients:
                client.close()


class KernelServers(InteropTest):
    def fetch(self, url, original):
        got = run(self.on_stack("fetch", "-o", self.path("got"), "--sha256", url), timeout=120)
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(got.stdout.split()[0], sha256_of(original))
        self.assertEqual(sha256_of(self.path("got")), sha256_of(original))

    def test_fetch_from_python(self):
        original = self.random_file("bulk", BULK)
        server = [sys.executable, "-m", "http.server", "8080", "--directory", self.folder]
        with running(server, stdout=subprocess.DEVNULL):
            wait_for_port(KERNEL, 8080)
            self.fetch(f"http://{KERNEL}:8080/bulk", original)

    def test_fetch_from_nginx(self):
        require("nginx")
        original = self.random_file("bulk", BULK)
        with open(self.path("conf"), "w", encoding="ascii") as file:
            file.write(("user root;" if os.geteuid() == 0 else "") + NGINX.format(folder=self.folder))
        with running(["nginx", "-c", self.path("conf"), "-e", self.path("error.log"), "-p", self.folder]):
            wait_for_port(KERNEL, 8081)
            self.fetch(f"http://{KERNEL}:8081/bulk", original)
            got = run(self.on_stack("fetch", "-q", "--range", "5-9", f"http://{KERNEL}:8081/conf"))
            self.assertEqual(len(got.stdout), 5, got.stderr)

    def test_many_clients_of_ours(self):
        original = self.random_file("small", 50_000)
        require("nginx")
        with open(self.path("conf"), "w", encoding="ascii") as file:
            file.write(("user root;" if os.geteuid() == 0 else "") + NGINX.format(folder=self.folder))
        with running(["nginx", "-c", self.path("conf"), "-e", self.path("error.log"), "-p", self.folder]):
            wait_for_port(KERNEL, 8081)
            got = run(self.on_stack("fetch", "--parallel", 50, "--repeat", 20, f"http://{KERNEL}:8081/small"))
        self.assertIn("1000 fetched, 0 failed, 50000000 bytes", got.stdout, got.stderr)
        self.assertTrue(original)


if __name__ == "__main__":
    main(["httpd --port 80 --generate SITE"])
