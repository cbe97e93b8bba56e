#!/usr/bin/env python3
"""Runs the sessions that documents show, against a real server, and compares every line of output.

A session is a ```console block below `<!-- session -->`: lines that begin with `$ ` are commands, the others are what
they print. The sessions of one document share one new server. What differs from run to run (ids, receipts, moments,
durations in milliseconds) may differ, but a value that a session shows twice must be the same value both times, and a
command that uses one gets today's value. `--write` puts today's output into the documents.
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from server import APP, Server

ROOT = Path(__file__).resolve().parent.parent.parent
SESSION = re.compile(r"(<!-- session -->\n```console\n)(.*?)(```)", re.S)
# An id or a receipt, a moment, an HTTP date, and a measured duration.
CHANGING = re.compile(
    r"\b[a-z2-7]{32}\b|\b[a-z2-7]{26}\b|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT"
)
SECONDS_MAX = 60


class Session:
    """Compares what is shown with what comes, and remembers which shown value stands for which of today."""

    def __init__(self, port):
        self.port = port
        self.today = {}  # a shown id, receipt or moment -> today's

    def command(self, shown):
        for old, new in self.today.items():
            shown = shown.replace(old, new)
        return re.sub(r"\b(localhost|127\.0\.0\.1):8420\b", rf"\1:{self.port}", shown)

    def output(self, got):
        """Today's output with the port that documents show."""
        return re.sub(rf"\b(localhost|127\.0\.0\.1):{self.port}\b", r"\1:8420", got)

    def difference(self, shown, got):
        """None when `got` is what is shown; else the first line that differs."""
        shown_lines, got_lines = shown.splitlines(), self.output(got).splitlines()
        for index in range(max(len(shown_lines), len(got_lines))):
            old = shown_lines[index] if index < len(shown_lines) else None
            new = got_lines[index] if index < len(got_lines) else None
            if old is None or new is None or not self._same(old, new):
                return f"shown: {old!r}\ngot:   {new!r}"
        return None

    def _same(self, shown, got):
        if CHANGING.sub("?", shown) != CHANGING.sub("?", got):
            return False
        for old, new in zip(CHANGING.findall(shown), CHANGING.findall(got)):
            if self.today.setdefault(old, new) != new and not old.endswith(("Z", "GMT")):
                return False
        return True


def steps(block):
    """(command, output) of each `$ ` line; a command may go on in lines that end with a backslash."""
    found = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif found and found[-1][1] == "" and found[-1][0].endswith("\\\n"):
            found[-1][0] += line
        elif found:
            found[-1][1] += line
    return [(command.rstrip("\n"), output) for command, output in found]


def run(command, port, folder):
    environment = {
        **os.environ,
        "PATH": f"{Path(APP).resolve().parent}:{os.environ['PATH']}",
        "WEIR_URL": f"http://127.0.0.1:{port}",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", command], env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX, check=False,
    )
    text = done.stdout.replace("\r\n", "\n")
    return text if text.endswith("\n") or not text else text + "\n"


def documents():
    return [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if SESSION.search(path.read_text())]


def check(path, write):
    """The differences of one document; with `write` the document is changed instead."""
    text = path.read_text()
    problems, fresh = [], []
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        session = Session(server.port)
        for block in SESSION.finditer(text):
            lines = []
            for command, shown in steps(block.group(2)):
                got = run(session.command(command), server.port, folder)
                difference = session.difference(shown, got)
                if difference:
                    problems.append(f"{path.relative_to(ROOT)}: $ {command}\n{difference}")
                # A value that the next commands name must be today's in the rewritten text too.
                for old, new in session.today.items():
                    command = command.replace(old, new)
                lines.append(f"$ {command}\n{session.output(got)}")
            fresh.append("".join(lines))
    if write and problems:
        parts = iter(fresh)
        path.write_text(SESSION.sub(lambda block: block.group(1) + next(parts) + block.group(3), text))
        return []
    return problems


class Comparing(unittest.TestCase):
    """The comparison itself can fail, and fails where it should."""

    ID, OTHER = "a" * 26, "b" * 26

    def test_equal_output_passes_and_another_word_fails(self):
        self.assertIsNone(Session(1).difference("HTTP/1.1 202 Accepted\n", "HTTP/1.1 202 Accepted\n"))
        self.assertIn("got:   'HTTP/1.1 404", Session(1).difference("HTTP/1.1 202 Accepted\n", "HTTP/1.1 404 Not Found\n"))

    def test_a_missing_and_an_added_line_fail(self):
        self.assertIn("got:   None", Session(1).difference("a\nb\n", "a\n"))
        self.assertIn("shown: None", Session(1).difference("a\n", "a\nb\n"))

    def test_an_id_may_change_but_must_stay_the_same_one(self):
        session = Session(1)
        self.assertIsNone(session.difference(f'{{"id":"{self.ID}"}}\n', f'{{"id":"{self.OTHER}"}}\n'))
        self.assertIsNone(session.difference(f"{self.ID} done\n", f"{self.OTHER} done\n"))
        self.assertIsNotNone(session.difference(f"{self.ID} done\n", f"{'c' * 26} done\n"))

    def test_a_command_gets_the_id_and_the_port_of_today(self):
        session = Session(9999)
        session.difference(f"{self.ID}\n", f"{self.OTHER}\n")
        self.assertEqual(session.command(f"curl localhost:8420/v1/messages/{self.ID}"), f"curl localhost:9999/v1/messages/{self.OTHER}")

    def test_commands_may_have_several_lines(self):
        self.assertEqual(steps("$ a \\\n  b\nout\n$ c\n"), [("a \\\n  b", "out\n"), ("c", "")])


class Documents(unittest.TestCase):
    def test_every_session_prints_what_its_document_shows(self):
        for path in documents():
            with self.subTest(path.name):
                self.assertEqual(check(path, write=False), [])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    if sys.argv[1:] == ["--write"]:
        for document in documents():
            check(document, write=True)
    else:
        unittest.main()
