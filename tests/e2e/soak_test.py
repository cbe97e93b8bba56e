"""A short run of `./dev soak`, and that it can fail."""

import os
import subprocess
import sys
import unittest

TOOL = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "soak.py")
sys.path.insert(0, os.path.dirname(TOOL))
import soak  # noqa: E402


class SoakRun(unittest.TestCase):
    def test_a_short_run_passes_and_says_so(self):
        # AddressSanitizer keeps what was freed, 256 MiB of it: that would look like a leak.
        small = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
        done = subprocess.run([sys.executable, "-B", TOOL, "20s"], capture_output=True, text=True, env={**os.environ, **small})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout.splitlines()[-1], r"^soak: passed: \d+ confirmed, \d+ done, \d+ faults, \d+ restarts")
        self.assertIn(" MiB, ", done.stdout)

    def test_a_wrong_duration_is_refused(self):
        for text in ("", "0s", "10 m", "1d", "-1s"):
            done = subprocess.run([sys.executable, "-B", TOOL, "--", text], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, text)
            self.assertIn("is no duration", done.stderr)


def lease(id, body, attempt=1):
    return {"id": id, "body": body, "attempt": attempt}


class TheBooks(unittest.TestCase):
    def books(self):
        books = soak.Books()
        books.ask("a", "b")
        books.confirm("a", "1")
        return books

    def test_a_message_that_was_confirmed_and_not_done_is_lost(self):
        books = self.books()
        books.confirm("b", "2")
        books.take(lease("1", "a"))
        books.complete(lease("1", "a"), True)
        self.assertEqual((books.lost(), books.errors), (["2"], []))

    def test_what_comes_back_or_was_never_sent_is_an_error(self):
        books = self.books()
        books.complete(lease("1", "a"), True)
        books.take(lease("1", "a", attempt=2))
        books.take(lease("2", "c"))
        self.assertEqual(len(books.errors), 2)

    def test_an_older_lease_that_is_heard_of_late_is_none(self):
        books = self.books()
        books.complete(lease("1", "a", attempt=2), True)
        books.take(lease("1", "a", attempt=1))
        self.assertEqual(books.errors, [])

    def test_a_completion_without_an_answer_leaves_both_possible(self):
        books = self.books()
        books.complete(lease("1", "a"), False)
        self.assertEqual(books.lost(), [])
        books.take(lease("1", "a", attempt=2))
        self.assertEqual(books.errors, [])

    def test_memory_that_grows_is_told(self):
        run = soak.Soak.__new__(soak.Soak)
        run.samples = [(i, (20 + 3 * i) * soak.MIB, 20 + i) for i in range(12)]
        self.assertEqual(len(run.grown()), 1)
        run.samples = [(i, 20 * soak.MIB, 20) for i in range(12)]
        self.assertEqual(run.grown(), [])
        run.samples = [(i, 20 * soak.MIB, 20 + 8 * i) for i in range(12)]
        self.assertEqual(len(run.grown()), 1)

    def test_a_run_goes_on_until_it_can_say_something(self):
        run = soak.Soak.__new__(soak.Soak)
        run.seconds, run.books, run.samples = 20, soak.Books(), [(0, 0, 0)] * (soak.SAMPLES_MIN - 1)
        self.assertTrue(run.goes_on(19) and run.goes_on(60))
        self.assertIn("too short", run.grown()[0])
        run.samples.append((0, 0, 0))
        self.assertEqual((run.goes_on(19), run.goes_on(20), run.grown()), (True, False, []))
        run.books.errors.append("wrong")
        self.assertFalse(run.goes_on(19))

    def test_a_run_sees_a_death_whatever_is_drawn(self):
        drawn = []
        run = soak.Soak.__new__(soak.Soak)
        run.struck, run.restarts = 0, 0
        run.rng = type("Draws", (), {"choice": lambda self, kinds: drawn.append(kinds) or (lambda: None)})()
        for is_lethal, run.restarts in ((True, 0), (True, 1), (False, 0)):
            run.strike(is_lethal)
        harmless = {run.pause, run.jump, run.fill_disk, run.flood}
        self.assertEqual([bool(harmless & set(kinds)) for kinds in drawn], [False, True, True])
        self.assertEqual([run.kill in kinds for kinds in drawn], [True, True, False])


if __name__ == "__main__":
    unittest.main()
