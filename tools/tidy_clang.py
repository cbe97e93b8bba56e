"""The rules that need clang 19: headers compile alone and together, header weight, layout, clang-tidy.

All are slow, so each answer is kept by the hash of everything that it depends on: the file, all project headers it
includes (found by text, transitively), the options and the compiler's version. Only clean answers are kept.
"""

import hashlib
import re
import resource
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tidy_rules import Finding, includes

CXX = "clang++-19"
FORMATTED_AT_ONCE = 40  # files: starting the program takes longer than one of them
FORMAT = "clang-format-19"
CLANG_TIDY = "clang-tidy-19"
FLAGS = ("-std=c++23", "-Isrc", "-Wall", "-Wextra", "-Wno-pragma-once-outside-header", "-Wno-unused-const-variable")
BUDGETS = "tools/budgets.txt"


class Cache:
    """Hashes that were found clean: one empty file each, so that parallel runs never spoil each other."""

    def __init__(self, folder):
        self.folder = folder
        self.used = set()

    def has(self, key):
        self.used.add(key)
        return (self.folder / key).exists()

    def add(self, key):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / key).touch()

    def save(self):
        """Forgets the oldest answers when there are too many."""
        entries = sorted(self.folder.glob("*"), key=lambda path: path.stat().st_mtime) if self.folder.exists() else []
        for path in entries[:-20_000]:
            path.unlink(missing_ok=True)


@lru_cache
def version(tool):
    return subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout


def closure(tree, file):
    """The file and all project headers below it."""
    seen, waiting = {file.path}, [file]
    while waiting:
        for _, _, target in includes(waiting.pop()):
            path = f"src/{target}"
            if path in tree.by_path and path not in seen:
                seen.add(path)
                waiting.append(tree.by_path[path])
    return sorted(seen)


def all_included(tree, file):
    """What the file and all project headers below it include, by the names there."""
    return {target for path in closure(tree, file) for _, _, target in includes(tree.by_path[path])}


def key_of(tree, file, *more):
    digest = hashlib.sha256("\0".join(str(item) for item in more).encode())
    for path in closure(tree, file):
        digest.update(path.encode() + b"\0" + tree.by_path[path].text.encode() + b"\0")
    return digest.hexdigest()


class Progress:
    """Says on standard error how far a slow rule is: on a terminal in one line that is rewritten, else twice a minute."""

    def __init__(self, kind, count):
        self.kind, self.count, self.at, self.lock = kind, count, 0, threading.Lock()
        self.rewrites = sys.stderr.isatty()
        self.next_line = time.monotonic() + 30

    def step(self, path):
        with self.lock:
            self.at += 1
            if self.rewrites:
                sys.stderr.write(f"\r\033[Ktidy: {self.kind}: {self.at} of {self.count}: {path}")
                if self.at == self.count:
                    sys.stderr.write("\r\033[K")
                sys.stderr.flush()
            elif time.monotonic() > self.next_line:
                self.next_line = time.monotonic() + 30
                print(f"tidy: {self.kind}: {self.at} of {self.count}: {path}", file=sys.stderr, flush=True)


