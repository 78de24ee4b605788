#!/usr/bin/env python3
"""One line for each test that ctest skipped, with the reason that the test gave.   skipped_tests.py RESULTS.xml"""
import sys
import xml.etree.ElementTree as ElementTree


def reason_of(case):
    """The line that says why: "SKIP: …" of a script, or the line after GoogleTest's "Skipped"."""
    lines = (case.findtext("system-out") or "").splitlines()
    for number, line in enumerate(lines):
        if line.lower().startswith(("skip:", "skipped:")):
            return line.split(":", 1)[1].strip()
        if line.rstrip().endswith(": Skipped") and number + 1 < len(lines):
            return lines[number + 1].strip()
    message = case.find("skipped")
    return (message.get("message") if message is not None else None) or "no reason given"


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        cases = ElementTree.parse(sys.argv[1]).getroot().iter("testcase")
    except (OSError, ElementTree.ParseError) as error:
        print(f"no test results in {sys.argv[1]}: {error}")
        return 1
    # ctest writes status "notrun" for a skipped test, "disabled" for one that was switched off.
    skipped = [case for case in cases if case.get("status") in ("notrun", "disabled") or case.find("skipped") is not None]
    for case in skipped:
        print(f"skipped: {case.get('name')}: {reason_of(case)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
