#!/usr/bin/env python3
"""The runner of the fuzzers, on programs of a line."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

RUNNER = Path(__file__).resolve().parent / "fuzz.py"


class FuzzTest(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="fuzz"))
        self.addCleanup(shutil.rmtree, self.root)

    def fuzzer(self, name, code=0):
        path = self.root / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.root}/calls\nexit {code}\n')
        path.chmod(0o755)

    def run_fuzz(self, *arguments):
        command = [sys.executable, "-B", str(RUNNER), "--programs", str(self.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def calls(self):
        return (self.root / "calls").read_text().splitlines()

    def test_all_fuzzers_run_for_the_seconds_that_were_asked(self):
        self.fuzzer("a_fuzz"), self.fuzzer("b_fuzz")
        self.assertEqual(self.run_fuzz("7").returncode, 0)
        self.assertEqual([call.split()[0] for call in self.calls()], ["a_fuzz", "b_fuzz"])
        self.assertIn("-max_total_time=7", self.calls()[0])

    def test_a_name_selects_one_and_what_it_finds_is_kept(self):
        self.fuzzer("a_fuzz"), self.fuzzer("b_fuzz")
        self.assertEqual(self.run_fuzz("b", "3").returncode, 0)
        self.assertEqual(len(self.calls()), 1)
        self.assertIn(str(self.root / "found" / "b_fuzz"), self.calls()[0])

    def test_a_crash_fails_the_run_and_the_others_still_run(self):
        self.fuzzer("a_fuzz", 77), self.fuzzer("b_fuzz")
        done = self.run_fuzz("1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("a_fuzz FAILED", done.stdout)
        self.assertIn("1 passed, 1 failed", done.stdout)

    def test_an_unknown_name_lists_what_there_is(self):
        self.fuzzer("a_fuzz")
        done = self.run_fuzz("gone")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there are: a_fuzz", done.stderr)

    def test_corpora_of_the_tree_are_read(self):
        self.fuzzer("http1_fuzz")
        self.run_fuzz("http1", "1")
        self.assertIn("src/weir/wire/http1_corpus", self.calls()[0])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
