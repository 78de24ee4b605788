#!/usr/bin/env python3
"""Which requirement of docs/requirements.csv is shown by which test, and which is still open.

    rfc_coverage.py --write [RESULTS.xml ...]   write docs/rfc-coverage.md (requirement -> function -> test -> result)
    rfc_coverage.py --check [RESULTS.xml ...]   fail if a tag names no row, if a row that the page calls covered has lost
                                                its test, or (with results of ctest --output-junit) if such a test failed
    rfc_coverage.py --self-test

A test says what it shows in a comment above it:   // req: 9293-MUST-3, 768-csum-a      (# req: … in scripts)
A row without a test that docs/deviations.md names (`9293-MUST-23`) is no open one: it deviates, for the reason given there.
The function is the first in stack/ whose comment cites the row's section (RFC 9293 §3.10.7.4), or the one under a
comment  // impl: 9293-MUST-3 .
"""
import collections
import csv
import pathlib
import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

Shown = collections.namedtuple("Shown", "test file")

TAG = re.compile(r"^\s*(?://|#)\s*req:\s*(.+?)\s*$")
GTEST = re.compile(r"^\s*(?:TYPED_)?TEST(?:_[FP])?\(\s*(\w+)\s*,\s*(\w+)\s*\)")
SCRIPT_TEST = re.compile(r"^\s*(?:def\s+(\w+)\s*\(|(?:function\s+)?(\w+)\s*\(\)\s*\{)")
CITATION = re.compile(r"RFC\s?(\d+)(?:,)?\s+§\s?([A-Z\d]+(?:\.\d+)*)")
MORE_SECTIONS = re.compile(r"(?:,| and)\s+§\s?([A-Z\d]+(?:\.\d+)*)")
IMPLEMENTS = re.compile(r"//\s*impl:\s*(.+?)\s*$")
SOCKET_CALL = re.compile(r"^(?:int|ssize_t)\s+lp_(\w+)\(.*\{")
FUNCTION = re.compile(r"^[\w:<>,&*\[\]~ ]*?\b([A-Za-z_]\w*(?:::~?\w+)?)\s*\([^;]*(?:\{|,|\))\s*(?:const)?\s*\{?\s*$")


def split_ids(text):
    return [word for word in re.split(r"[,\s]+", text.strip()) if word]


