#!/usr/bin/env python3
"""Runs weir's benchmarks and their peers side by side, and prints medians, ratios and spreads.

A benchmark is a program `X_bench`; its peers are `X_PEER` (sources in bench/peers/). Each run prints one line a row:
    name[/parameters] value unit checksum        e.g.  spawn_join/n=1000000 93.1 ns 499999500000
and a row of a peer that lives in the same program is called `name@peer/parameters`. `--small` asks for tiny parameters.

A server benchmark is `X_server`, its peers are `X_server_PEER`, and one `X_client` loads them all. The server takes
`--port 0`, prints `listening PORT` and ends on SIGTERM; what it starts counts as its own. `X_client --list` names its cases; `X_client --port P --case C`
prints `name count requests checksum` (the row becomes the server's CPU time per request) or
`name count connections checksum` (the row becomes the server's private memory per connection, which the client holds
open until its standard input ends). Before that it may print `# begin` and wait for a line on its standard input: the
server is charged from then on; and rows of its own, such as latencies.

The hard idea: absolute figures differ from machine to machine and from minute to minute. So the programs take turns in
every round, each round gives one ratio, and the median of these ratios is what counts.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROUNDS = 5
SECONDS_MAX = 300  # for one run of one program
INTERPRETERS = {".js": "node", ".py": "python3"}
PROGRAMS = {"nginx": "nginx"}  # what the script of a peer starts


class BenchError(Exception):
    """A benchmark that can't be trusted: it failed, spoke nonsense, or computed something else than before."""


@dataclass
class Row:
    """All measurements of one line, by who made them."""

    unit: str
    checksum: str
    values: dict = field(default_factory=dict)  # who -> one value a round


@dataclass
class Bench:
    name: str
    programs: dict  # who -> command; weir is "weir"
    client: list = None  # of a server benchmark
    absent: list = field(default_factory=list)


def discover(programs, sources):
    """All benchmarks that are built, each with the peers that are built too."""
    executables = {path.name: [str(path)] for path in sorted(programs.glob("*")) if os.access(path, os.X_OK) and path.is_file()}
    benches = {}
    for name, command in executables.items():
        if name.endswith("_bench"):
            benches[name.removesuffix("_bench")] = Bench(name.removesuffix("_bench"), {"weir": command})
        elif name.endswith("_server") and name.removesuffix("_server") + "_client" in executables:
            noun = name.removesuffix("_server")
            over_epoll = ["env", "WEIR_DRIVER=epoll", *command]  # beside the driver that weir chooses by itself
            benches[name] = Bench(noun, {"weir": command, "weir_epoll": over_epoll}, client=executables[noun + "_client"])
    for source in sorted(sources.glob("peers/*")) if sources.exists() else []:
        owners = [prefix for prefix in benches if source.stem.startswith(prefix + "_")]
        if not owners:
            continue
        owner = max(owners, key=len)
        peer = source.stem[len(owner) + 1 :]
        interpreter = INTERPRETERS.get(source.suffix)
        if interpreter and shutil.which(interpreter) and shutil.which(PROGRAMS.get(peer, interpreter)):
            benches[owner].programs[peer] = [interpreter, str(source)]
        elif source.stem in executables:
            benches[owner].programs[peer] = executables[source.stem]
        else:
            benches[owner].absent.append(peer)
    return list(benches.values())


def pinned(command, core):
    """The command on one core; several cores are left to benchmarks that are named ..._mt."""
    return ["taskset", "-c", str(core), *command] if shutil.which("taskset") and core < (os.cpu_count() or 1) else command


LINE = re.compile(r"(?P<name>[\w.+-]+)(?:@(?P<peer>[\w.+-]+))?(?:/(?P<parameters>\S+))? (?P<value>\S+) (?P<unit>\S+) (?P<checksum>\S+)")


def parse(output, who):
    """(name, parameters, who, value, unit, checksum) of each line; lines that begin with # are remarks."""
    for line in output.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        try:
            value = float(match["value"]) if match else None
        except ValueError:
            value = None
        if value is None or not value >= 0:
            raise BenchError(f"{who} printed a line that is no row: {line!r}")
        yield match["name"], match["parameters"] or "", match["peer"] or who, value, match["unit"], match["checksum"]


def run_program(command, who, small, core):
    done = subprocess.run(
        pinned([*command, *(["--small"] if small else [])], core) if core is not None else [*command, *(["--small"] if small else [])],
        capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"{who} failed with {done.returncode}: {done.stderr.strip()[-500:]}")
    return list(parse(done.stdout, who))


def family(pid):
    """A process and those that it has started, such as the workers of a server."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return [pid, *(member for child in children for member in family(child))]


def cpu_seconds(pid):
    """What all threads of a family have used, in nanoseconds' resolution where the kernel offers it."""
    try:
        tasks = [task for member in family(pid) for task in Path(f"/proc/{member}/task").glob("*/schedstat")]
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def private_bytes(pid):
    maps = "".join(Path(f"/proc/{member}/smaps_rollup").read_text() for member in family(pid))
    kilobytes = re.findall(r"^Anonymous: +(\d+) kB$", maps, re.MULTILINE)
    if not kilobytes:
        raise BenchError("the kernel does not say how much memory the server has")
    return sum(map(int, kilobytes)) * 1024


