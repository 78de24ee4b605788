#!/usr/bin/python3
"""Instructions of the core alone, by callgrind: of a segment, and what seeing costs of them while nobody looks.

seeing.py BUILD [--json]    needs valgrind and, in BUILD/bench, core_loop and core_loop_unseen

A segment of 1460 bytes without checksums, both ends and the ACKs: the instructions of a longer transfer less those of a
shorter one, by their segments. Callgrind counts, so it does not matter what else the machine does."""

import json
import os
import re
import sys
import tempfile

from programs import Failed, output_of

BURSTS = (200, 1200)
COPIES = re.compile(r"mem(cpy|move)")


def transfer(program, bursts, options):
    """(segments, instructions, of these in memcpy) of so many bursts of 64 KiB."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        segments = int(output_of("valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, program, str(bursts), *options))
        total = copies = 0
        for line in output_of("callgrind_annotate", "--threshold=100", out).splitlines():
            words = line.split(None, 1)
            if not words or not re.fullmatch(r"[\d,]+", words[0]):
                continue
            count = int(words[0].replace(",", ""))
            if "PROGRAM TOTALS" in line:
                total = count
            elif COPIES.search(line):
                copies += count
        return segments, total, copies


def per_segment(program, *options):
    """{total, copies}: instructions a segment."""
    short, long = (transfer(program, bursts, options) for bursts in BURSTS)
    segments, total, copies = (b - a for a, b in zip(short, long))
    return {"total": total / segments, "copies": copies / segments}


def seeing(build):
    """{"seen", "unseen": instructions a segment beside its copies, "copies", "with_checksums", "cost": by how much more, in percent}."""
    bench = os.path.join(build, "bench")
    seen = per_segment(os.path.join(bench, "core_loop"), "--no-checksums")
    unseen = per_segment(os.path.join(bench, "core_loop_unseen"), "--no-checksums")
    summed = per_segment(os.path.join(bench, "core_loop"))
    beside = {name: figures["total"] - figures["copies"] for name, figures in (("seen", seen), ("unseen", unseen))}
    return {**beside, "copies": seen["copies"], "with_checksums": summed["total"] - summed["copies"],
            "cost": 100 * (beside["seen"] / beside["unseen"] - 1)}


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--json"]):
        sys.exit(__doc__)
    try:
        figures = seeing(sys.argv[1])
    except (Failed, FileNotFoundError) as failure:
        sys.exit("seeing.py: %s" % failure)
    if sys.argv[2:]:
        return print(json.dumps(figures))
    print("instructions a segment beside its copies     %6.0f" % figures["seen"])
    print("  with an empty tracer                       %6.0f" % figures["unseen"])
    print("  so seeing, off, costs                      %6.2f %%" % figures["cost"])
    print("copies                                       %6.0f" % figures["copies"])
    print("beside copies, with the checksums of TCP     %6.0f" % figures["with_checksums"])


if __name__ == "__main__":
    main()
