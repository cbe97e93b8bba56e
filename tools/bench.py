#!/usr/bin/env python3
"""Runs weir's benchmarks and their peers side by side, and prints medians, ratios and spreads.

A benchmark is a program `X_bench`; its peers are `X_PEER` (sources in bench/peers/). Each run prints one line a row:
    name[/parameters] value unit checksum        e.g.  spawn_join/n=1000000 93.1 ns 499999500000
and a row of a peer that lives in the same program is called `name@peer/parameters`. `--small` asks for tiny parameters.

A server benchmark is `X_server`, its peers are `X_server_PEER`, and one `X_client` loads them all. The server takes
`--port 0 --case C`, prints `listening PORT` and ends on SIGTERM; what it starts counts as its own. Where it can't do a case it prints
`not offered` and ends: then it has no row there. `X_client --list` names the cases; `X_client --port P --case C`
prints `name count requests checksum` (the row becomes the server's CPU time per request) or
`name count connections checksum` (the row becomes the server's private memory per connection, which the client holds
open until its standard input ends). Before that it may print `# begin` and wait for a line on its standard input: the
server is charged from then on; and rows of its own, such as latencies.

`--page` puts the tables into docs/design/performance.md, each between `<!-- figures NAME -->` and `<!-- /figures -->`.
`compile` is not a program but tools/compile_figures.py, which builds from scratch: it runs once, and only when named.

The hard idea: absolute figures differ from machine to machine and from minute to minute. So the programs take turns in
every round, each round gives one ratio, and the median of these ratios is what counts.
"""

import argparse
import datetime
import json
import os
import platform
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROUNDS = 5
SECONDS_MAX = 300  # for one run of one program
INTERPRETERS = {".js": "node", ".py": "python3", ".escript": "escript"}
PROGRAMS = {"nginx": "nginx", "s_server": "openssl"}  # what the script of a peer starts
ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "design" / "performance.md"


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
    rounds_max: int = None  # of a benchmark that takes minutes


@dataclass
class Origin:
    """Where figures come from: without it they say nothing."""

    machine: str
    commit: str
    date: str

    @classmethod
    def here(cls):
        commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
        model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE) if Path("/proc/cpuinfo").exists() else None
        cores = len(os.sched_getaffinity(0))
        return cls(
            machine=f"{model[1] if model else platform.machine()}, {cores} cores, {platform.system()} {platform.release()}",
            commit=commit.stdout.strip() or "unknown",
            date=datetime.date.today().isoformat(),
        )


class Progress:
    """What runs at the moment, on the standard error: one line that is written over on a terminal, else a line each."""

    def __init__(self):
        self.began = time.monotonic()
        self.is_terminal = sys.stderr.isatty()

    def say(self, text):
        passed = int(time.monotonic() - self.began)
        line = f"bench: [{passed // 60}:{passed % 60:02}] {text}"
        print(f"\r\033[K{line[:100]}" if self.is_terminal else line, end="" if self.is_terminal else "\n", file=sys.stderr, flush=True)

    def clear(self):
        if self.is_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def note(self, text):
        """Stays to be read."""
        self.clear()
        print(f"bench: {text}", file=sys.stderr, flush=True)


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
    figures = Path(__file__).resolve().parent / "compile_figures.py"
    benches["compile"] = Bench("compile", {"weir": [sys.executable, "-B", str(figures)]}, rounds_max=1)
    return list(benches.values())


def chosen(benches, name):
    """Those whose name contains `name`; what builds from scratch only when it is named itself."""
    return [bench for bench in benches if (bench.name == name if bench.rounds_max else name in bench.name)]


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


