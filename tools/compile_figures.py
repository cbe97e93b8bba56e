#!/usr/bin/env python3
"""What a user waits for: the time to compile one program, the weight of a header, a whole build and a changed line.

Prints the rows that tools/bench.py reads (`./dev bench compile`). Times are processor time of the compiler and all that
it starts, without ccache; where a row says `per_core=2` it is divided by two, which is what an idle machine with two
cores takes. The hard idea: the tree is copied, so that nothing here touches the build that a developer works with.
"""

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILER = shutil.which("clang++-19") or "c++"
FLAGS = ["-std=c++23", "-O2", "-Isrc", "-c", "-o", os.devnull]
CORES = 2
CHANGED = "src/weir/serve/service.cpp"  # a source in the middle of the server
REPEATS = 3


def run(command, folder, **more):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed with {done.returncode}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def cpu_of(work):
    """(user seconds, user and system seconds) of all that `work` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user = after.ru_utime - before.ru_utime
    return user, user + after.ru_stime - before.ru_stime


def row(name, value, unit):
    print(f"{name} {value:.3f} {unit} -", flush=True)


def compile_unit(name, source, repeats):
    row(name, statistics.median(cpu_of(lambda: run([COMPILER, *FLAGS, source], ROOT))[0] for _ in range(repeats)), "s")


def count_lines(name, source):
    lines = run([COMPILER, "-std=c++23", "-E", "-P", "-x", "c++", "-Isrc", source], ROOT)
    row(name, lines.count("\n"), "lines")


def copy_tree(to):
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def start_server(program, folder):
    """Starts `weir serve` and returns when it answers; the processor time of that is the server's own."""
    with subprocess.Popen(
        [program, "serve", "--listen", "127.0.0.1:0", "--data", folder / "data"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        for line in server.stdout:
            if re.search(r"listening|ready|serving", line):
                break
        server.terminate()


def build(tree):
    options = ["-DWEIR_BENCHES=OFF", "-DWEIR_EXAMPLES=OFF", "-DWEIR_TESTS=OFF", "-DCMAKE_CXX_COMPILER_LAUNCHER="]
    everything = ["cmake", "--build", "build/release", "-j", str(os.cpu_count() or CORES), "--target", "weir", "weir_app"]

    def from_scratch():
        run(["cmake", "--preset", "release", *options], tree)
        run(everything, tree)

    def one_change():
        with (tree / CHANGED).open("a") as source:
            source.write(f"// {time.time()}\n")
        run(everything, tree)
        start_server(tree / "build/release/weir", tree)

    row(f"full_build/per_core={CORES}", cpu_of(from_scratch)[1] / CORES, "s")
    row(f"one_change/file={Path(CHANGED).name}", cpu_of(one_change)[1], "s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true", help="without the build from scratch")
    options = parser.parse_args()
    repeats = 1 if options.small else REPEATS
    compile_unit("echo_unit", "examples/echo.cpp", repeats)
    for peer, header in (("asio", "boost/asio.hpp"), ("libuv", "uv.h")):
        if (Path("/usr/include") / header).exists():
            compile_unit(f"echo_unit@{peer}", f"bench/peers/echo_server_{peer}.cpp", repeats)
        else:
            print(f"# {peer} is skipped: {header} is not installed", flush=True)
    count_lines("core_lines", "src/weir/core.hpp")
    count_lines("io_lines", "src/weir/io.hpp")
    if options.small:
        return
    with tempfile.TemporaryDirectory(prefix="weir-build") as folder:
        copy_tree(Path(folder))
        build(Path(folder))


if __name__ == "__main__":
    main()
