#!/usr/bin/env python3
"""What the compiled core owns and calls: no mutable global, no clock, no descriptor, no lock.

The words of the source are checked by check_doors.py; this looks at the object files, where no macro hides anything.

    check_symbols.py LIST                 LIST holds the paths of the core's object files, one a line
    check_symbols.py --self-test COMPILER  show that violations are found
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# Sections that are written to at run time (.data.rel.ro is made read-only by the loader before main).
MUTABLE = re.compile(r"\.(data|bss|tdata|tbss)(\.(?!rel\.ro).*)?$")
FORBIDDEN_CALL = re.compile(
    r"^(clock_gettime|gettimeofday|time|clock|nanosleep|getenv|secure_getenv|__errno_location|open|openat|read|write|writev|"
    r"ioctl|socket|poll|select|epoll_\w+|rand|srand|random|getrandom|arc4random\w*|pthread_(?!once$|key_create$)\w+|"
    r"_ZNSt6thread.*|_ZNSt13random_device.*|_ZNSt6chrono3_V212(system|steady)_clock3nowEv|_ZSt4c(out|err|log|in))$")


def check(objects):
    for path in objects:
        dump = subprocess.run(["objdump", "-t", path], check=True, capture_output=True, text=True).stdout
        for line in dump.splitlines():
            # value flags section \t size [visibility] name
            match = re.match(r"[0-9a-f]+ (.{7}) (\S+)\t[0-9a-f]+ (?:\.hidden )?(\S+)$", line)
            if not match:
                continue
            flags, section, name = match.groups()
            if "O" in flags and MUTABLE.match(section):
                yield f"{path}: mutable global {name} in {section}"
            if section == "*UND*" and FORBIDDEN_CALL.match(name):
                yield f"{path}: the core calls {name}"


def self_test(compiler):
    samples = {
        "int counter = 3; int f() { return counter; }": True,
        "int f() { static int calls; return ++calls; }": True,
        "#include <ctime>\nlong f() { return std::time(nullptr); }": True,
        "#include <chrono>\nlong f() { return std::chrono::steady_clock::now().time_since_epoch().count(); }": True,
        "#include <cstdlib>\nconst char* f() { return getenv(\"HOME\"); }": True,
        "extern const char* const names[]; const char* const names[] = {\"a\", \"b\"}; int f(int a) { return a + 1; }": False,
    }
    wrong = 0
    for source, must_object in samples.items():
        with tempfile.TemporaryDirectory() as folder:
            code = pathlib.Path(folder, "sample.cc")
            code.write_text(source, encoding="utf-8")
            subprocess.run([compiler, "-O2", "-fPIC", "-c", "sample.cc", "-o", "sample.o"], cwd=folder, check=True)
            objections = list(check([f"{folder}/sample.o"]))
        if bool(objections) != must_object:
            wrong += 1
            print(f"self-test: {source!r}: expected {'an' if must_object else 'no'} objection, got {objections}")
    print(f"{len(samples) - wrong} of {len(samples)} samples judged rightly")
    return wrong


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--self-test":
        return 1 if self_test(sys.argv[2]) else 0
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    objects = [line for line in pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").splitlines() if line.endswith(".o")]
    if not objects:
        print(f"{sys.argv[1]}: names no object file")
        return 1
    violations = list(check(objects))
    print("\n".join(violations) or f"{len(objects)} object files: no mutable global, no call into the world")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
