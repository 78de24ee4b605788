#!/usr/bin/env python3
"""Which lines and branches of the TCP the tests in virtual time reach: unit tests, simulated networks, packetdrill's object.

    coverage.py [--folder stack/tcp] [--seeds N] [--jobs N] [--no-build] [--missing]

Builds the preset `coverage` (clang's source-based coverage, without assertions), runs the tests, and prints a table of
the folder's files. --missing lists what was not reached. Not counted: broken_invariant(), which the tests ask after
each step and which must find nothing, the statements that ask it, and a `default:` that only leaves its switch.
"""
import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/coverage"
UNITS = re.compile(r"^(tcp|syn|unsent|cc|rack|prr|pacer|hystart|sack|delivery|recovery|dialogue)_?.*_test$")


def run(command, **more):
    subprocess.run([str(word) for word in command], check=True, **more)


def test_names():
    units = sorted(file.stem for file in (ROOT / "tests/unit").glob("*_test.cc") if UNITS.match(file.stem))
    return units + ["limpid_sim_seeds", "packetdrill_object_test"]


def build(names, jobs):
    if not (BUILD / "build.ninja").exists():
        run(["cmake", "--preset", "coverage"], cwd=ROOT, stdout=subprocess.DEVNULL)
    run(["cmake", "--build", BUILD, "-j", jobs, "--target", *names], stdout=subprocess.DEVNULL)


def binaries(names):
    places = [BUILD / "tests", BUILD / "bin", BUILD / "tests/packetdrill"]
    return [next(place / name for place in places if (place / name).is_file()) for name in names]


def run_tests(programs, seeds):
    """The merged profile of all of them."""
    profiles = BUILD / "profiles"
    profiles.mkdir(exist_ok=True)
    for old in profiles.glob("*.profraw"):
        old.unlink()
    for program in programs:
        environment = os.environ | {"LLVM_PROFILE_FILE": str(profiles / f"{program.name}.profraw"), "LIMPID_SIM_SEEDS": str(seeds)}
        done = subprocess.run([program], cwd=BUILD, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"{program.name} failed:", *done.stdout.splitlines()[-3:], sep="\n  ", file=sys.stderr)
    merged = profiles / "all.profdata"
    run(["llvm-profdata-19", "merge", "-sparse", "-o", merged, *sorted(profiles.glob("*.profraw"))])
    return merged


def excluded_lines(text):
    """Numbers of the lines of a source that do not count."""
    found, inside, asks = set(), False, False
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if re.match(r"^\S.*\bbroken_invariant\(.*\{$", line):
            inside = True
        if inside:
            found.add(number)
            inside = not line.startswith("}")
        if re.search(r"\bif \(.*\bbroken_invariant\(", line):
            asks = True
        if asks:
            found.add(number)
            asks = not line.endswith(";")
        if re.match(r"\s*default:\s*(//.*)?$", line) and number < len(lines) and re.match(r"\s*(break|return( false| \{\})?);", lines[number]):
            found |= {number, number + 1}
    return found


def read(programs, merged, folder):
    """file -> (line -> count, (line, branch) -> taken)"""
    objects = [word for program in programs[1:] for word in ("-object", program)]
    text = subprocess.run(["llvm-cov-19", "export", "-format=lcov", f"-instr-profile={merged}", str(programs[0]), *map(str, objects),
                           str(ROOT / folder)], check=True, capture_output=True, text=True).stdout
    files, name = {}, ""
    for line in text.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            name = os.path.relpath(rest, ROOT)
            files[name] = ({}, collections.Counter())
            skipped = excluded_lines((ROOT / name).read_text(encoding="utf-8"))
        elif kind in ("DA", "BRDA"):
            fields = rest.split(",")
            number = int(fields[0])
            if number in skipped:
                continue
            if kind == "DA":
                files[name][0][number] = max(files[name][0].get(number, 0), int(fields[1]))
            else:
                files[name][1][number, fields[1], fields[2]] += 0 if fields[3] == "-" else int(fields[3])
    return files


def report(files, missing):
    def share(counts):
        return f"{sum(n > 0 for n in counts)}/{len(counts)}", 100.0 * sum(n > 0 for n in counts) / max(len(counts), 1)
    print(f"{'file':40}{'lines':>12}{'':>8}{'branches':>12}")
    all_lines, all_branches = [], []
    for name, (lines, branches) in sorted(files.items()):
        all_lines += lines.values()
        all_branches += branches.values()
        (some, percent), (taken, percent_taken) = share(lines.values()), share(branches.values())
        print(f"{name:40}{some:>12}{percent:7.1f}%{taken:>12}{percent_taken:7.1f}%")
        if missing:
            untouched = [number for number, n in sorted(lines.items()) if n == 0]
            one_way = sorted({key[0] for key, n in branches.items() if n == 0} - set(untouched))
            for what, numbers in (("lines", untouched), ("only one way", one_way)):
                if numbers:
                    print(f"    {what}:", *numbers)
    (some, percent), (taken, percent_taken) = share(all_lines), share(all_branches)
    print(f"{'all':40}{some:>12}{percent:7.1f}%{taken:>12}{percent_taken:7.1f}%")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default="stack/tcp")
    parser.add_argument("--seeds", type=int, default=400, help="simulated networks a part")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--missing", action="store_true")
    options = parser.parse_args()
    names = test_names()
    if not options.no_build:
        build(names, options.jobs)
    programs = binaries(names)
    report(read(programs, run_tests(programs, options.seeds), options.folder), options.missing)


if __name__ == "__main__":
    main()