def each(tree, cache, jobs, kind, files, extra, command):
    """Runs command(file) for each file without a clean answer; yields (file, output) of those that fail."""

    progress = Progress(kind, len(files))

    def one(file):
        progress.step(file.path)
        key = kind + "-" + key_of(tree, file, *extra)
        if cache.has(key):
            return None
        done = subprocess.run(command(file), cwd=tree.root, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            cache.add(key)
            return None
        return file, done.stdout + done.stderr

    with ThreadPoolExecutor(jobs) as pool:
        yield from (found for found in pool.map(one, files) if found)


def is_alone_in_its_source(tree, file):
    """Whether the dev build compiles it alone already: the library's sources include their own header first (rule
    include-order), and dev parses none but the standard library's before, which rule std-includes asks for. It does for the commands and the
    drill: cmake/weir.cmake."""
    source = tree.root / file.path.replace(".hpp", ".cpp")
    return not file.path.startswith(("src/weir/apps/", "src/weir/drill/")) and source.exists()


def first_texts(files):
    """What some header begins with: alone there, wherever that one is alone. Nobody includes himself, so one of each row is
    compiled."""
    first = (next(includes(file), None) for file in files)
    return {f"src/{include[2]}" for include in first if include}


class ParsedHeaders:
    """Groups of headers that many others include, each parsed once for all of them.

    A header that includes a whole group sees no more when that is there before: its own text comes after its includes, and each
    header below it is compiled alone by itself. One with an include behind its text gets none.
    """

    GROUPS = (
        ("gtest/gtest.h", "weir/core/scope.hpp", "string"),
        ("weir/sim/virtual_nodes.hpp", "string"),
        ("weir/core/scope.hpp", "string"),
        ("weir/core/scope.hpp",),
        ("string",),
    )

    def __init__(self, tree, folder):
        self.tree, self.folder, self.lock = tree, Path(folder), threading.Lock()
        self.made = {}  # the file of each group that was asked for; None: it does not compile

    def _make(self, number, group):
        text = "".join(f"#include <{name}>\n" for name in group)
        made = self.folder / f"{number}.pch"
        command = (CXX, *FLAGS, "-x", "c++-header", "-", "-o", made)
        done = subprocess.run(command, cwd=self.tree.root, input=text, capture_output=True, text=True, check=False)
        return made if done.returncode == 0 else None

    def options_for(self, file):
        if not has_includes_first(file):
            return ()
        included = all_included(self.tree, file)
        for number, group in enumerate(self.GROUPS):
            if not included.issuperset(group):
                continue
            with self.lock:
                if number not in self.made:
                    self.made[number] = self._make(number, group)
            if self.made[number]:
                return ("-include-pch", self.made[number])
        return ()


def has_includes_first(file):
    """Whether no text of a header stands before one of its includes."""
    code = [line for line in file.code.split("\n") if line.strip() and not re.match(r"\s*#\s*pragma once", line)]
    count = next((at for at, line in enumerate(code) if not re.match(r"\s*#\s*include\b", line)), len(code))
    return count == sum(1 for _ in includes(file))


def rule_headers_alone(tree, cache, jobs):
    files = [file for file in tree.cpp() if file.is_header and file.path.startswith("src/")]
    begun = first_texts(files)
    files = [file for file in files if file.path not in begun and not is_alone_in_its_source(tree, file)]
    with TemporaryDirectory() as folder:
        parsed = ParsedHeaders(tree, folder)
        # Included rather than compiled as the main file, where #pragma once does not count.
        command = lambda file: (
            (CXX, *FLAGS, *parsed.options_for(file), "-fsyntax-only", "-include", file.path, "-x", "c++", "/dev/null")
        )
        for file, output in each(tree, cache, jobs, "alone", files, (FLAGS, version(CXX)), command):
            first = next((line for line in output.split("\n") if "error" in line), output[:200])
            yield Finding(file.path, 1, "headers-alone", f"the header does not compile alone: {first}")


def rule_headers_together(tree, cache, jobs):
    """Two headers with one name for two things: each compiles alone, and a program of both breaks, or links and goes wrong."""
    del jobs
    files = sorted((file for file in tree.cpp() if file.is_header and file.path.startswith("src/")), key=lambda file: file.path)
    digest = hashlib.sha256("\0".join((*FLAGS, version(CXX), *(f"{file.path}\0{file.text}" for file in files))).encode())
    key = "together-" + digest.hexdigest()
    if cache.has(key):
        return
    text = "".join(f"#include <{file.path.removeprefix('src/')}>\n" for file in files)
    command = (CXX, *FLAGS, "-ferror-limit=1", "-fsyntax-only", "-x", "c++", "-")
    done = subprocess.run(command, cwd=tree.root, input=text, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        cache.add(key)
        return
    found = re.search(r"^(?:\./)?(src/[^:\n]+):(\d+):\d+: (?:fatal )?error: (.*)$", done.stderr, re.M)
    path, line, why = (found.group(1), int(found.group(2)), found.group(3)) if found else ("src", 1, done.stderr.strip()[-300:])
    yield Finding(path, line, "headers-together", f"the headers do not compile together: {why}")


def weigh(root, path):
    """Preprocessed lines of a unit that includes the header (or of a source), and user seconds of compiling it."""
    text = (root / path).read_text(encoding="utf-8") if path.endswith(".cpp") else f"#include <{path.removeprefix('src/')}>\n"
    flags = (CXX, *FLAGS, "-x", "c++")
    done = subprocess.run((*flags, "-E", "-P", "-"), cwd=root, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None, done.stderr[:300]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = (*flags, "-O1", "-c", "-o", "/dev/null", "-")
    subprocess.run(command, cwd=root, input=text, capture_output=True, text=True, check=False)
    return sum(1 for line in done.stdout.split("\n") if line.strip()), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def rule_weight(tree, cache, jobs):
    """Line budgets fail; the compile time is only printed, since a timed assertion would fail on a busy machine."""
    del jobs
    for number, line in enumerate(tree.read(BUDGETS).split("\n"), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        path, budget = words[0], int(words[1])
        if path not in tree.by_path:
            yield Finding(BUDGETS, number, "weight", f"{path} does not exist")
            continue
        key = "weight-" + key_of(tree, tree.by_path[path], budget, FLAGS, version(CXX))
        if cache.has(key):
            continue
        lines, seconds = weigh(tree.root, path)
        if lines is None:
            yield Finding(path, 1, "weight", f"does not compile: {seconds}")
        elif lines > budget:
            yield Finding(path, 1, "weight", f"{lines} preprocessed lines, {budget} are allowed")
        else:
            print(f"tidy: {path}: {lines} preprocessed lines of {budget}, {seconds:.2f} s of user time to compile")
            cache.add(key)


def formatted(tree):
    return [file for file in tree.cpp()]


def rule_format(tree, cache, jobs):
    style = tree.read(".clang-format")

    def key(file):
        return "format-" + hashlib.sha256("\0".join((style, version(FORMAT), file.path, file.text)).encode()).hexdigest()

    def several(files):
        command = (FORMAT, "--dry-run", "-Werror", *(file.path for file in files))
        done = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
        places = re.findall(r"^(?:\./)?(\S+):(\d+):\d+: (?:error|warning)", done.stderr, re.M)
        lines = {path: int(line) for path, line in reversed(places)}
        if done.returncode != 0 and not lines:
            return [Finding(files[0].path, 1, "format", f"clang-format failed: {done.stderr.strip()[-300:]}")]
        if done.returncode == 0:  # else it may have ended before it came to all of them
            for file in files:
                cache.add(key(file))
        return [Finding(path, line, "format", "run ./dev tidy --fix") for path, line in lines.items()]

    files = [file for file in formatted(tree) if not cache.has(key(file))]
    heaps = [files[first : first + FORMATTED_AT_ONCE] for first in range(0, len(files), FORMATTED_AT_ONCE)]
    with ThreadPoolExecutor(jobs) as pool:
        for found in pool.map(several, heaps):
            yield from found


def format_all(tree):
    paths = [file.path for file in formatted(tree)]
    if paths:
        subprocess.run((FORMAT, "-i", *paths), cwd=tree.root, check=True)


def rule_clang_tidy(tree, cache, jobs):
    """Needs build/tidy/compile_commands.json, which configuring the dev preset without units writes: `./dev tidy` does."""
    commands = tree.root / "build" / "tidy" / "compile_commands.json"
    if not commands.exists():
        yield Finding("CMakePresets.json", 1, "clang-tidy", "configure first: cmake --preset dev -B build/tidy -DWEIR_UNIT_SOURCES=1")
        return
    known = commands.read_text(encoding="utf-8")
    # Fuzzers and the consumer project are not part of the preset; peers are, when their libraries are installed.
    files = [file for file in tree.cpp() if file.name.endswith(".cpp")]
    files = [file for file in files if f"/{file.path}\"" in known or not file.path.startswith("bench/")]
    # These must not compile, and tests ask clang itself for each of their errors (cmake/checks.cmake).
    files = [file for file in files if not file.path.startswith("tests/refused/")]

    def command(file):
        own = () if f"/{file.path}\"" in known else ("--", *FLAGS)
        return (CLANG_TIDY, "-p", "build/tidy", "--quiet", "--warnings-as-errors=*", file.path, *own)

    for file, output in each(
        tree, cache, jobs, "clang-tidy", files, (tree.read(".clang-tidy"), version(CLANG_TIDY)), command
    ):
        seen = set()
        for match in re.finditer(r"^(\S+?):(\d+):\d+: (?:error|warning): (.*?) \[([^\]]+)\]$", output, re.M):
            path = match.group(1).removeprefix(f"{tree.root}/")
            rule = match.group(4).split(",")[0]
            if (path, match.group(2), rule) not in seen:
                seen.add((path, match.group(2), rule))
                yield Finding(path, int(match.group(2)), rule, match.group(3))
        if not seen:
            yield Finding(file.path, 1, "clang-tidy", output.strip()[-300:])


RULES = (rule_format, rule_headers_alone, rule_headers_together, rule_weight)
