#!/usr/bin/env python3
"""Runs packetdrill scripts against Limpid, each in a network namespace of its own (as root).

    run.py SCRIPTS --packetdrill PATH [--object build/release/tests/packetdrill/limpid_packetdrill.so]

SCRIPTS are folders (searched for *.pkt) or single scripts. For each script: `pass`, or the first line of what
packetdrill objects to; then the totals. Exit code 0 when all pass. docs/packetdrill.md tells how to get packetdrill.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OBJECT = ROOT / "build/release/tests/packetdrill/limpid_packetdrill.so"

# The scripts set sysctls and a queueing discipline on tun0: a placeholder takes them, in a namespace that ends with
# the script. No packet ever passes it.
NAMESPACE = 'ip link set lo up; ip tuntap add dev tun0 mode tun; ip link set tun0 up; exec "$@"'

ADDRESSES = ["--ip_version=ipv4", "--local_ip=192.168.0.1", "--gateway_ip=192.168.0.1", "--netmask_ip=255.255.0.0",
             "--remote_ip=192.0.2.1"]
# What google's scripts expect to be defined by whoever runs them.
DEFINES = {"TFO_COOKIE": "3021b9d889017eeb", "TFO_COOKIE_ZERO": "b7c12350a90dc8f5", "CODE": "host_unreachable",
           "CMSG_LEVEL_IP": "SOL_IP", "CMSG_TYPE_RECVERR": "IP_RECVERR"}

TABLE_BEGIN = "<!-- run.py --table begins -->"
TABLE_END = "<!-- run.py --table ends -->"


def find_scripts(paths):
    """(name, path) of every script, by name; the name is relative to the folder that was given."""
    found = []
    for given in map(pathlib.Path, paths):
        if given.is_dir():
            found += [(str(script.relative_to(given)), script) for script in given.rglob("*.pkt")]
        else:
            found.append((given.name, given))
    return sorted(found)


def command_for(script, options):
    """The command line that runs one script, in the script's folder."""
    defines = [part for name, value in DEFINES.items() for part in ("-D", f"{name}={value}")]
    # A queueing discipline is no sysctl, and not every kernel has this one: the object is told.
    paced = ["LIMPID_PACKETDRILL_FQ=1"] if re.search(r"tc qdisc .*\bfq\b", script.read_text()) else []
    named = set(re.findall(r"^--(\w+)=", script.read_text(encoding="utf-8", errors="replace"), re.M))
    addresses = [word for word in ADDRESSES if word[2:].split("=")[0] not in named]  # the script's own come first
    inside = ["env", *paced, f"LD_PRELOAD={options.object}", options.packetdrill, "--send_omit_free", *addresses, *defines,
              f"--tolerance_usecs={options.tolerance_usecs}", f"--so_filename={options.object}", script.name]
    return ["unshare", "-n", "sh", "-c", NAMESPACE, "sh", *inside]


def complaint(output, script, status):
    """The first line in which packetdrill says what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("sysctl:")]
    about_script = [line for line in lines if re.match(rf"{re.escape(script.name)}:\d+:|{re.escape(script.name)}:", line)]
    asserted = [line for line in lines if line.startswith("AssertionError")]  # in the script's own code
    first = (about_script or asserted or lines or [f"ended with status {status}"])[0]
    return re.sub(rf"^{re.escape(script.name)}:", "line ", first)


def run_script(name, script, options):
    """{'script', 'pass', 'detail'} of one script."""
    try:
        done = subprocess.run(command_for(script.resolve(), options), cwd=script.resolve().parent, timeout=options.timeout,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    except subprocess.TimeoutExpired:
        return {"script": name, "pass": False, "detail": f"did not end within {options.timeout} s"}
    if done.returncode == 0:
        return {"script": name, "pass": True, "detail": ""}
    output = done.stderr + done.stdout
    result = {"script": name, "pass": False, "detail": complaint(output, script, done.returncode)}
    if options.verbose:
        result["output"] = output
    return result


def reasons_in(text):
    """The last column of the table that a document holds already, by script."""
    rows = re.findall(r"^\| `([^`]+)` \| no \| (.*?) *\|$", text, re.M)
    return {script: reason for script, reason in rows if reason}


def write_table(document, results):
    """Puts the verdicts into a document, between its two marks; the reasons that stand there are kept."""
    path = pathlib.Path(document)
    text = path.read_text(encoding="utf-8")
    reasons = reasons_in(text)
    rows = ["| script | passes | why not |", "|---|---|---|"]
    for result in results:
        reason = "" if result["pass"] else reasons.get(result["script"], "not explained yet")
        rows.append(f"| `{result['script']}` | {'yes' if result['pass'] else 'no'} | {reason} |")
    rows += ["", f"{sum(r['pass'] for r in results)} of {len(results)} pass."]
    before, rest = text.split(TABLE_BEGIN, 1)
    after = rest.split(TABLE_END, 1)[1]
    path.write_text(before + TABLE_BEGIN + "\n" + "\n".join(rows) + "\n" + TABLE_END + after, encoding="utf-8")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="+", help="folders or scripts")
    parser.add_argument("--packetdrill", required=True, help="the packetdrill binary")
    parser.add_argument("--object", default=str(OBJECT), help="default: %(default)s")
    parser.add_argument("--tolerance-usecs", type=int, default=10000, help="how late or early a packet may be")
    parser.add_argument("--timeout", type=float, default=60, help="real seconds for each script")
    parser.add_argument("--jobs", "-j", type=int, default=2)
    parser.add_argument("--verbose", "-v", action="store_true", help="all that packetdrill says of a script that fails")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of text")
    parser.add_argument("--table", metavar="DOCUMENT", help="write the verdicts into the table of this document too")
    options = parser.parse_args()
    options.packetdrill = str(pathlib.Path(options.packetdrill).resolve())
    options.object = str(pathlib.Path(options.object).resolve())
    for needed in (options.packetdrill, options.object):
        if not os.path.isfile(needed):
            parser.error(f"no such file: {needed}")
    if os.geteuid() != 0:
        parser.error("packetdrill locks its memory and needs a network namespace: run this as root")
    return options


def main():
    options = parse_arguments()
    scripts = find_scripts(options.scripts)
    if not scripts:
        sys.exit("no scripts found")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda found: run_script(*found, options), scripts))
    passed = sum(result["pass"] for result in results)
    if options.table:
        write_table(options.table, results)
    if options.json:
        print(json.dumps({"passed": passed, "total": len(results), "results": results}, indent=1))
    else:
        for result in results:
            print(f"{'pass' if result['pass'] else 'FAIL'}  {result['script']}  {result['detail']}".rstrip())
            if "output" in result:
                print(result["output"])
        print(f"{passed} of {len(results)} pass")
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
