"""Other programs: what they print, or why there is nothing."""

import os
import subprocess


class Failed(Exception):
    """A program that ended with an error; its words are the text."""


def output_of(*words, timeout=3600):
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise Failed("%s ended with status %d: %s" % (os.path.basename(words[0]), done.returncode, done.stderr.strip()))
    return done.stdout
