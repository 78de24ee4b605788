"""Runs the commands of docs/sockets.md in a private network, and looks for what the page says one will see."""
import os
import re
import subprocess

from harness import InteropTest, main, require

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")


def blocks(name):
    """(heading, commands, expected patterns) of each ```sh block."""
    heading = ""
    with open(os.path.join(DOCS, name), encoding="utf-8") as page:
        for part in re.split(r"(?m)^(## .*|```sh\n(?:.*\n)*?```)$", page.read()):
            if part.startswith("## "):
                heading = part[3:]
            elif part.startswith("```sh"):
                lines = part.splitlines()[1:-1]
                yield (heading, [line for line in lines if not line.startswith("# -> ")],
                       [line[5:] for line in lines if line.startswith("# -> ")])


def run_page(test, name, folder):
    """Runs the page's commands, and fails the test where they do not show what it says. How many blocks it has."""
    environment = dict(os.environ, PATH=os.environ["LIMPID_BIN"] + ":" + os.environ["PATH"], HOME=folder)
    count = 0
    for heading, commands, expected in blocks(name):
        count += 1
        with test.subTest(heading=heading, commands=commands):
            with open(os.path.join(folder, "output"), "w+", encoding="utf-8") as output:
                # A file, not a pipe: what was put into the background may outlive the shell.
                subprocess.run(["bash", "-m", "-c", "\n".join(commands)], stdin=subprocess.DEVNULL, stdout=output,
                               stderr=subprocess.STDOUT, env=environment, cwd=folder, timeout=60, check=False)
                output.seek(0)
                text = output.read()
            rest = text
            for pattern in expected:
                found = re.search(pattern, rest)
                test.assertIsNotNone(found, f"'{pattern}' is not (or no more) in:\n{text}")
                rest = rest[found.end():]
    return count


class SocketsPage(InteropTest):
    def test_every_command_shows_what_the_page_says(self):
        require("bash", "nc", "nmap", "tshark", "ip", "ss")
        self.assertGreaterEqual(run_page(self, "sockets.md", self.folder), 16)


if __name__ == "__main__":
    main(["httpd --port 80 SITE", "echo --port 7"])
