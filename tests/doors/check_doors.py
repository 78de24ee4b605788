#!/usr/bin/env python3
"""Who may include whom: the rooms of the house and their doors (docs/architecture.md).

    check_doors.py ROOT         check a source tree; one line a violation, exit 1 if there is any
    check_doors.py --self-test  show that each kind of violation is found
"""
import pathlib
import re
import sys
import tempfile

CORE = ["base", "wire", "buffer", "settings", "net", "tcp", "udp", "icmp", "stack"]

# room -> the rooms that it may include, besides itself
DOORS = {
    "base": [],
    "wire": ["base"],
    "buffer": ["base"],
    "settings": ["base", "wire", "buffer"],  # stack/config.h, stack/socket_id.h: plain values that every layer shares
    "link_port": ["base"],
    "net": ["base", "wire", "buffer", "settings", "link_port"],
    "tcp": ["base", "wire", "buffer", "settings", "link_port", "net"],
    "udp": ["base", "wire", "buffer", "settings", "link_port", "net"],
    "icmp": ["base", "wire", "buffer", "settings", "link_port", "net", "udp"],  # raw sockets are datagram sockets
    "stack": ["base", "wire", "buffer", "settings", "link_port", "net", "tcp", "udp", "icmp"],
    "device": ["base", "wire", "buffer", "link_port"],
    "drivers": ["base", "wire", "buffer", "link_port", "device"],
    "sim_link": ["base", "wire", "buffer", "link_port", "device"],
    "runtime": CORE + ["link_port", "device", "public"],
    "sim_world": CORE + ["link_port", "device", "public", "runtime", "sim_link"],
    "socket": CORE + ["runtime", "public"],
    "public": [],  # include/limpid: what is installed stands alone
    "apps": CORE + ["link_port", "runtime", "sim_world", "socket", "public", "open_host"],
    "open_host": CORE + ["link_port", "device", "drivers", "sim_link", "runtime", "sim_world", "socket", "public", "apps"],
}

# Files that are a room of their own, first match wins; then the folder decides.
FILE_ROOMS = [
    (r"stack/(config|socket_id|congestion_choice)\.h$", "settings"),
    (r"stack/net/link_port\.h$", "link_port"),
    (r"stack/runtime/sim\w*\.(h|cc)$", "sim_world"),
    (r"stack/socket/create_host\.cc$", "open_host"),  # lp_host_create: what open_host is to the programs, for the library
    (r"stack/(base|wire|buffer|net|tcp|udp|icmp|runtime|socket)/", None),
    (r"stack/[^/]+$", "stack"),
    (r"drivers/device\.(h|cc)$", "device"),
    (r"drivers/sim_link\.(h|cc)$", "sim_link"),
    (r"drivers/", "drivers"),
    (r"(include/)?limpid/", "public"),
    (r"apps/common/(open_host|sandbox)\w*\.(h|cc)$", "open_host"),
    (r"apps/sim/lab\.(h|cc)$", "open_host"),  # the same for the simulated world: hosts, link, dialogue and programs
    (r"apps/wire/", "open_host"),  # two devices and a simulated link between them, without a stack
    (r"apps/", "apps"),
]

# The deterministic machine: its inputs are arguments, its outputs are ports. None of these may stand in it.
FORBIDDEN_HEADERS = re.compile(
    r"<(sys/.*|linux/.*|netinet/.*|arpa/.*|net/.*|unistd\.h|fcntl\.h|poll\.h|pthread\.h|signal\.h|csignal|c?errno(\.h)?|"
    r"ctime|time\.h|thread|mutex|shared_mutex|condition_variable|atomic|future|stop_token|semaphore|latch|barrier|"
    r"random|iostream|fstream|ostream|istream|sstream|iomanip|filesystem|locale|boost/.*)>")
FORBIDDEN_WORDS = {
    r"\b(float|double)\b": "floating point",
    r"\berrno\b": "errno",
    r"\bgetenv\b": "the environment",
    r"\bthread_local\b": "thread-local state",
    r"\b(steady|system|high_resolution)_clock\b": "a clock",
    r"\bstd::(thread|jthread|mutex|atomic|random_device|mt19937)\b": "threads, locks or foreign randomness",
    r"\bstd::function\b": "std::function (a debugger must be able to walk in)",
    r"\bshared_ptr\b": "shared_ptr",
    r"\b(throw|try|catch)\b": "exceptions",
    r"\bstd::(cout|cerr|clog|cin)\b": "iostream",
    r"\b(s?rand|random|time|clock|gettimeofday)\s*\(\s*(NULL|nullptr|0)?\s*\)": "the C library's clock or generator",
    r"^\s*#\s*(if|ifdef|ifndef|elif)\b": "conditional compilation",
    r"\bstatic\s+(?!const\b|constexpr\b|constinit const\b|inline\b)[\w:<>,*& ]+?[\s*&]\w+\s*(=[^=]|;|\{[^()]*\}\s*;)":
        "a mutable static",
}
# Hash maps are looked up, never walked: their order is not part of the machine's definition.
UNORDERED = re.compile(r"\bstd::unordered_\w+<[^;]*>\s+(\w+)\s*[;={]")


def room_of(path):
    for pattern, room in FILE_ROOMS:
        match = re.match(pattern, path)
        if match:
            return room or match.group(1)
    return None


