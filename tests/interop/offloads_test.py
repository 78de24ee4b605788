"""Super-segments between the kernel and our stack, both ways, over each sort of cable; and what becomes of them with --fault."""
import json
import struct

from harness import KERNEL, MIB, InteropTest, binary, kernel_drops_for_checksums, main, run, running

LARGE = 3000  # bytes: no packet of the MTU


def frame_lengths(capture):
    """(sent by the kernel, sent by us): the lengths of the IPv4 frames of a pcapng file, as they were before any cut."""
    kernels, ours = [], []
    with open(capture, "rb") as file:
        data = file.read()
    at = 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 6:
            captured, original = struct.unpack_from("<II", data, at + 20)
            packet = data[at + 28:at + 28 + captured]
            ip = packet[14:] if packet[12:14] == b"\x08\x00" and packet[14] >> 4 == 4 else packet
            if ip[0] >> 4 == 4:
                (kernels if ip[15] == 1 else ours).append(original)
        at += length
    return kernels, ours


class Offloads(InteropTest):
    def both_ways(self, *options, size=20 * MIB):
        capture = self.path("pcapng")
        with running([binary("perf"), "--kernel", "--server", "--port", "5202"], said="a server"):
            got = run(self.on_stack("perf", "--port", "5202", "--json", "--seconds", 0, "--bytes", size, "--upload", "--download",
                                    "--pcapng", capture, *options, KERNEL), timeout=240)
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertNotIn("limpid: t", got.stderr, "a line in the log")
        result = json.loads(got.stdout)
        for direction in ("upload", "download"):
            self.assertEqual(result[direction]["bytes"], size)
        return frame_lengths(capture)

    def test_super_segments_both_ways(self):
        for lengths in self.both_ways():
            self.assertGreater(max(lengths), LARGE)
            self.assertLess(len(lengths), 20 * MIB / 1448, "fewer frames than packets and ACKs")

    def test_packets_where_offloads_are_off(self):
        for lengths in self.both_ways("--no-offloads"):
            self.assertLessEqual(max(lengths), 1514)

    def test_faults_leave_in_one_piece_what_they_do_not_touch(self):
        # The capture stands in front of the faults: what comes in has been through them.
        for lengths in self.both_ways("--fault", "loss=0.5%,reorder=0.5%,dup=0.5%,corrupt=100ppm", size=5 * MIB):
            self.assertGreater(max(lengths), LARGE)
        # What was corrupted on its way to the kernel, the kernel has counted.
        self.drops_before = kernel_drops_for_checksums()


if __name__ == "__main__":
    main(["echo --port 7"])
