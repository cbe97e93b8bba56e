#!/usr/bin/env python3
"""Does this build do in the simulated world what all others do? Runs the drills that fingerprints.txt lists with the
program WEIR and compares their fingerprints, which are of every turn, packet and event.

    fingerprints.py WEIR            exit code 1 when one differs
    fingerprints.py WEIR --write    the server does something else now, on purpose: puts today's into the file
"""

import os
import re
import subprocess
import sys

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fingerprints.txt")
HEAD = (
    "# Drills and what they come to, in every build. To refresh: tests/sim/fingerprints.py build/dev/weir --write\n"
    "# The last four have found faults once, whose tests docs/design/simulation.md names.\n"
)


def fingerprint_of(weir, arguments):
    done = subprocess.run([weir, "sim", "serve", *arguments.split()], capture_output=True, text=True, check=False)
    found = re.search(r"^fingerprint ([0-9a-f]{16})$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found:
        return f"exit code {done.returncode}: {done.stdout}{done.stderr}"
    return found[1]


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--write"]):
        sys.exit(__doc__)
    weir = os.path.abspath(sys.argv[1])
    with open(FILE, encoding="utf-8") as file:
        wanted = dict(line.rstrip("\n").split(": ") for line in file if not line.startswith("#"))
    if not wanted:
        sys.exit(f"{FILE} lists no drill: this shows nothing")
    got = {arguments: fingerprint_of(weir, arguments) for arguments in wanted}
    if sys.argv[2:]:
        for arguments, print_ in got.items():
            if not re.fullmatch("[0-9a-f]{16}", print_):
                sys.exit(f"nothing was written: weir sim serve {arguments}: {print_}")
        with open(FILE, "w", encoding="utf-8") as file:
            file.write(HEAD + "".join(f"{arguments}: {print_}\n" for arguments, print_ in got.items()))
        return
    different = [arguments for arguments in wanted if got[arguments] != wanted[arguments]]
    for arguments in different:
        print(f"weir sim serve {arguments}: {wanted[arguments]} is listed, {weir} has {got[arguments]}")
    if different:
        print("Does the dev preset have these, too? Then the server does something else than before: if it should,")
        print("  tests/sim/fingerprints.py build/dev/weir --write")
        print("Otherwise builds differ: an address decides, or a size, or what is undefined.")
        sys.exit(1)
    print(f"{len(wanted)} drills are the same")


if __name__ == "__main__":
    main()