def run_server(command, client, who, small):
    """Starts a server, runs each of the client's cases against it, and charges the server for them."""
    more = ["--small"] if small else []
    listed = subprocess.run([*client, "--list", *more], capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
    rows = []
    for case in listed.stdout.split():
        server = subprocess.Popen(pinned([*command, "--port", "0"], 0), stdout=subprocess.PIPE, text=True)
        try:
            match = re.search(r"(\d+)\s*$", server.stdout.readline())
            if not match:
                raise BenchError(f"{who} did not print `listening PORT`")
            rows += run_case(server.pid, [*client, "--port", match[1], "--case", case, *more], who)
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            server.stdout.close()
    return rows


def run_case(pid, command, who):
    """The rows of one case: the client's own, and what the server has used for it."""
    cpu, memory = cpu_seconds(pid), private_bytes(pid)
    rows = []
    with subprocess.Popen(pinned(command, 1), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        for line in client.stdout:
            if line.strip() == "# begin":
                cpu = cpu_seconds(pid)
                client.stdin.write("\n")
                client.stdin.flush()
            rows += parse(line, who)
            if rows and rows[-1][4] in ("requests", "connections"):
                break
        cpu, memory = cpu_seconds(pid) - cpu, private_bytes(pid) - memory
        client.stdin.close()
        if client.wait(SECONDS_MAX) != 0:
            raise BenchError(f"the client of {who} failed with {client.returncode}")
    if not rows or rows[-1][3] <= 0 or rows[-1][4] not in ("requests", "connections"):
        raise BenchError(f"the client of {who} did nothing")
    name, parameters, who, count, unit, checksum = rows.pop()
    if unit == "connections":
        return [*rows, (name, parameters, who, memory / count, "bytes", checksum)]
    return [*rows, (name, parameters, who, cpu * 1e6 / count, "us", checksum)]


def allow_descriptors():
    """As many as the system lets us have, for servers and clients alike: ten thousand connections need as many each."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(bench, rounds, small):
    """name, parameters -> Row, from interleaved rounds in which another program begins each time."""
    table = {}
    order = list(bench.programs)
    for turn in range(rounds):
        for who in order[turn % len(order) :] + order[: turn % len(order)]:
            command = bench.programs[who]
            if bench.client:
                rows = run_server(command, bench.client, who, small)
            else:
                rows = run_program(command, who, small, None if bench.name.endswith("_mt") else 0)
            for name, parameters, maker, value, unit, checksum in rows:
                row = table.setdefault((name, parameters), Row(unit, checksum))
                if (row.unit, row.checksum) != (unit, checksum):
                    raise BenchError(
                        f"{name} {parameters}: {maker} gives {unit} with checksum {checksum}, "
                        f"before it was {row.unit} with {row.checksum}: not the same work"
                    )
                row.values.setdefault(maker, []).append(value)
    return table


def spread(values):
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def report(bench, table):
    """One object a row and peer, as `--json` prints them."""
    for (name, parameters), row in table.items():
        ours = row.values.get("weir")
        if not ours:
            continue  # peers alone say nothing of weir
        base = {"bench": f"{bench.name}.{name}", "parameters": parameters, "weir": statistics.median(ours)}
        peers = {who: values for who, values in row.values.items() if who != "weir"}
        for who, theirs in peers.items():
            ratios = [mine / other for mine, other in zip(ours, theirs) if other]
            yield {
                **base, "peer": statistics.median(theirs), "peer_name": who,
                "ratio": statistics.median(ratios) if ratios else None,
                "unit": row.unit, "spread": spread(ratios) if ratios else None,
            }
        if not peers:
            yield {**base, "peer": None, "peer_name": None, "ratio": None, "unit": row.unit, "spread": spread(ours)}


def text(row):
    def number(value):
        return "-" if value is None else f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"

    return (
        f"{row['bench']:<32} {row['parameters']:<24} {number(row['weir']):>12} {row['unit']:<8}"
        f"{number(row['peer']):>12} {row['peer_name'] or '':<12} {number(row['ratio']):>7} {number(row['spread']):>7}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", nargs="?", default="", help="only benchmarks whose name contains this")
    parser.add_argument("--programs", type=Path, required=True, help="the folder of the built programs")
    parser.add_argument("--sources", type=Path, default=Path(__file__).resolve().parent.parent / "bench")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each program runs (default {ROUNDS})")
    parser.add_argument("--small", action="store_true", help="tiny parameters: shows that it works, not how fast")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    allow_descriptors()

    benches = [bench for bench in discover(options.programs, options.sources) if options.name in bench.name]
    if not benches:
        print(f"bench: no benchmark is called '{options.name}' in {options.programs}", file=sys.stderr)
        return 1
    if not options.json:
        print(f"{'benchmark':<32} {'parameters':<24} {'weir':>12} {'unit':<8}{'peer':>12} {'':<12} {'ratio':>7} {'spread':>7}")
    failed = 0
    for bench in benches:
        for peer in bench.absent:
            print(f"bench: {bench.name}: {peer} is skipped: not built here (its library or program is missing)", file=sys.stderr)
        try:
            for row in report(bench, measure(bench, options.rounds, options.small)):
                print(json.dumps(row) if options.json else text(row), flush=True)
        except (BenchError, subprocess.SubprocessError, OSError) as error:
            failed += 1
            print(f"bench: {bench.name}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