def run_program(command, who, small, core, seconds_max=SECONDS_MAX):
    whole = [*command, *(["--small"] if small else [])]
    done = subprocess.run(
        pinned(whole, core) if core is not None else whole, capture_output=True, text=True, timeout=seconds_max, check=False
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
        server = subprocess.Popen(pinned([*command, "--port", "0", "--case", case], 0), stdout=subprocess.PIPE, text=True)
        try:
            said = server.stdout.readline()
            if said.strip() == "not offered":
                continue
            match = re.search(r"(\d+)\s*$", said)
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


def run_once(bench, who, small):
    command = bench.programs[who]
    if bench.client:
        return run_server(command, bench.client, who, small)
    if bench.rounds_max:  # builds, which take all cores and as long as they take
        return run_program(command, who, small, None, seconds_max=3600)
    return run_program(command, who, small, None if bench.name.endswith("_mt") else 0)


def measure(bench, rounds, small, progress=None):
    """name, parameters -> Row, from interleaved rounds in which another program begins each time."""
    table = {}
    order = list(bench.programs)
    rounds = min(rounds, bench.rounds_max or rounds)
    for turn in range(rounds):
        for who in order[turn % len(order) :] + order[: turn % len(order)]:
            if progress:
                progress.say(f"{bench.name}: round {turn + 1} of {rounds}: {who}")
            rows = run_once(bench, who, small)
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


def report(bench, table, origin):
    """One object a row and peer, as `--json` prints them."""
    for (name, parameters), row in table.items():
        ours = row.values.get("weir")
        if not ours:
            continue  # peers alone say nothing of weir
        base = {"bench": f"{bench.name}.{name}", "parameters": parameters, "weir": statistics.median(ours)}
        context = {"rounds": len(ours), "machine": origin.machine, "commit": origin.commit}
        peers = {who: values for who, values in row.values.items() if who != "weir"}
        for who, theirs in peers.items():
            ratios = [mine / other for mine, other in zip(ours, theirs) if other]
            yield {
                **base, "peer": statistics.median(theirs), "peer_name": who,
                "ratio": statistics.median(ratios) if ratios else None,
                "unit": row.unit, "spread": spread(ratios) if ratios else None, **context,
            }
        if not peers:
            yield {**base, "peer": None, "peer_name": None, "ratio": None, "unit": row.unit, "spread": spread(ours), **context}


def short(value):
    """Three digits, as many as a figure of a shared machine deserves."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(name, rows, origin, command):
    """A table with a line for each row and a column for each peer: its figure and, behind it, weir's as a share of it."""
    peers = list(dict.fromkeys(row["peer_name"] for row in rows if row["peer_name"]))
    peers.sort(key=lambda peer: (peer != "limit", peer))
    lines = {}
    for row in rows:
        key = (row["bench"].split(".", 1)[1] + (f" ({row['parameters']})" if row["parameters"] else ""), row["unit"])
        line = lines.setdefault(key, {"weir": short(row["weir"]), "spread": 0.0})
        line["spread"] = max(line["spread"], row["spread"] or 0.0)
        if row["peer_name"]:
            line[row["peer_name"]] = f"{short(row['peer'])} ({short(row['ratio'])})"
    out = [
        f"`{command}`, {rows[0]['rounds']} rounds; {origin.machine}; commit {origin.commit}; {origin.date}",
        "",
        "| " + " | ".join([name, "unit", "weir", *peers, "spread"]) + " |",
        "|---" * (len(peers) + 4) + "|",
    ]
    for (what, unit), line in lines.items():
        cells = [what, unit, line["weir"], *(line.get(peer, "-") for peer in peers), f"{line['spread']:.2f}"]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out)


def update_page(page, name, table):
    """Puts a table into its place in the page, or behind its end when there is none."""
    whole = page.read_text()
    place = re.compile(rf"(<!-- figures {re.escape(name)} -->\n).*?(<!-- /figures -->)", re.DOTALL)
    if not place.search(whole):
        whole = f"{whole.rstrip()}\n\n## {name}\n<!-- figures {name} -->\n<!-- /figures -->\n"
    page.write_text(place.sub(lambda match: f"{match[1]}{table}\n{match[2]}", whole, count=1))


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
    parser.add_argument("--markdown", action="store_true", help="a table for each benchmark")
    parser.add_argument("--page", type=Path, nargs="?", const=PAGE, help=f"puts the tables into a page (default {PAGE.name})")
    options = parser.parse_args()
    allow_descriptors()

    benches = chosen(discover(options.programs, options.sources), options.name)
    if not benches:
        print(f"bench: no benchmark is called '{options.name}' in {options.programs}", file=sys.stderr)
        return 1
    if not (options.json or options.markdown):
        print(f"{'benchmark':<32} {'parameters':<24} {'weir':>12} {'unit':<8}{'peer':>12} {'':<12} {'ratio':>7} {'spread':>7}")
    origin, progress, failed = Origin.here(), Progress(), 0
    for bench in benches:
        for peer in bench.absent:
            progress.note(f"{bench.name}: {peer} is skipped: not built here (its library or program is missing)")
        try:
            rows = list(report(bench, measure(bench, options.rounds, options.small, progress), origin))
            progress.clear()
            show(bench, rows, origin, options)
        except (BenchError, subprocess.SubprocessError, OSError) as error:
            failed += 1
            progress.note(f"{bench.name}: {error}")
    return 1 if failed else 0


def show(bench, rows, origin, options):
    table = markdown(bench.name, rows, origin, f"./dev bench {bench.name}") if rows else None
    if options.markdown and table:
        print(table, flush=True)
    else:
        for row in rows:
            print(json.dumps(row) if options.json else text(row), flush=True)
    if options.page and table:
        update_page(options.page, bench.name, table)


if __name__ == "__main__":
    sys.exit(main())
