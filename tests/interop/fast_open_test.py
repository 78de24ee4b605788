"""TCP Fast Open with the kernel in either role (RFC 7413): the first connection gets a cookie, the second sends its
request with its SYN. That the text went with the SYN, and was taken, says the kernel's own TCP_INFO."""
import socket
import struct
import threading
import unittest

from harness import KERNEL, STACK, InteropTest, main, running, wait_for_port

SYSCTL = "/proc/sys/net/ipv4/tcp_fastopen"
TWENTY_SECONDS = struct.pack("ll", 20, 0)  # settimeout() would make the socket non-blocking
REQUEST = b"GET /bytes/100 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


def syn_data_was_taken(connection):
    options = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[5]  # tcpi_options
    return options & 0x20 != 0  # TCPI_OPT_SYN_DATA


class FastOpen(InteropTest):
    @classmethod
    def setUpClass(cls):
        try:
            with open(SYSCTL, "w", encoding="ascii") as file:
                file.write("3")
        except OSError as error:
            raise unittest.SkipTest(f"{SYSCTL}: {error}")

    def ask_our_httpd(self):
        """One request by MSG_FASTOPEN. Whether the answer came, and the SYN's text was taken."""
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TWENTY_SECONDS)
            self.assertEqual(client.sendto(REQUEST, socket.MSG_FASTOPEN, (STACK, 80)), len(REQUEST))
            answer = b"".join(iter(lambda: client.recv(65536), b""))
            self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer)
            return syn_data_was_taken(client)

    def test_the_kernel_asks_with_its_syn(self):
        wait_for_port(STACK, 80)
        self.assertEqual([self.ask_our_httpd() for _ in range(3)], [False, True, True])

    def test_our_fetch_asks_with_its_syn(self):
        taken = []

        def serve(listener):
            for _ in range(3):
                peer, _ = listener.accept()
                with peer:
                    heard = b""
                    while b"\r\n\r\n" not in heard:
                        heard += peer.recv(65536)
                    taken.append(syn_data_was_taken(peer))
                    peer.sendall(ANSWER)

        with socket.create_server((KERNEL, 9010)) as listener:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
            server = threading.Thread(target=serve, args=[listener], daemon=True)
            server.start()
            fetch = self.on_stack("fetch", "--fast-open", "--close", "--repeat", 3, f"http://{KERNEL}:9010/")
            with open(self.path("said"), "w+", encoding="utf-8") as said:
                with running(fetch, stdout=said) as client:
                    self.assertEqual(client.wait(30), 0)
                said.seek(0)
                self.assertIn("3 fetched, 0 failed", said.read())
            server.join(10)
        self.assertEqual(taken, [False, True, True])


if __name__ == "__main__":
    main(["httpd --port 80 --generate --fast-open 16 SITE"], host=["--tcp-fast-open", "3"])
