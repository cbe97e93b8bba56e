"""The Debian package: made by CPack from this build, installed by dpkg into a root of its own, started, removed, purged.

usage: package_test.py BUILD
"""

import os
import re
import signal
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

BUILD = Path(sys.argv.pop()).resolve()
# dpkg wants to find these on the path even where nothing needs them.
ENVIRONMENT = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}


def run(*command):
    done = subprocess.run([str(word) for word in command], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = Path(tempfile.mkdtemp(prefix="weir-package"))
        cls.addClassCleanup(shutil.rmtree, cls.work)
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", cls.work / "packages")
        cls.packages = {path.name.split("_")[0]: path for path in (cls.work / "packages").glob("*.deb")}
        cls.root = cls.work / "root"
        (cls.root / "var/lib/dpkg/updates").mkdir(parents=True)
        (cls.root / "var/lib/dpkg/info").mkdir()
        (cls.root / "var/lib/dpkg/status").touch()

    def dpkg(self, *arguments):
        """A dpkg that knows of no other package, works without root, and runs maintainer scripts with DPKG_ROOT."""
        return run("dpkg", f"--root={self.root}", f"--log={self.work}/log", "--force-depends", "--force-not-root",
                   "--force-script-chrootless", "--force-confnew", *arguments)

    def files(self):
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")
                if path.is_file() and "var/lib/dpkg" not in str(path)}

    def test_what_is_in_the_packages(self):
        self.assertEqual(set(self.packages), {"weir", "weir-dev"})
        depends = run("dpkg-deb", "--field", self.packages["weir"], "Depends")
        for library in ("liburing2", "libc-ares2", "libssl3"):
            self.assertIn(library, depends)
        files = run("dpkg-deb", "--contents", self.packages["weir-dev"])
        self.assertIn("/usr/include/weir/core.hpp", files)
        self.assertIn("/weir-config.cmake", files)
        self.assertIn("/libweir_testing.a", files)
        self.assertEqual(run("dpkg-deb", "--field", self.packages["weir-dev"], "Recommends").strip(), "libgtest-dev")
        self.assertIn("/usr/share/doc/weir-dev/copyright", files)
        self.assertNotIn("/internal/", files)
        self.assertNotIn("_corpus", files)

    def test_the_release_from_which_packages_are_made_has_the_test_kit_too(self):
        source = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.MULTILINE)[1]
        release = self.work / "release"
        run("cmake", "-S", source, "--preset", "release", "-B", release)
        installed = (release / "cmake_install.cmake").read_text()
        self.assertIn("/libweir_testing.a", installed)
        self.assertNotIn('PATTERN "testing" EXCLUDE', installed.replace("REGEX", "PATTERN"))
        targets = run("ninja", "-C", release, "-t", "query", "all")
        self.assertIn("libweir_testing.a", targets)

    def test_it_installs_starts_and_goes_without_a_trace_of_its_own(self):
        self.dpkg("--install", self.packages["weir"])
        self.assertEqual(self.files(), {
            "usr/bin/weir", "usr/lib/systemd/system/weir.service", "usr/lib/sysusers.d/weir.conf",
            "usr/share/doc/weir/copyright", "usr/share/doc/weir/CHANGELOG.md",
            "usr/share/bash-completion/completions/weir", "usr/share/zsh/vendor-completions/_weir",
            "usr/share/fish/vendor_completions.d/weir.fish"})
        self.assertIn("weir 0", run(self.root / "usr/bin/weir", "version"))

        # The unit starts the program that was installed, with its data where the unit lets it write.
        unit = (self.root / "usr/lib/systemd/system/weir.service").read_text()
        words = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)[1].split()
        self.assertEqual(words[:4], ["/usr/bin/weir", "serve", "--data", "${STATE_DIRECTORY}"])
        self.assertIn("\nStateDirectory=weir\n", unit)
        self.serve([self.root / "usr/bin/weir", "serve", "--data", self.root / "var/lib/weir", "--listen", "127.0.0.1:0"])

        # Neither removing nor purging touches messages, and the latter says so.
        self.dpkg("--remove", "weir")
        self.assertIn("the messages in /var/lib/weir are left", self.dpkg("--purge", "weir"))
        self.assertIn("var/lib/weir/lock", self.files())
        self.assertTrue(all(name.startswith("var/lib/weir/") for name in self.files()), self.files())
        self.assertEqual(run("dpkg-query", f"--admindir={self.root}/var/lib/dpkg", "--show"), "")

    def serve(self, command):
        (self.root / "var/lib").mkdir(exist_ok=True)
        server = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            address = next(match[0] for match in (re.search(r"http://[\d.:]+", line) for line in server.stdout) if match)
            with urllib.request.urlopen(f"{address}/readyz", timeout=30) as answer:
                self.assertEqual(answer.status, 200)
            with urllib.request.urlopen(urllib.request.Request(f"{address}/v1/queues/jobs", method="PUT"), timeout=30) as answer:
                self.assertEqual(answer.status, 201)
        finally:
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(30), 0)
            server.stdout.close()


if __name__ == "__main__":
    unittest.main()
