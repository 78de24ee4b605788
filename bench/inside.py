"""The half of `limpid bench` that limpid-up starts in its private network: reads what to do from a file, writes what came of it."""

import json
import sys

import measures
import peers
import steering
from contestants import Tools, make
from rounds import run_inside


def maker(given, ask_at):
    """Contestants by name, those that --peer gave among them; `ask_at`: where bench/outside.py answers."""
    given = {"peer:" + name: (address, command) for name, address, command in map(peers.parse, given)}

    def make_any(name, tools):
        if name.endswith("+rps"):
            return steering.Steered(make(name.removesuffix("+rps"), tools), tools, ask_at)
        if name in given:
            return peers.Command(name, tools, *given[name])
        return peers.BUILT_IN[name](name, tools) if name in peers.BUILT_IN else make(name, tools)

    return make_any


def main():
    task_path, result_path = sys.argv[1:]
    with open(task_path, encoding="utf-8") as f:
        task = json.load(f)
    wanted = measures.select(task["measures"])
    if task["quick"]:
        wanted = [measures.quick(m) for m in wanted]
    result = run_inside(Tools(task["build"], task["busy_poll"]), wanted, task, maker(task["peers"], task["outside"]))
    with open(result_path, "w", encoding="utf-8") as f:
        json.dump(result, f)


if __name__ == "__main__":
    main()
