"""The half of `limpid bench` that limpid-up starts in its private network: reads what to do from a file, writes what came of it."""

import json
import sys

import measures
from contestants import Tools
from rounds import run_inside


def main():
    task_path, result_path = sys.argv[1:]
    with open(task_path, encoding="utf-8") as f:
        task = json.load(f)
    wanted = measures.select(task["measures"])
    if task["quick"]:
        wanted = [measures.quick(m) for m in wanted]
    result = run_inside(Tools(task["build"], task["busy_poll"]), wanted, task)
    with open(result_path, "w", encoding="utf-8") as f:
        json.dump(result, f)


if __name__ == "__main__":
    main()