def without_comments_and_strings(text):
    """The code alone, line structure kept."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)

    def blank(match):
        found = match.group(0)
        if found.startswith("'") and len(found) > 4 and not found.startswith("'\\"):
            return found  # digit separators (1'048'576), not a character
        return ("" if found[0] == "/" else found[0] * 2) + "\n" * found.count("\n")

    return token.sub(blank, text)


def check_includes(path, room, text):
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not match:
            continue
        target = match.group(2)
        if room in CORE and FORBIDDEN_HEADERS.match(f"<{target}>"):
            yield f"{path}:{number}: the core must not include <{target}>"
        if re.match(r"(tests|bench|tools)/", target):
            yield f"{path}:{number}: a product file must not include {target}"
        if target.startswith(("../", "./")):
            yield f"{path}:{number}: include from the root of the tree, not {target}"
        entered = room_of(target)
        if entered and entered != room and entered not in DOORS[room]:
            yield f"{path}:{number}: {room} must not enter {entered} ({target})"


def check_words(path, text):
    code = without_comments_and_strings(text)
    walked = UNORDERED.findall(code)
    for number, line in enumerate(code.splitlines(), 1):
        for pattern, what in FORBIDDEN_WORDS.items():
            if re.search(pattern, line):
                yield f"{path}:{number}: the core must not use {what}: {line.strip()}"
        for name in walked:
            if re.search(rf"for\s*\(.*:\s*{name}\s*\)|\b{name}\.begin\(", line):
                yield f"{path}:{number}: a hash map is never iterated: {line.strip()}"


def check_tree(root):
    root = pathlib.Path(root)
    files = [f for top in ("stack", "drivers", "include", "apps") for f in (root / top).rglob("*") if f.suffix in (".h", ".cc")]
    if not files:
        yield f"{root}: no source found"
    for file in sorted(files):
        path = file.relative_to(root).as_posix()
        room = room_of(path)
        text = file.read_text(encoding="utf-8")
        if room is None:
            yield f"{path}: stands in no room of the house"
            continue
        yield from check_includes(path, room, text)
        if room in CORE or room == "link_port":
            yield from check_words(path, text)


# One line of source each, in a file of some room; True where the check must object.
SAMPLES = [
    ("stack/tcp/a.cc", '#include "stack/base/time.h"', False),
    ("stack/tcp/a.cc", '#include "stack/net/ip.h"', False),
    ("stack/base/a.cc", '#include "stack/wire/address.h"', True),
    ("stack/wire/a.cc", '#include "stack/buffer/frame.h"', True),
    ("stack/net/a.cc", '#include "stack/tcp/state.h"', True),
    ("stack/tcp/a.cc", '#include "stack/udp/datagram.h"', True),
    ("stack/tcp/a.cc", '#include "stack/stack.h"', True),
    ("stack/runtime/a.cc", '#include "drivers/tun.h"', True),
    ("stack/runtime/a.cc", '#include "drivers/device.h"', False),
    ("stack/runtime/sim_world.cc", '#include "drivers/sim_link.h"', False),
    ("stack/runtime/real_world.cc", '#include "drivers/sim_link.h"', True),
    ("stack/runtime/a.cc", '#include "stack/socket/a.h"', True),
    ("stack/socket/a.cc", '#include <errno.h>', False),
    ("stack/socket/a.cc", '#include "drivers/device.h"', True),
    ("drivers/tun.cc", '#include "stack/net/link_port.h"', False),
    ("drivers/tun.cc", '#include "stack/net/ip.h"', True),
    ("apps/httpd/a.cc", '#include "drivers/tun.h"', True),
    ("apps/common/open_host.cc", '#include "drivers/tun.h"', False),
    ("apps/httpd/a.cc", '#include "tests/sim/a.h"', True),
    ("include/limpid/a.h", '#include "stack/stack.h"', True),
    ("stack/odd/a.cc", 'int a;', True),
    ("stack/tcp/a.cc", '#include "../net/ip.h"', True),
    ("stack/tcp/a.cc", '#include <mutex>', True),
    ("stack/net/a.cc", '#include <sys/socket.h>', True),
    ("stack/stack.cc", '#include <cerrno>', True),
    ("stack/tcp/a.cc", 'double rate = 1;', True),
    ("stack/tcp/a.cc", '// a double FIN; "float" in words only', False),
    ("stack/tcp/a.cc", 'const char* s = "errno double";', False),
    ("stack/tcp/a.cc", 'static int count = 0;', True),
    ("stack/tcp/a.cc", '  static std::vector<int> seen;', True),
    ("stack/tcp/a.cc", '  static constexpr int kMost = 5;', False),
    ("stack/tcp/a.cc", '  static bool is_ok(int a);', False),
    ("stack/tcp/a.cc", '#ifdef DEBUG', True),
    ("stack/tcp/a.cc", 'auto t = std::chrono::steady_clock::now();', True),
    ("stack/tcp/a.cc", 'std::function<void()> f;', True),
    ("stack/tcp/a.cc", 'auto x = time(nullptr);', True),
    ("stack/tcp/a.cc", 'std::unordered_map<int, int> all_; void f() { for (auto& [k, v] : all_) g(k); }', True),
    ("stack/tcp/a.cc", 'uint32_t a = 1\'048\'576; double b = 2\'0;', True),
]


def self_test():
    wrong = 0
    for path, line, must_object in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, path)
            file.parent.mkdir(parents=True)
            file.write_text(line + "\n", encoding="utf-8")
            objections = list(check_tree(folder))
        if bool(objections) != must_object:
            wrong += 1
            print(f"self-test: {path}: {line!r}: expected {'an' if must_object else 'no'} objection, got {objections}")
    print(f"{len(SAMPLES) - wrong} of {len(SAMPLES)} samples judged rightly")
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    violations = list(check_tree(sys.argv[1]))
    print("\n".join(violations) or "every door is kept")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
