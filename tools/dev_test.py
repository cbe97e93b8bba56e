#!/usr/bin/env python3
"""`./dev` itself: its words, its exit codes, and that it installs exactly what is missing."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = "# The list.\n\n# build\nninja-build\nclang-19\n\n# test\npython3\n\n# bench\nwrk\n"


class DevTest(unittest.TestCase):
    """Runs a copy of ./dev in a folder of its own, where dpkg-query, apt-get and cmake only take notes."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="dev"))
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copy(ROOT / "dev", self.root)
        (self.root / "packages.txt").write_text(PACKAGES)
        (self.root / "CMakePresets.json").write_text("{}")
        (self.root / "installed").write_text("")
        for tool in ("apt-get", "cmake", "ctest", "sudo"):
            self.tool(tool, f'echo "{tool} $*" >> {self.root}/calls')
        # Answers as the real one does with -f '${{db:Status-Status}} ${{Package}}, ${{Provides}}\n'.
        self.tool("dpkg-query", f"echo query >> {self.root}/queries; sed 's/^/installed /' {self.root}/installed; exit 1")
        self.tool("id", "echo 0")

    def tool(self, name, text):
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def dev(self, *arguments):
        environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        return subprocess.run(
            [str(self.root / "dev"), *arguments], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )

    def calls(self):
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def test_help_names_every_command(self):
        done = self.dev("help")
        self.assertEqual(done.returncode, 0)
        for command in ("run", "test", "build", "bench", "fuzz", "tidy", "docs"):
            self.assertRegex(done.stdout, rf"(?m)^  {command}\b")

    def test_an_unknown_command_is_an_error_that_says_so(self):
        done = self.dev("tets")
        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown command 'tets'", done.stderr)

    def test_each_command_tells_what_there_is_when_it_is_asked(self):
        for command in ("test", "build", "bench", "fuzz", "soak", "package", "docs", "help"):
            done = self.dev(command, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("usage: ./dev COMMAND", done.stdout)
            self.assertEqual(self.calls(), [])

    def test_arguments_that_mean_nothing_are_refused_in_one_line_before_anything_is_done(self):
        for source in ("bench/echo_server.cpp", "bench/tasks_bench.cpp", "src/weir/wire/http1_fuzz.cpp"):
            path = self.root / source
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for arguments, line in (
            (("test", "a", "b"), "dev: test takes one NAME, a regular expression, but was given: a b\n"),
            (("build", "dev", "asan"), "dev: build takes one PRESET, but was given: dev asan\n"),
            (("build", "nonsense"), "dev: there is no preset 'nonsense'; there are dev, asan, tsan and release\n"),
            (("docs", "x"), "dev: docs takes no arguments, but was given: x\n"),
            (("package", "x"), "dev: package takes no arguments, but was given: x\n"),
            (("test", "("), "dev: '(' is no regular expression\n"),
            (("bench", "nonsense"), "dev: there is no benchmark 'nonsense'; there are: tasks echo\n"),
            (("bench", "--frob"), "dev: bench has no option '--frob'; it has --json, --markdown, --page, --small and --rounds N\n"),
            (("fuzz", "nonsense"), "dev: there is no fuzzer 'nonsense'; there are: http1\n"),
            (("fuzz", "http1", "5", "6"), "dev: fuzz takes a NAME and SECONDS, but was given: http1 5 6\n"),
            (("soak", "soon"), "dev: 'soon' is no duration: give a number with s, m or h, such as 10m\n"),
        ):
            done = self.dev(*arguments)
            self.assertEqual((done.returncode, done.stderr), (2, line))
            self.assertEqual(self.calls(), [])

    def test_what_is_missing_is_installed_without_a_question(self):
        (self.root / "installed").write_text("clang-19\n")
        self.dev("build")
        calls = self.calls()
        self.assertTrue(calls[0].startswith("apt-get update"), calls)
        self.assertRegex(calls[1], r"^apt-get install .*-y .*ninja-build python3$")
        self.assertNotIn("clang-19", calls[1])
        self.assertNotIn("wrk", calls[1])  # another section

    def test_a_complete_machine_costs_one_query(self):
        (self.root / "installed").write_text("clang-19\nninja-build\npython3\n")
        self.dev("build")
        self.assertEqual((self.root / "queries").read_text(), "query\n")
        self.assertFalse([call for call in self.calls() if "apt-get" in call])

    def test_sudo_is_used_only_by_others_than_root(self):
        self.tool("id", "echo 1000")
        self.dev("build")
        self.assertTrue(self.calls()[0].startswith("sudo env DEBIAN_FRONTEND=noninteractive apt-get update"), self.calls())

    def test_a_failed_installation_ends_the_command(self):
        self.tool("apt-get", "echo no network >&2; exit 100")
        done = self.dev("build")
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual([call for call in self.calls() if "cmake" in call], [])

    def test_a_failing_preset_fails_the_tests_but_the_others_still_run(self):
        (self.root / "installed").write_text("clang-19\nninja-build\npython3\n")
        self.tool("ctest", f'echo "ctest $*" >> {self.root}/calls; case "$*" in *asan*) exit 8;; esac')
        done = self.dev("test")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: tests of asan", done.stderr)
        self.assertEqual([call.split()[2] for call in self.calls() if call.startswith("ctest")], ["dev", "asan", "tsan"])

    def test_whole_programs_run_in_shares_and_what_was_named_by_itself(self):
        (self.root / "installed").write_text("clang-19\nninja-build\npython3\n")
        self.tool("ctest", f'echo "ctest ${{WEIR_TEST_SHARES-by name}}" >> {self.root}/calls')
        os.environ.pop("WEIR_TEST_SHARES", None)  # this test may run in a share's environment
        self.dev("test")
        self.dev("test", "scope")
        self.assertEqual([call for call in self.calls() if call.startswith("ctest")], 3 * ["ctest 1"] + ["ctest by name"])

    def test_the_new_seeds_of_a_run_are_printed(self):
        (self.root / "installed").write_text("clang-19\nninja-build\npython3\n")
        logs = self.root / "build" / "dev" / "Testing" / "Temporary"
        logs.mkdir(parents=True)
        rule = "-" * 58
        (self.root / "log").write_text("".join(
            f"{place}/2 Testing: {name}\nOutput:\n{rule}\nseeds from {seed}, 1 workers\nall promises were kept, in 9 seeds\n<end of output>\n{rule}\n"
            for place, name, seed in ((1, "sim.campaign_fixed", 1000), (2, "sim.campaign_fresh", 77))
        ))
        self.tool("ctest", f'case "$*" in *dev*) cp {self.root}/log {logs}/LastTest.log;; esac')
        done = self.dev("test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the simulated server, dev: seeds from 77, 1 workers all promises were kept, in 9 seeds", done.stderr)
        self.assertNotIn("seeds from 1000", done.stderr)
        self.assertNotIn("the simulated server, tsan", done.stderr)

    def test_what_failed_is_said_again_at_the_end(self):
        (self.root / "installed").write_text("clang-19\nninja-build\npython3\n")
        logs = self.root / "build" / "dev" / "Testing" / "Temporary"
        logs.mkdir(parents=True)
        (logs / "LastTestsFailed.log").write_text("7:of.the_run_before\n")
        rule = "-" * 58
        text = "".join(
            f'{place}/3 Testing: {name}\n{place}/3 Test: {name}\n"{name}" start time: now\nOutput:\n{rule}\n{output}<end of output>\n{rule}\n'
            for place, name, output in ((1, "a.good", "fine\n"), (2, "a.bad", "first\n" + "more\n" * 30 + "Failure\n"), (3, "a.worse", "gone\n"))
        )
        (self.root / "log").write_text(text)
        # Like the real one, which empties its log even when it only lists tests.
        self.tool("ctest", f'case "$*" in *" -N "*) : >{logs}/LastTest.log;; *dev*) cd {logs}; echo 2:a.bad >LastTestsFailed.log; echo 3:a.worse >>LastTestsFailed.log; '
                  f"cp {self.root}/log LastTest.log; exit 8;; esac")
        done = self.dev("test")
        self.assertEqual(done.returncode, 1)
        end = done.stderr[done.stderr.index("failed in dev") :].splitlines()
        self.assertEqual(end[0], "failed in dev: a.bad a.worse ")
        self.assertEqual(end[1:3], ["--- the end of what a.bad printed (dev):", "more"])
        self.assertEqual(end[-4:-1], ["Failure", "--- the end of what a.worse printed (dev):", "gone"])
        self.assertIn("FAILED: tests of dev", end[-1])
        self.assertNotIn("of.the_run_before", done.stderr)

    def test_what_hangs_on_the_machine_has_a_second_run_alone_and_is_named(self):
        (self.root / "installed").write_text("clang-19\nninja-build\npython3\n")
        logs = self.root / "build" / "dev" / "Testing" / "Temporary"
        logs.mkdir(parents=True)
        for failing, second, code in (("e2e.cli", 0, 0), ("e2e.cli", 8, 1), ("core.scope", 0, 1)):
            self.tool("ctest", f'echo "$*" >>{self.root}/asked; case "$*" in *rerun-failed*) exit {second};; '
                      '*" -N "*) echo "  Test #7: e2e.cli";; '
                      f"*dev*) echo 7:{failing} >{logs}/LastTestsFailed.log; touch {logs}/LastTest.log; exit 8;; esac")
            done = self.dev("test")
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertEqual("UNSTABLE, failed beside others: e2e.cli" in done.stderr, failing == "e2e.cli")
            self.assertEqual("FAILED: tests of dev" in done.stderr, code != 0)

    def test_a_name_selects_tests_of_the_dev_build(self):
        (self.root / "installed").write_text("clang-19\nninja-build\npython3\n")
        self.assertEqual(self.dev("test", "scope").returncode, 0)
        tests = [call for call in self.calls() if call.startswith("ctest")]
        self.assertEqual(len(tests), 1)
        self.assertRegex(tests[0], r"--preset dev .*-R scope$")

    def test_run_becomes_the_server_with_the_arguments_that_were_given(self):
        (self.root / "installed").write_text("clang-19\nninja-build\n")
        program = self.root / "build" / "release" / "weir"
        program.parent.mkdir(parents=True)
        program.write_text('#!/bin/sh\necho "$$ $PWD $*"\nexit 7\n')
        program.chmod(0o755)
        process = subprocess.Popen(
            [str(self.root / "dev"), "run", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"},
        )
        out, _ = process.communicate()
        self.assertEqual(process.returncode, 7)  # the server's own exit code, so Ctrl-C and SIGTERM reach it too
        self.assertEqual(out, f"{process.pid} {self.root} serve --listen 127.0.0.1:0\n")

    def fake_release(self, **exit_codes):
        """Programs of a release that only take notes, and end as it is said."""
        (self.root / "installed").write_text("clang-19\nninja-build\npython3\n")
        for name in ("python3", "cpack"):
            self.tool(name, f'echo "{name} $*" >> {self.root}/calls')
        for name in ("weir", "corpora_test"):
            self.tool(name, f'echo "{name} $*" >> {self.root}/calls; exit {exit_codes.get(name, 0)}')
            program = self.root / "build" / "release" / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.symlink_to(self.root / "bin" / name)
        (self.root / "build" / "release" / "libweir_testing.a").touch()

    def test_a_release_without_the_test_kit_is_not_packed(self):
        self.fake_release()
        (self.root / "build" / "release" / "libweir_testing.a").unlink()
        done = self.dev("package")
        self.assertEqual(done.returncode, 2)
        self.assertIn("dev: the release has no test kit: CMake did not find GoogleTest", done.stderr)
        self.assertEqual([call for call in self.calls() if call.startswith("cpack")], [])

    def test_a_release_that_explores_other_schedules_than_the_tests_is_not_packed(self):
        self.fake_release(corpora_test=1)
        done = self.dev("package")
        self.assertEqual(done.returncode, 2)
        self.assertIn("dev: the release explores other schedules", done.stderr)
        self.assertIn("cmake --build --preset release", "\n".join(self.calls()))
        self.assertEqual([call for call in self.calls() if call.startswith("cpack")], [])

    def test_a_soak_begins_with_a_campaign_that_is_long_enough_to_judge_what_never_happened(self):
        self.fake_release(weir=1)
        done = self.dev("soak", "1m")
        self.assertEqual(done.returncode, 2)
        self.assertIn("dev: the campaign of the simulated server failed", done.stderr)
        self.assertNotIn("tools/soak.py", "\n".join(self.calls()))
        campaign = next(call for call in self.calls() if call.startswith("weir sim serve"))
        self.assertRegex(campaign, " --seeds 100 ")  # seeds_enough of the command
        self.assertNotRegex(campaign, "--(time|faults|tls) ")  # less than usual is not judged

    def test_what_an_installed_package_provides_and_an_alternative_count_as_installed(self):
        (self.root / "packages.txt").write_text("# build\nninja-build\nclang-19\nnpm\nlibnode-dev | nodejs-dev\n")
        (self.root / "installed").write_text("clang-19, \nninja-build, nodejs-dev, npm (= 9)\n")
        self.dev("build")
        self.assertEqual([call for call in self.calls() if call.startswith("apt-get")], [])
        (self.root / "installed").write_text("clang-19, \nninja-build, npm\n")
        self.dev("build")
        self.assertIn("libnode-dev", [call for call in self.calls() if call.startswith("apt-get")][-1])

    def test_the_list_of_packages_has_the_sections_that_dev_asks_for(self):
        sections = [line[2:] for line in (ROOT / "packages.txt").read_text().splitlines() if line in ("# build", "# test", "# bench")]
        self.assertEqual(sections, ["build", "test", "bench"])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
