#!/usr/bin/env python3
"""The benchmark runner, on programs of a few lines."""

import contextlib
import io
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import bench

SERVER = """#!/usr/bin/env python3
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
listener = socket.create_server(("127.0.0.1", 0))
print("listening", listener.getsockname()[1], flush=True)
kept = []
while True:
    peer = listener.accept()[0]
    kept.append(bytearray(1 << 20))
    while peer.recv(1):
        sum(range(20000))
        peer.send(b"x")
"""
CLIENT = """#!/usr/bin/env python3
import socket, sys
if "--list" in sys.argv:
    print("work hold")
    sys.exit(0)
peer = socket.create_connection(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
if "work" in sys.argv:
    for _ in range(100):
        peer.send(b"x"), peer.recv(1)
    print("work/n=100 100 requests ok", flush=True)
else:
    peer.send(b"x"), peer.recv(1)
    print("hold 1 connections ok", flush=True)
sys.stdin.read()
"""


class BenchTest(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="bench"))
        self.addCleanup(shutil.rmtree, self.root)
        (self.root / "bin").mkdir()
        (self.root / "src" / "peers").mkdir(parents=True)

    def program(self, name, text, folder="bin"):
        path = self.root / folder / name
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def peer(self, name, text):
        self.program(name, text)
        (self.root / "src" / "peers" / f"{name}.cpp").write_text("")

    def run_main(self, *more):
        out, err = io.StringIO(), io.StringIO()
        arguments = ["bench", "--programs", str(self.root / "bin"), "--sources", str(self.root / "src"), *more]
        with mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = bench.main()
        return code, out.getvalue(), err.getvalue()

    def rows(self, *more):
        code, out, err = self.run_main("--json", *more)
        self.assertEqual(code, 0, err)
        return [json.loads(line) for line in out.splitlines()]

    def test_a_row_compares_weir_with_its_peer(self):
        self.program("tasks_bench", "echo '# a remark'; echo 'spawn/n=10 30 ns 45'")
        self.peer("tasks_asio", "echo 'spawn/n=10 60 ns 45'")
        (row,) = self.rows()
        self.assertTrue(row.pop("machine") and row.pop("commit"))
        self.assertEqual(
            row,
            {"bench": "tasks.spawn", "parameters": "n=10", "weir": 30, "peer": 60, "peer_name": "asio", "ratio": 0.5,
             "unit": "ns", "spread": 0, "rounds": bench.ROUNDS},
        )

    def test_a_table_has_a_column_for_each_peer_and_the_limit_first(self):
        self.program("tasks_bench", "echo 'spawn/n=10 30 ns 45'; echo 'yield 5 ns 1'")
        self.peer("tasks_asio", "echo 'spawn/n=10 60 ns 45'")
        self.peer("tasks_limit", "echo 'spawn/n=10 20 ns 45'; echo 'yield 4 ns 1'")
        code, out, err = self.run_main("--markdown", "--rounds", "2")
        self.assertEqual(code, 0, err)
        lines = out.splitlines()
        self.assertTrue(lines[0].startswith("`./dev bench tasks`, 2 rounds; "), lines[0])
        self.assertEqual(lines[2], "| tasks | unit | weir | limit | asio | spread |")
        self.assertEqual(lines[4], "| spawn (n=10) | ns | 30.0 | 20.0 (1.50) | 60.0 (0.50) | 0.00 |")
        self.assertEqual(lines[5], "| yield | ns | 5.00 | 4.00 (1.25) | - | 0.00 |")

    def test_a_page_gets_its_tables_between_the_marks(self):
        page = self.root / "page.md"
        page.write_text("before\n<!-- figures tasks -->\nold\n<!-- /figures -->\nafter\n<!-- figures io -->\nkept\n<!-- /figures -->\n")
        self.program("tasks_bench", "echo 'spawn 30 ns 45'")
        code, _, err = self.run_main("--page", str(page), "--rounds", "1")
        self.assertEqual(code, 0, err)
        text = page.read_text()
        self.assertIn("| spawn | ns | 30.0 | 0.00 |\n<!-- /figures -->\nafter", text)
        self.assertNotIn("old", text)
        self.assertIn("kept", text)

    def test_a_page_without_a_place_for_a_benchmark_gets_one_at_its_end(self):
        page = self.root / "page.md"
        page.write_text("text\n")
        self.program("tasks_bench", "echo 'spawn 30 ns 45'")
        code, _, err = self.run_main("--page", str(page), "--rounds", "1")
        self.assertEqual(code, 0, err)
        self.assertTrue(page.read_text().startswith("text\n\n## tasks\n<!-- figures tasks -->\n`./dev bench tasks`"))

    def test_progress_says_which_program_runs(self):
        self.program("tasks_bench", "echo 'spawn 30 ns 45'")
        self.peer("tasks_asio", "echo 'spawn 60 ns 45'")
        _, _, err = self.run_main("--rounds", "2")
        self.assertRegex(err, r"\[0:\d\d\] tasks: round 2 of 2: asio")

    def test_what_builds_from_scratch_runs_only_when_it_is_named(self):
        (self.root / "bin").mkdir(exist_ok=True)
        benches = bench.discover(self.root / "bin", self.root / "src")
        self.assertEqual([one.name for one in bench.chosen(benches, "")], [])
        self.assertEqual([one.name for one in bench.chosen(benches, "compile")], ["compile"])

    def test_a_peer_may_live_in_the_same_program(self):
        self.program("parser_bench", "echo 'head 30 ns 45'; echo 'head@beast 40 ns 45'")
        self.assertEqual([(row["peer_name"], row["ratio"]) for row in self.rows()], [("beast", 0.75)])

    def test_a_benchmark_without_peers_still_has_a_row(self):
        self.program("tasks_bench", "echo 'spawn 30 ns 45'")
        self.assertEqual([(row["weir"], row["peer_name"]) for row in self.rows()], [(30, None)])

    def test_a_peer_that_is_not_built_is_skipped_with_a_word(self):
        self.program("tasks_bench", "echo 'spawn 30 ns 45'")
        (self.root / "src" / "peers" / "tasks_libuv.cpp").write_text("")
        code, _, err = self.run_main()
        self.assertEqual(code, 0)
        self.assertIn("tasks: libuv is skipped", err)

    def test_the_median_of_the_rounds_counts_and_the_spread_is_told(self):
        self.program(
            "tasks_bench",
            f"echo x >> {self.root}/runs; n=$(wc -l < {self.root}/runs); set -- 10 900 20 30 1; shift $((n - 1)); echo \"spawn $1 ns 45\"",
        )
        row = self.rows()[0]
        self.assertEqual(row["weir"], 20)
        self.assertAlmostEqual(row["spread"], 899 / 20)
        self.assertEqual((self.root / "runs").read_text().count("x"), bench.ROUNDS)

    def test_the_programs_take_turns_and_each_begins_a_round(self):
        for name in ("tasks_bench", "tasks_asio"):
            maker = self.program if name.endswith("bench") else self.peer
            maker(name, f"echo {name} >> {self.root}/order; echo 'spawn 30 ns 45'")
        self.rows("--rounds", "2")
        self.assertEqual((self.root / "order").read_text().split(), ["tasks_bench", "tasks_asio", "tasks_asio", "tasks_bench"])

    def test_another_checksum_is_other_work_and_fails(self):
        self.program("tasks_bench", "echo 'spawn 30 ns 45'")
        self.peer("tasks_asio", "echo 'spawn 60 ns 46'")
        code, _, err = self.run_main()
        self.assertEqual(code, 1)
        self.assertIn("not the same work", err)

    def test_a_failing_program_fails_the_run_but_not_the_others(self):
        self.program("channel_bench", "echo broken >&2; exit 3")
        self.program("tasks_bench", "echo 'spawn 30 ns 45'")
        code, out, err = self.run_main("--json")
        self.assertEqual(code, 1)
        self.assertIn("weir failed with 3: broken", err)
        self.assertIn("tasks.spawn", out)

    def test_nonsense_is_no_row(self):
        for line in ("spawn fast ns 45", "spawn 30", "spawn -1 ns 45", "spawn nan ns 45"):
            self.program("tasks_bench", f"echo '{line}'")
            code, _, err = self.run_main()
            self.assertEqual(code, 1, line)
            self.assertIn("no row", err)

    def test_an_unknown_name_is_an_error(self):
        self.program("tasks_bench", "echo 'spawn 30 ns 45'")
        code, _, err = self.run_main("gone")
        self.assertEqual(code, 1)
        self.assertIn("no benchmark is called 'gone'", err)

    def test_small_reaches_the_program(self):
        self.program("tasks_bench", 'echo "spawn/n=$# 30 ns 45"')
        self.assertEqual(self.rows("--small")[0]["parameters"], "n=1")

    def test_a_server_is_charged_for_its_cpu_and_its_memory(self):
        self.program("echo_server", SERVER)
        self.program("echo_client", CLIENT)
        self.peer("echo_server_libuv", SERVER.replace("20000", "200000"))
        rows = {(row["bench"], row["unit"]): row for row in self.rows("--rounds", "3")}
        work = rows["echo.work", "us"]
        self.assertEqual((work["peer_name"], work["parameters"]), ("libuv", "n=100"))
        self.assertLess(work["ratio"], 1)  # the peer adds up ten times as many numbers
        self.assertGreater(rows["echo.hold", "bytes"]["weir"], 500_000)

    def test_a_server_has_no_row_of_a_case_that_it_does_not_offer(self):
        self.program("echo_server", SERVER)
        self.program("echo_client", CLIENT)
        refusal = 'import signal, socket, sys\nif "hold" in sys.argv: print("not offered"), sys.exit()'
        self.peer("echo_server_libuv", SERVER.replace("import signal, socket, sys", refusal))
        peers = {(row["bench"], row["peer_name"]) for row in self.rows("--rounds", "1")}
        self.assertIn(("echo.work", "libuv"), peers)
        self.assertIn(("echo.hold", "weir_epoll"), peers)
        self.assertNotIn(("echo.hold", "libuv"), peers)

    def test_what_a_server_starts_is_charged_as_well(self):
        self.program("worker", SERVER)
        self.program("echo_server", f'{self.root}/bin/worker "$@" &\ntrap "kill $!" TERM\nwait')
        self.program("echo_client", CLIENT)
        rows = {(row["bench"], row["unit"]): row for row in self.rows("--rounds", "1")}
        self.assertGreater(rows["echo.work", "us"]["weir"], 0)
        self.assertGreater(rows["echo.hold", "bytes"]["weir"], 500_000)

    def test_a_peer_whose_program_is_missing_is_skipped(self):
        self.program("http_server", SERVER)
        self.program("http_client", CLIENT)
        (self.root / "src" / "peers" / "http_server_nginx.py").write_text("raise SystemExit(1)")
        with mock.patch.dict(bench.PROGRAMS, nginx="no-such-program"):
            code, _, err = self.run_main("--rounds", "1")
        self.assertEqual(code, 0, err)
        self.assertIn("http: nginx is skipped", err)

    def test_a_server_that_does_not_listen_fails(self):
        self.program("echo_server", "echo no; exit 0")
        self.program("echo_client", CLIENT)
        code, _, err = self.run_main()
        self.assertEqual(code, 1)
        self.assertIn("did not print `listening PORT`", err)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
