"""What the interop tests share. A test file is run twice: outside it starts `limpid-up`, which makes a private network
and puts our stack into it; inside, as limpid-up's command and on the kernel's side of the cable, it runs its tests.

    kernel 10.77.0.1 ── TUN, TAP or veth ── 10.77.0.2 our stack: httpd :80, echo :7, perf :5201 (in limpid-up)
    programs that a test starts on our stack get a cable of their own: 10.77.N.1 ── 10.77.N.2

Namespace, devices and processes are gone when limpid-up ends. Nothing leaves the namespace.
"""
import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

KERNEL = "10.77.0.1"
STACK = "10.77.0.2"
MIB = 1 << 20
# An ordinary user's second run, and sanitizers, need not move 100 MiB.
BULK = 10 * MIB if os.environ.get("LIMPID_BULK") == "0" else 100 * MIB
SKIPPED = 77
INSIDE = "LIMPID_INTEROP_INSIDE"


def binary(name):
    return os.path.join(os.environ["LIMPID_BIN"], "limpid-" + name)


def require(*programs):
    """Skips a test whose kernel-side program is not installed, by name."""
    for program in programs:
        if shutil.which(program) is None:
            raise unittest.SkipTest(f"{program} is not installed")


def run(command, timeout=60, **options):
    """Runs to the end; its output is in .stdout and .stderr."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)


def kernel_drops_for_checksums():
    """What the kernel's end refused because of a wrong checksum, by protocol."""
    counters = {}
    with open("/proc/self/net/snmp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    for names, values in zip(rows[::2], rows[1::2]):
        for name, value in zip(names[1:], values[1:]):
            if name in ("InCsumErrors", "InHdrErrors"):
                counters[names[0] + name] = int(value)
    return counters


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wait_for_port(address, port, timeout=20):
    end = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def newest_stack():
    """The address of the stack that was started last: cables are numbered in the order of their making."""
    rows = run(["ip", "-o", "-4", "address"]).stdout
    return f"10.77.{max(map(int, re.findall(r'10[.]77[.]([0-9]+)[.]1/', rows)))}.2"


@contextlib.contextmanager
def running(command, said=None, timeout=20, **options):
    """A process for the length of a block. With `said`, waits until it has said so on standard error."""
    log = tempfile.TemporaryFile("w+")
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", log)
    process = subprocess.Popen(command, stderr=log, **options)
    try:
        end = time.monotonic() + timeout
        while said is not None:
            log.seek(0)
            text = log.read()
            if said in text:
                break
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{command} did not say '{said}' but: {text}")
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log.close()


class InteropTest(unittest.TestCase):
    """Has a folder of its own, and checks after each test that the kernel dropped nothing of ours for its checksum."""

    longMessage = True

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="limpid-interop.")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.drops_before = kernel_drops_for_checksums()

    def tearDown(self):
        self.assertEqual(self.drops_before, kernel_drops_for_checksums(), "the kernel saw wrong checksums")

    def path(self, name):
        return os.path.join(self.folder, name)

    def random_file(self, name, size):
        with open(self.path(name), "wb") as file:
            for offset in range(0, size, MIB):
                file.write(os.urandom(min(MIB, size - offset)))
        return self.path(name)

    def on_stack(self, name, *arguments):
        """The command line of a bundled program on a stack of its own, over the sort of cable under test."""
        return [binary(name), *device_options(), *map(str, arguments)]


def device_options():
    device = os.environ.get("LIMPID_INTEROP_DEVICE", "")
    queues = os.environ.get("LIMPID_INTEROP_QUEUES", "")
    return (["--device", device] if device else []) + (["--queues", queues] if queues else [])


def main(apps, fault=None, host=()):
    """The end of every test file. `apps`: command lines of the bundled programs on 10.77.0.2; `host`: its stack's options."""
    if INSIDE in os.environ:
        unittest.main(module="__main__", verbosity=2, argv=[sys.argv[0]] + sys.argv[1:])
    site = tempfile.mkdtemp(prefix="limpid-site.")
    try:
        sys.exit(start_inside([line.replace("SITE", site) for line in apps], fault, site, [word.replace("SITE", site) for word in host]))
    finally:
        shutil.rmtree(site, ignore_errors=True)


def start_inside(apps, fault, site, host):
    up = [binary("up"), "--quiet", *device_options()]
    probe = run([*up, *host, "--app", "echo --port 7", "--", "true"])
    if probe.returncode == 1 and probe.stderr.startswith("limpid-up: "):
        print("SKIP: " + " ".join(probe.stderr[len("limpid-up: "):].split()))
        return SKIPPED
    if probe.returncode != 0:
        print(f"limpid-up ended with {probe.returncode}: {probe.stderr}")
        return 1
    command = [*up, *host, *(["--fault", fault] if fault else [])]
    for line in apps:
        command += ["--app", line]
    environment = dict(os.environ, LIMPID_SITE=site, **{INSIDE: "1"})
    return subprocess.run([*command, "--", sys.executable, *sys.argv], env=environment, check=False).returncode
