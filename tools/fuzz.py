#!/usr/bin/env python3
"""Runs the fuzzers one after the other, each from its corpus and from what earlier runs found.

A crash leaves its input in build/asan/fuzz/ and prints the command that replays it.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", nargs="?", help="one fuzzer, with or without _fuzz (default: all)")
    parser.add_argument("seconds", nargs="?", type=int, default=60, help="for each fuzzer (default 60)")
    parser.add_argument("--programs", type=Path, required=True)
    options = parser.parse_args()
    if options.name and options.name.isdigit():
        options.name, options.seconds = None, int(options.name)

    fuzzers = sorted(path for path in options.programs.glob("*_fuzz") if os.access(path, os.X_OK))
    if options.name:
        known = ", ".join(path.name for path in fuzzers) or "none"
        fuzzers = [path for path in fuzzers if path.name.removesuffix("_fuzz") == options.name.removesuffix("_fuzz")]
        if not fuzzers:
            print(f"fuzz: no fuzzer is called '{options.name}'; there are: {known}", file=sys.stderr)
            return 2
    failed = []
    for fuzzer in fuzzers:
        found = options.programs / "found" / fuzzer.name
        found.mkdir(parents=True, exist_ok=True)
        corpus = [str(path) for path in ROOT.glob(f"src/weir/*/{fuzzer.name.removesuffix('_fuzz')}_corpus")]
        command = [str(fuzzer), f"-max_total_time={options.seconds}", "-timeout=10", "-rss_limit_mb=2048",
                   "-print_final_stats=1", f"-artifact_prefix={options.programs}/{fuzzer.name}-", str(found), *corpus]
        print(f"fuzz: {fuzzer.name} for {options.seconds} s", flush=True)
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(fuzzer.name)
            print(f"fuzz: {fuzzer.name} FAILED; replay with: {fuzzer} THE-FILE-NAMED-ABOVE", flush=True)
    print(f"fuzz: {len(fuzzers) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