def read_requirements(root):
    with open(root / "docs/requirements.csv", encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def collect_deviations(root, rows):
    """The rows that docs/deviations.md names in code letters."""
    page = root / "docs/deviations.md"
    named = set(re.findall(r"`([^`\s]+)`", page.read_text(encoding="utf-8"))) if page.exists() else set()
    return named & set(rows)


def collect_tags(root):
    """id -> the tests that show it."""
    shown = collections.defaultdict(list)
    for file in sorted((root / "tests").rglob("*")):
        if file.suffix not in (".cc", ".py", ".sh"):
            continue
        waiting, since = [], 0
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            tag = TAG.match(line)
            if tag:
                waiting, since = waiting + split_ids(tag.group(1)), number
                continue
            match = GTEST.match(line) if file.suffix == ".cc" else SCRIPT_TEST.match(line)
            if not waiting:
                continue
            # A tag at the head of a script speaks for the whole script.
            if match or (file.suffix != ".cc" and number - since > 3):
                name = ".".join(group for group in match.groups() if group) if match else file.stem
                for requirement in waiting:
                    shown[requirement].append(Shown(name, file.relative_to(root).as_posix()))
                waiting = []
    return shown


def collect_functions(root):
    """(rfc, section) -> where a comment of the stack first cites it; and id -> where an impl tag names it."""
    cited, tagged = {}, {}
    for file in sorted((root / "stack").rglob("*")):
        if file.suffix not in (".cc", ".h"):
            continue
        place = file.relative_to(root).as_posix()
        lines = file.read_text(encoding="utf-8").splitlines()
        inside = ""  # the function that the line stands in, as far as indentation tells
        for number, line in enumerate(lines):
            if line[:1].strip() and not line.startswith(("//", "#", "}", "namespace")):
                match = FUNCTION.match(line)
                inside = match.group(1) if match else inside
                call = SOCKET_CALL.match(line)
                if call and place.startswith("stack/socket/") and file.suffix == ".cc":
                    cited["POSIX", call.group(1)] = (0, f"lp_{call.group(1)} ({place})")
            option = re.match(r"\s*case (SO_\w+|IP_\w+|TCP_\w+|FIONREAD):", line)
            if option and place.startswith("stack/socket/"):
                cited.setdefault(("POSIX", option.group(1)), (0, place))
            if "//" not in line:
                continue
            below = next((FUNCTION.match(text) for text in lines[number + 1:number + 8] if not text.lstrip().startswith("//")), None)
            function = below.group(1) if below and not line.startswith(" ") else inside if line.startswith(" ") else ""
            where = f"{function} ({place})" if function and file.suffix == ".cc" else place
            rank = 0 if file.suffix == ".cc" else 1  # a definition says more than a declaration
            comment = line[line.index("//"):]
            for match in CITATION.finditer(comment):
                sections = [match.group(2)] + MORE_SECTIONS.findall(comment[match.end():])
                for section in sections:
                    key = (match.group(1), section)
                    if key not in cited or cited[key][0] > rank:
                        cited[key] = (rank, where)
            match = IMPLEMENTS.search(comment)
            for requirement in split_ids(match.group(1)) if match else []:
                tagged[requirement] = where
    return {key: where for key, (_, where) in cited.items()}, tagged


def function_of(row, cited, tagged):
    if row["id"] in tagged:
        return tagged[row["id"]]
    section = row["section"]
    while section:  # the section itself, or the nearest one that contains it
        if (row["rfc"], section) in cited:
            return cited[row["rfc"], section]
        section = section.rpartition(".")[0]
    return ""


def read_results(paths):
    """Test name -> 'run', 'fail', 'notrun', … as ctest wrote it."""
    results = {}
    for path in paths:
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            results[case.get("name")] = case.get("status", "run")
    return results


def result_of(shown, results):
    """pass, FAIL, skipped, or empty when it was not run."""
    wanted = re.compile(rf"(^|[./]){re.escape(shown.test.removeprefix('test_'))}(/|$|\.)|(^|\.){re.escape(pathlib.Path(shown.file).stem)}($|\.)"
                        if shown.file.endswith((".py", ".sh")) else rf"(^|/){re.escape(shown.test)}(/|$)")
    found = {status for name, status in results.items() if wanted.search(name)}
    if not found:
        return ""
    return "FAIL" if "fail" in found else "pass" if "run" in found else "skipped"


def check(root, results):
    """The lines that say what is wrong."""
    rows, shown = read_requirements(root), collect_tags(root)
    for requirement in sorted(set(shown) - set(rows)):
        yield f"{shown[requirement][0].file}: tag names no row of docs/requirements.csv: {requirement}"
    page = root / "docs/rfc-coverage.md"
    covered_before = re.findall(r"^\| `([^`]+)` \| [^|]* \| [^|]* \|", page.read_text(encoding="utf-8"), re.M) if page.exists() else []
    for requirement in covered_before:
        if requirement not in shown:
            yield f"docs/rfc-coverage.md calls {requirement} covered, but no test carries its tag any more"
    for requirement, tests in sorted(shown.items()):
        for test in tests:
            if result_of(test, results) == "FAIL":
                yield f"{requirement}: {test.test} ({test.file}) failed"


def page_text(root, results):
    rows, shown = read_requirements(root), collect_tags(root)
    cited, tagged = collect_functions(root)
    deviating = {requirement for requirement in collect_deviations(root, rows) if requirement not in shown}
    text = ["# Requirements: where each stands, and which test shows it", "",
            "Written by `tools/rfc_coverage.py --write`; not by hand. The rows and their wording are those of",
            "[requirements.csv](requirements.csv); tier 1 is what the stack must do today, 2 and 3 are later work.",
            "Rows that deviate on purpose, for the reasons in [deviations.md](deviations.md), are counted apart.", "",
            "| protocol | tier 1 | tier 2 | tier 3 |", "|---|---|---|---|"]
    for protocol in sorted({row["protocol"] for row in rows.values()}):
        cells = []
        for tier in "123":
            of_tier = [row for row in rows.values() if row["protocol"] == protocol and row["tier"] == tier]
            done = sum(row["id"] in shown for row in of_tier)
            apart = sum(row["id"] in deviating for row in of_tier)
            cells.append(f"{done} of {len(of_tier)}" + (f", {apart} deviate" if apart else "") if of_tier else "")
        text.append(f"| {protocol} | {' | '.join(cells)} |")
    text += ["", "## Covered", "", "| requirement | function | test | result |", "|---|---|---|---|"]
    for requirement, row in rows.items():
        if requirement not in shown:
            continue
        tests = sorted(set(shown[requirement]))
        outcomes = [result_of(test, results) for test in tests]
        outcome = next((word for word in ("FAIL", "pass", "skipped") if word in outcomes), "")
        names = ", ".join(dict.fromkeys(test.test for test in tests))
        text.append(f"| `{requirement}` | {function_of(row, cited, tagged)} | {names} | {outcome} |")
    if deviating:
        text += ["", "## Deviating", ""]
        text += [f"- {row['id']} ({row['level']}, {row['area']}): {row['rule']}" for row in rows.values() if row["id"] in deviating]
    for tier in "123":
        missing = [row for row in rows.values() if row["tier"] == tier and row["id"] not in shown and row["id"] not in deviating]
        text += ["", f"## Open, tier {tier}: {len(missing)}", ""]
        text += [f"- {row['id']} ({row['protocol']}, {row['area']}): {row['rule']}" for row in missing]
    return "\n".join(text) + "\n"


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, content in {
            "docs/requirements.csv": 'id,rfc,section,level,protocol,area,rule,how_to_test,source,tier\n'
                                     'A-1,9293,3.4.1,MUST,tcp,isn,"first, rule",h,s,1\nA-2,768,,MUST,udp,x,second,h,s,1\n'
                                     'A-3,768,,SHOULD,udp,x,third,h,s,1\n',
            "docs/deviations.md": "| third | not done (`A-3`, `no_row`) | why |\n",
            "tests/unit/a_test.cc": "// req: A-1, A-2\nTEST(Isn, Moves) {\n}\n",
            "stack/tcp/isn.cc": "// RFC 9293 §3.4.1: a clock and a hash.\nuint32_t choose_isn(int key) {\n}\n",
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
        results = {"Isn.Moves": "run", "Isn.MovesOn": "fail"}
        page = page_text(root, results)
        assert "| `A-1` | choose_isn (stack/tcp/isn.cc) | Isn.Moves | pass |" in page, page
        assert "| udp | 1 of 2, 1 deviate |" in page and "- A-3 (SHOULD, x): third" in page and "tier 1: 0" in page, page
        (root / "docs/rfc-coverage.md").write_text(page, encoding="utf-8")
        assert list(check(root, results)) == []
        assert len(list(check(root, {"Isn.Moves": "fail"}))) == 2, "a failing test is seen"
        (root / "tests/unit/a_test.cc").write_text("// req: A-1, A-9\nTEST(Isn, Moves) {\n}\n", encoding="utf-8")
        wrong = list(check(root, results))
        assert len(wrong) == 2 and "A-9" in wrong[0] and "A-2" in wrong[1], wrong
    print("lost rows, unknown ids and failing tests are seen")


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    mode, paths = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if mode == "--self-test":
        self_test()
        return 0
    if mode == "--write":
        (root / "docs/rfc-coverage.md").write_text(page_text(root, read_results(paths)), encoding="utf-8")
        return 0
    if mode == "--check":
        wrong = list(check(root, read_results(paths)))
        rows, shown = read_requirements(root), collect_tags(root)
        first = [row for row in rows.values() if row["tier"] == "1"]
        print("\n".join(wrong + [f"requirements of tier 1 shown by a test: {sum(row['id'] in shown for row in first)} of {len(first)}"]))
        return 1 if wrong else 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
