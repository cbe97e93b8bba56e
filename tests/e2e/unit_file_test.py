"""The systemd unit is one that systemd takes, and it gives little away. Skipped where systemd-analyze is not there."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

UNIT = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "weir.service"
EXPOSURE_MAX = 2.0  # of 10, as `systemd-analyze security` counts


@unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
class Unit(unittest.TestCase):
    def analyze(self, *arguments):
        done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def test_it_is_right(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "weir.service"
            copy.write_text(UNIT.read_text().replace("/usr/bin/weir", os.environ.get("WEIR_APP", "/bin/true")))
            code, text = self.analyze("verify", str(copy))
            self.assertEqual(code, 0, text)
            ours = [line for line in text.splitlines() if line.startswith("weir.service:")]
            self.assertEqual(ours, [])

    def test_it_exposes_little(self):
        code, text = self.analyze("security", "--offline=true", f"--threshold={int(EXPOSURE_MAX * 10)}", str(UNIT))
        self.assertEqual(code, 0, text[-500:])

    def test_the_ring_is_allowed_and_its_lack_is_survived(self):
        lines = UNIT.read_text().splitlines()
        self.assertIn("SystemCallFilter=io_uring_setup io_uring_enter io_uring_register", lines)
        self.assertIn("SystemCallErrorNumber=EPERM", lines)  # not SIGSYS: weir then takes epoll


if __name__ == "__main__":
    unittest.main()
