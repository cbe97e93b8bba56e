"""Every command of `weir` against a real server: output for people and for programs, and exit codes."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))
from server import APP, Server, Worker  # noqa: E402


def weir(*arguments, stdin=b"", env=None, url=None):
    """(exit code, standard output, standard error)"""
    environment = {**os.environ, **(env or {})}
    if url:
        environment["WEIR_URL"] = url
    done = subprocess.run([APP, *arguments], input=stdin, capture_output=True, env=environment, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        cls.url = f"http://127.0.0.1:{cls.server.port}"

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def setUp(self):
        self.api = self.server.client()
        self.queue = self.id().rsplit(".", 1)[-1].replace("_", "-")[-60:]
        self.api.put(f"/v1/queues/{self.queue}", {"backoff": {"first": "0s", "max": "0s"}})

    def tearDown(self):
        self.api.close()

    def weir(self, *arguments, **more):
        return weir(*arguments, url=self.url, **more)

    def test_a_message_goes_from_send_to_take_and_its_result_to_wait(self):
        code, id, _ = self.weir("send", self.queue, "--content-type", "text/plain", stdin=b"letter\n")
        self.assertEqual((code, id[-1]), (0, "\n"))
        code, out, err = self.weir("wait", id.strip(), "--timeout", "10ms")
        self.assertEqual((code, out), (5, ""))
        self.assertEqual(err, f"weir: message {id.strip()} has not ended yet: it is ready\n")
        waited = self.weir("send", self.queue, "--delay", "1h", "--wait", "10ms")  # its id is not lost
        self.assertEqual(waited[:2], (5, ""))
        self.assertRegex(waited[2], r"^weir: message [a-z2-7]{26} has not ended yet: it is delayed\n$")
        code, body, _ = self.weir("take", self.queue, "--ack", "--raw")
        self.assertEqual((code, body), (0, "letter\n"))
        self.assertEqual(self.weir("wait", id.strip())[:2], (0, ""))
        code, out, _ = self.weir("wait", id.strip(), "--json")
        self.assertEqual((code, json.loads(out)["state"]), (0, "done"))

    def test_send_sets_every_field(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"from a file")
            file.flush()
            code, out, _ = self.weir("send", self.queue, file.name, "--priority", "7", "--key", "k", "--ttl", "2h",
                                     "--delay", "1h", "--reply-to", "http://127.0.0.1:9/", "--json")
        self.assertEqual(code, 0)
        shown = self.api.get(f"/v1/messages/{json.loads(out)['id']}").json
        self.assertEqual((shown["state"], shown["priority"]), ("delayed", 7))
        code, again, _ = self.weir("send", self.queue, "--key", "k", "--json")
        self.assertEqual((code, json.loads(again)), (0, {"id": shown["id"], "duplicate": True}))

    def test_send_can_wait_for_the_result(self):
        sending = subprocess.Popen([APP, "send", self.queue, "--wait", "20s", "--url", self.url],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        sending.stdin.close()
        [taken] = self.api.post(f"/v1/queues/{self.queue}/leases?wait=20s").json["messages"]
        self.api.post(f"/v1/leases/{taken['receipt']}/ack", b"\x00\xff result")
        self.assertEqual(sending.stdout.read(), b"\x00\xff result")
        self.assertEqual(sending.wait(), 0)
        sending.stdout.close()

    def test_a_dead_message_is_a_bad_end(self):
        self.api.put(f"/v1/queues/{self.queue}", {"attempts": 1})
        id = self.weir("send", self.queue)[1].strip()
        [taken] = self.api.post(f"/v1/queues/{self.queue}/leases").json["messages"]
        self.api.post(f"/v1/leases/{taken['receipt']}/nack", {"error": "no \x1b[2J stamps"})
        code, out, err = self.weir("wait", id)
        self.assertEqual((code, out, err), (6, "", "weir: the message is dead: no ?[2J stamps\n"))

    def test_take_prints_a_table_or_json_and_says_when_there_is_nothing(self):
        self.assertEqual(self.weir("take", self.queue), (5, "", "weir: no message is ready\n"))
        for body in (b"one", b"two" * 50):
            self.weir("send", self.queue, stdin=body)
        code, table, _ = self.weir("take", self.queue, "--max", "2", "--wait", "5s")
        self.assertEqual(code, 0)
        head, first, second = table.splitlines()
        self.assertEqual(head.split(), ["ID", "RECEIPT", "ATTEMPT", "DEADLINE", "BODY"])
        self.assertTrue(first.endswith("  one") and second.endswith("..."), table)
        self.assertEqual({line.index("  1  ") for line in (first, second)}, {first.index("  1  ")})
        self.weir("send", self.queue)
        code, out, _ = self.weir("take", self.queue, "--json")
        self.assertEqual((code, json.loads(out)["messages"][0]["attempt"]), (0, 1))

    def test_take_asks_again_where_the_server_lets_a_request_wait_for_less(self):
        with contextlib.ExitStack() as stack:
            config = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".json"))
            config.write('{"limits": {"wait": "50ms"}}')
            config.flush()
            server = stack.enter_context(Server("--config", config.name))
            api = stack.enter_context(contextlib.closing(server.client()))
            api.put("/v1/queues/q", {})
            taking = subprocess.Popen([APP, "take", "q", "--wait", "50s", "--raw", "--url", f"http://127.0.0.1:{server.port}"],
                                      stdout=subprocess.PIPE)
            deadline = time.monotonic() + 40
            asked = r'weir_http_requests_total\{endpoint="lease",status="200"\} (\d+)'
            while int((re.findall(asked, api.get("/metrics").body.decode()) or ["0"])[0]) < 3:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)
            self.assertIsNone(taking.poll())
            api.post("/v1/queues/q/messages", body=b"late")
            self.assertEqual((taking.communicate(timeout=40)[0], taking.returncode), (b"late", 0))

    def test_all_that_were_taken_are_acknowledged(self):
        ids = [self.weir("send", self.queue, stdin=b"x")[1].strip() for _ in range(3)]
        self.assertEqual(self.weir("take", self.queue, "--max", "3", "--ack")[0], 0)
        self.assertEqual({self.api.get(f"/v1/messages/{id}").json["state"] for id in ids}, {"done"})

    def test_a_terminal_is_not_told_what_a_body_says_to_it(self):
        self.weir("send", self.queue, "--content-type", "text/plain", stdin="a\x9b2Jb".encode())
        self.assertIn(" a?2Jb\n", self.weir("take", self.queue)[1])
        self.weir("send", self.queue, "--content-type", "text/plain", stdin="a\u202egnp.exe".encode())
        self.assertIn(" a?gnp.exe\n", self.weir("take", self.queue)[1])

    def test_dead_letters_are_moved_back(self):
        self.api.put(f"/v1/queues/{self.queue}", {"attempts": 1})
        for _ in range(3):
            self.weir("send", self.queue)
        for taken in self.api.post(f"/v1/queues/{self.queue}/leases?max=3").json["messages"]:
            self.api.post(f"/v1/leases/{taken['receipt']}/nack")
        self.assertEqual(self.weir("redrive", self.queue), (0, "3 messages moved back\n", ""))
        self.assertEqual(self.api.get(f"/v1/queues/{self.queue}").json["counts"]["ready"], 3)
        code, out, _ = self.weir("redrive", self.queue, "--json")
        self.assertEqual((code, json.loads(out)), (0, {"moved": 0, "left": 0, "leased": 0, "no_room": 0, "no_queue": 0, "ended": 0}))

    def test_letters_on_lease_are_told_of_and_delayed_ones_are_moved(self):
        self.api.put(f"/v1/queues/{self.queue}", {"attempts": 1})
        for _ in range(3):
            self.weir("send", self.queue)
        for taken in self.api.post(f"/v1/queues/{self.queue}/leases?max=3").json["messages"]:
            self.api.post(f"/v1/leases/{taken['receipt']}/nack")
        looked_at = self.api.post(f"/v1/queues/{self.queue}.dead/leases?max=2&lease=1h").json["messages"]
        self.api.post(f"/v1/leases/{looked_at[0]['receipt']}/nack", {"delay": "1h"})
        self.assertEqual(self.weir("redrive", self.queue), (0, "2 messages moved back, 1 left: 1 on lease\n", ""))
        code, out, _ = self.weir("redrive", f"{self.queue}.dead", "--json")
        self.assertEqual((code, json.loads(out)), (0, {"moved": 0, "left": 1, "leased": 1, "no_room": 0, "no_queue": 0, "ended": 0}))
        self.api.post(f"/v1/leases/{looked_at[1]['receipt']}/nack", {"delay": "0s"})
        self.api.delete(f"/v1/queues/{self.queue}")
        self.assertEqual(self.weir("redrive", f"{self.queue}.dead"), (0, "0 messages moved back, 1 left: 1 whose queue is gone\n", ""))

    def test_a_queue_without_dead_letters_is_told_as_such(self):
        self.api.put(f"/v1/queues/{self.queue}", {"attempts": 1, "dead_letter": ""})
        text = "0 messages moved back: the queue keeps no dead letters (its dead_letter is empty)\n"
        self.assertEqual(self.weir("redrive", self.queue), (0, text, ""))
        self.weir("send", self.queue)
        [taken] = self.api.post(f"/v1/queues/{self.queue}/leases").json["messages"]
        self.api.post(f"/v1/leases/{taken['receipt']}/nack")
        text = "0 messages moved back, 1 left: 1 ended as dead: their queue kept no dead letters (its dead_letter was empty)\n"
        self.assertEqual(self.weir("redrive", self.queue), (0, text, ""))

    def test_the_server_is_measured_in_a_queue_that_goes_away(self):
        before = self.weir("queues", "--json")[1]
        code, table, err = self.weir("bench", "server", "--connections", "4", "--bytes", "10", "--time", "50ms")
        self.assertEqual((code, err), (0, ""))
        rows = table.splitlines()
        self.assertEqual(rows[0].split(), ["WHAT", "PER", "SECOND", "P50", "P99", "P99.9"])
        self.assertEqual([row.split(",")[0] for row in rows[1:]], ["submit", "submit", "acknowledge"])
        rows = json.loads(self.weir("bench", "server", "--connections", "4", "--time", "50ms", "--json")[1])["rows"]
        for row in rows:
            self.assertGreater(row["count"], 0)
            self.assertLessEqual(row["p50_us"], row["p99_us"])
        names = [[queue["name"] for queue in json.loads(text)["queues"]] for text in (before, self.weir("queues", "--json")[1])]
        self.assertEqual(*names)

    def test_letters_for_which_there_is_no_room_are_told_of(self):
        self.api.put(f"/v1/queues/{self.queue}", {"attempts": 1})
        for _ in range(3):
            self.weir("send", self.queue)
        for taken in self.api.post(f"/v1/queues/{self.queue}/leases?max=3").json["messages"]:
            self.api.post(f"/v1/leases/{taken['receipt']}/nack")
        self.api.put(f"/v1/queues/{self.queue}", {"capacity": {"messages": 1}})
        text = "1 messages moved back, 2 left: 2 without room in the queue\n"
        self.assertEqual(self.weir("redrive", self.queue), (0, text, ""))

    def test_an_interrupted_measurement_leaves_nothing_behind_and_tells_no_figures(self):
        def interrupt(*arguments, has_begun):
            measuring = subprocess.Popen([APP, "bench", *arguments, "--time", "60s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            deadline = time.monotonic() + 40
            while not has_begun():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            measuring.send_signal(signal.SIGINT)
            out, err = measuring.communicate(timeout=40)
            self.assertEqual((measuring.returncode, out, err), (1, b"", b"weir: interrupted\n"))

        def queues():
            return [one["name"] for one in self.api.get("/v1/queues").json["queues"] if one["name"].startswith("weir-bench-")]

        interrupt("server", "--url", self.url, has_begun=queues)
        self.assertEqual(queues(), [])
        with tempfile.TemporaryDirectory() as folder:
            interrupt("disk", folder, has_begun=lambda: os.listdir(folder))
            self.assertEqual(os.listdir(folder), [])

    def test_queues_are_listed(self):
        self.weir("send", self.queue, stdin=b"x" * 2048)
        code, table, _ = self.weir("queues")
        self.assertEqual(code, 0)
        self.assertEqual(table.split("\n")[0].split()[:4], ["QUEUE", "READY", "DELAYED", "LEASED"])
        [row] = [line for line in table.splitlines() if line.startswith(self.queue + " ")]
        self.assertIn(" 2.0 KiB ", row)
        names = [queue["name"] for queue in json.loads(self.weir("queues", "--json")[1])["queues"]]
        self.assertIn(self.queue, names)

    def test_refusals_and_mistakes_have_their_exit_codes_and_one_line(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
            for code, arguments, text in (
                (4, ["send", "nobody"], "there is no queue 'nobody'"),
                (4, ["wait", "nothing"], "(message_not_found)"),
                (4, ["take", "nobody"], "(queue_not_found)"),
                (4, ["redrive", "nobody"], "(queue_not_found)"),
                (3, ["bench", "server", "--url", nobody], "no server answers at " + nobody),
                (3, ["queues", "--url", nobody], "no server answers at " + nobody),
                (3, ["queues", "--url", "http://no-such-host.invalid"], "http://no-such-host.invalid"),  # with a network or without
                (2, ["queues", "--url", "nonsense/"], "weir: 'nonsense/' (--url, WEIR_URL) is no URL: must start with http:// or https://\n"),
                (2, ["send", self.queue, "/no/such/file"], "/no/such/file: No such file"),
                (2, ["queues", "--token-file", "/no/such/file"], "/no/such/file: No such file"),
            ):
                with self.subTest(arguments):
                    got, out, err = self.weir(*arguments)
                    self.assertEqual((got, out), (code, ""), err)
                    self.assertTrue(err.startswith("weir: ") and err.count("\n") == 1, err)
                    self.assertIn(text, err)

    def test_another_server_is_told_from_weir(self):
        with Worker(lambda call: (200, {"Content-Type": "text/html"}, b"<html>")) as other:
            for arguments in (["queues"], ["send", "q"], ["take", "q"], ["wait", "x"], ["redrive", "q"]):
                code, out, err = weir(*arguments, url=other.url)
                self.assertEqual((code, out), (3, ""), err)
                self.assertIn(f"weir: what answers at {other.url.rstrip('/')} is no weir server: it sent 'text/html", err)
        with Worker(lambda call: (200, {}, b"something")) as other:
            code, out, err = weir("send", "q", url=other.url)
            self.assertEqual((code, out), (3, ""), err)
            self.assertIn("is no weir server: it sent a body without a Content-Type\n", err)

    def test_another_server_is_told_from_weir_by_its_json(self):
        json_type = {"Content-Type": "application/json"}
        for body, told in ((b"{}", "'{}'"), (b"[]", "'[]'"), (b"not json", "'not json'"), (b"", "nothing"),
                           (b'{"queues":[1],"messages":[{}],"id":7,"state":7}', '\'{"queues":[1]'), (b"x" * 200, f"'{'x' * 100}'...\n")):
            with Worker(lambda call: (200, json_type, body)) as other:
                other.http.RequestHandlerClass.do_GET = other.http.RequestHandlerClass.do_POST
                for arguments in (["queues"], ["queues", "--json"], ["send", "q"], ["take", "q"], ["take", "q", "--json"], ["wait", "x", "--json"], ["redrive", "q"]):
                    code, out, err = weir(*arguments, url=other.url)
                    self.assertEqual((code, out, err.count("\n")), (3, "", 1), (arguments, body, err))
                    self.assertIn(f"weir: what answers at {other.url} is no weir server: it sent {told}", err)

    def test_the_id_is_told_however_a_wait_for_the_result_fails(self):
        answer = (202, {"Content-Type": "application/json"}, b'{"id":"the-id"}')
        with Worker(lambda call: answer) as forgetful:  # which answers nothing but POST
            code, out, err = weir("send", "q", "--wait", "20s", url=forgetful.url)
            self.assertEqual((code, out), (3, ""), err)
            self.assertIn("weir: message the-id: what answers at ", err)
        self.api.put(f"/v1/queues/{self.queue}", {"ttl": "1ms"})
        code, _, err = self.weir("send", self.queue, "--wait", "20s")
        self.assertEqual(code, 6)
        self.assertRegex(err, r"^weir: message [a-z2-7]{26}: the message is expired\n$")

    def test_a_token_is_sent(self):
        with tempfile.NamedTemporaryFile("w") as tokens:
            tokens.write("# secret\n0123456789abcdef\n")
            tokens.flush()
            with Server("--token-file", tokens.name) as server:
                url = f"http://127.0.0.1:{server.port}"
                self.assertEqual(weir("queues", url=url)[0], 4)
                self.assertEqual(weir("queues", "--token-file", tokens.name, url=url)[0], 0)
                self.assertEqual(weir("queues", url=url, env={"WEIR_TOKEN_FILE": tokens.name})[0], 0)


class Alone(unittest.TestCase):
    def test_every_command_has_help(self):
        code, out, _ = weir("--help")
        self.assertEqual(code, 0)
        for command in ("serve", "send", "take", "queues", "wait", "redrive", "bench", "advise", "sim", "check",
                        "version", "completion"):
            self.assertIn(f"\n  {command} ", out)
            self.assertEqual(weir(command, "--help")[0], 0)
            self.assertIn("Usage:", weir(command, "--help")[1])
            self.assertEqual(weir("help", command), weir(command, "--help"))
        self.assertEqual(weir("help")[1], out)
        self.assertEqual(weir("help", "sim", "serve"), weir("sim", "serve", "--help"))

    def test_help_that_cannot_be_written_is_a_failure(self):
        for arguments in (["--help"], ["--version"], ["serve", "--help"], ["version"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([APP, *arguments], stdout=full, stderr=subprocess.PIPE)
            self.assertEqual((done.returncode, done.stderr), (1, b"weir: standard output: No space left on device\n"), arguments)

    def test_a_data_folder_that_cannot_be_made_is_a_mistake_of_the_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            os.symlink("nothing", os.path.join(folder, "link"))
            for place, text in (("a/b", f"there is no folder '{folder}/a' to make the data folder 'b' in"),
                                ("link", f"the data folder '{folder}/link' is a link to what is not there")):
                refused = weir("serve", "--listen", "127.0.0.1:0", "--data", os.path.join(folder, place))
                self.assertEqual(refused, (2, "", f"weir: {text}\n"))
            self.assertEqual(os.listdir(folder), ["link"])

    def test_a_socket_where_something_else_is_is_a_mistake_of_the_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            place = os.path.join(folder, "door")
            Path(place).write_text("mine")
            for path, text in ((place, f"'{place}' is there and is no socket: remove it, or give --listen another path"),
                               (f"{folder}/a/door", f"there is no folder '{folder}/a' to make the socket '{folder}/a/door' in")):
                refused = weir("serve", "--listen", f"unix:{path}", "--data", os.path.join(folder, "data"))
                self.assertEqual(refused, (2, "", f"weir: {text}\n"))
            self.assertEqual(Path(place).read_text(), "mine")

    def test_a_config_that_comes_through_a_pipe_is_said_to_be_waited_for(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkfifo(pipe := os.path.join(folder, "pipe"))
            serving = subprocess.Popen([APP, "serve", "--config", pipe], stderr=subprocess.PIPE, text=True)
            self.addCleanup(serving.kill)
            self.assertIn(f"the config file is a pipe: reading until its writer closes it file={pipe}", serving.stderr.readline())
            Path(pipe).write_text('{"frob": 1}')
            self.assertIn("frob", serving.communicate(timeout=60)[1])
            self.assertEqual(serving.returncode, 2)

    def test_a_log_level_that_there_is_not_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            refused = weir("serve", "--listen", "127.0.0.1:0", "--data", os.path.join(folder, "d"), env={"WEIR_LOG": "loud"})
            self.assertEqual(refused, (2, "", "weir: there is no log level 'loud' (from WEIR_LOG); trace, debug, info, warn, error and off are known\n"))
            self.assertEqual(os.listdir(folder), [])

    def test_wrong_command_lines_are_refused(self):
        workload = ["--wait", "5ms", "--cpu", "1us"]
        for arguments, text in (
            ([], "a command is needed (see `weir --help`)"), (["serv"], "there is no command 'serv'"),
            (["--frob"], "--frob"), (["serve", "--datta", "x"], "serve: "), (["send"], "send: queue is required (see `weir send --help`)"),
            (["send", "q", "--priority", "10"], "--priority"), (["send", "q", "--delay", "5"], "ends without a unit"),
            (["take", "q", "--max", "0"], "--max"), (["completion", "tcsh"], "there is no completion for 'tcsh'; write bash, zsh or fish (see"), (["serve", "--listen", "nonsense"], "nonsense"),
            (["send", "--hlep"], "send: there is no option '--hlep' (see `weir send --help`)"), (["send", "q", "f", "g", "--hlep"], "no option '--hlep'"),
            (["wait", "x" * 5000], "wait: id: an id has at most 64 characters, and this has 5000 (see"), (["wait", ""], "wait: id: its value is empty"),
            (["check", __file__], f"weir: '{__file__}' is no folder\n"), (["bench", "disk", __file__], f"weir: '{__file__}' is no folder\n"),
            (["check"], "folder is required"), (["redrive"], "queue is required"), (["bench"], "subcommand is required"),
            (["sim", "serve", "--faults", "rain"], "--faults rain: all, none, or some of kill"),
            (["sim", "serve", "--tls", "perhaps"], "--tls perhaps: drawn, always or never"),
            (["sim", "serve", "--nodes", "1"], "--nodes"), (["sim", "serve", "--replay", "/nowhere"], "/nowhere"),
            (["sim", "serve", "--faults", "kill,"], "--faults kill,: all, none"), (["sim", "serve", "--faults", ""], "--faults: its value is empty"),
            (["sim", "serve", "--replay", "x", "--seed", "9"], "sim serve: --seed is taken only without --replay, whose file says it (see `weir sim serve --help`)"),
            (["sim", "serve", "--replay", "x", "--campaign", "1s"], "--campaign is taken only without --replay"),
            (["sim", "serve", "--twice-every", "2"], "--twice-every is taken only with --campaign"),
            (["sim", "serve", "--campaign", "1s", "--events"], "--events is taken only for one run"),
            (["sim", "serve", "--campaign", "1s", "--twice"], "--twice is taken only for one run"),
            (["sim", "serve", "--seeds", "3"], "--seeds is taken only with --campaign"), (["sim", "serve", "--jobs", "1"], "--jobs is taken only with --campaign"),
            (["sim", "serve", "--save", "x"], "--save is taken only with --shrink"), (["sim", "serve", "--time", "0s"], "--time 0s would try nothing"),
            (["sim", "serve", "--campaign", "0s"], "--campaign 0s would try nothing"),
            (["sim", "serve", "--campaign", "1s", "--seeds", "0"], "--seeds 0 would try nothing"),
            (["sim", "serve", "--shrink", "--shrink-runs", "0"], "--shrink-runs 0 would try nothing"),
            (["sim", "serve", "--shrink", "--save", "/nowhere/x"], "sim serve: --save /nowhere/x: it can't be written"),
            (["sim", "server"], "sim: there is no command 'server'; was 'serve' meant? (see `weir sim --help`)"),
            (["sim"], "sim: A subcommand is required (see `weir sim --help`)"), (["sim", "--fast"], "sim: there is no option '--fast'"),
            (["send", "q", "--key", ""], "send: --key: its value is empty"), (["send", "q", "--reply-to", ""], "--reply-to: its value is empty"),
            (["take", "q", "--raw", "--json"], "--raw and --json don't go together"),
            (["queus"], "there is no command 'queus'; was 'queues' meant? (see `weir --help`)"), (["help", "queus"], "there is no command 'queus'; was 'queues' meant?"),
            (["sim", "mutants", "it has no name"], "no mutant is called 'it has no name'"),
            (["sim", "serve", "--seed", "-1"], "--seed: '-1' is not a number from 0 to 18446744073709551615"),
            (["sim", "serve", "--seed", "18446744073709551616"], "is not a number"),
            (["bench", "disk", "--time", "0s"], "bench disk: --time: must be at least 1ms"),
            (["bench", "disk", "--bytes", "0"], "bench disk: --bytes: '0' is not a number from 1 to 1048576 (see `weir bench disk --help`)"),
            (["advise", "--wait", "5ms", "--cpu", "1us"], "advise: --concurrency is required (see `weir advise --help`)"),
            (["advise", *workload, "--concurrency", "0"], "--concurrency: '0' is not a number from 1 to 100000"),
            (["advise", *workload, "--concurrency", "1", "--cores", "100000"], "--cores: '100000' is not a number from 1 to"),
            (["advise", *workload, "--concurrency", "1", "--time", "1h"], "--time 1h: must be from 10ms to 1m"),
            (["advise", *workload, "--concurrency", "100000", "--bytes", "1048576"], "100000 requests would hold 98 GiB; at most 1.0 GiB"),
            (["advise", "--wait", "11s", "--cpu", "0s", "--concurrency", "1"], "--wait 11s: must be from 0s to 10s"),
            (["advise", "--wait", "1ms", "--cpu", "2s", "--concurrency", "1"], "--cpu 2s: must be from 0s to 1s"),
            (["advise", "--wait", "0s", "--cpu", "0s", "--concurrency", "1"], "a request must wait or compute"),
            (["advise", "--wait", "5", "--cpu", "0s", "--concurrency", "1"], "ends without a unit"),
            (["bench", "disk", "--writers", "4x"], "'4x' is not a number"), (["bench", "server", "--time", "soon"], "--time"),
        ):
            with self.subTest(arguments):
                code, out, err = weir(*arguments)
                self.assertEqual((code, out), (2, ""), err)
                self.assertTrue(err.startswith("weir: ") and err.count("\n") == 1, err)
                self.assertIn(text, err)

    def test_a_driver_that_is_none_is_refused(self):
        for command in (["serve", "--data", "/nowhere"], ["check", "/tmp"], ["queues"]):
            code, out, err = weir(*command, env={"WEIR_DRIVER": "abacus"})
            self.assertEqual((code, out), (2, ""), err)
            self.assertIn("there is no driver 'abacus'", err)

    def test_version_is_printed(self):
        code, out, _ = weir("version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^weir \d+\.\d+\.\d+\n$")
        self.assertEqual(weir("--version")[:2], (0, out))
        self.assertEqual(f"weir {json.loads(weir('version', '--json')[1])['version']}\n", out)

    def test_completions_are_scripts_that_their_shell_takes(self):
        for shell in ("bash", "zsh", "fish"):
            code, script, _ = weir("completion", shell)
            self.assertEqual(code, 0)
            self.assertIn("send", script)
            read = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
            self.assertEqual((read.returncode, read.stdout, read.stderr), (0, "", ""), shell)
        for line, offered in (
            ("send --pri", "--priority"), ("que", "queues"), ("--v", "--version"), ("sim se", "serve"),
            ("sim --", "--help"), ("sim serve --sh", "--shrink --shrink-runs"), ("sim mutants --c", "--control"),
            ("bench disk --", "--bytes --help --json --time --writers"), ("send --key -", ""), ("check -", "--help --json"), ("check ", ""), ("send q ", ""), ("bench disk ", ""), ("sim serve --tls --", ""),
            ("completion f", "fish"), ("hel", "help"), ("help que", "queues"), ("help sim m", "mutants"), ("serve --tls-c", "--tls-cert --tls-client-ca"),
        ):
            words = ["weir", *line.split(" ")]
            asked = weir("completion", "bash")[1] + f"\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _weir; echo ${{COMPREPLY[@]}}"
            told = subprocess.run(["bash", "-c", asked], capture_output=True, text=True).stdout.split()
            self.assertEqual(" ".join(sorted(told)), offered, line)  # nothing: the shell offers files

        script = weir("completion", "fish")[1]
        for line, offered in (
            ("take serve --d", ""), ("take serve --ra", "--raw"), ("send help ta", ""), ("-", "--help --version"), ("sim se", "serve"),
            ("sim serve --sh", "--shrink --shrink-runs"), ("sim serve --fr", ""), ("que", "queues"), ("help que", "queues"), ("help sim m", "mutants"), ("serve --tls-ce", "--tls-cert"),
        ):
            with tempfile.TemporaryDirectory() as folder:  # which has no files that might be offered
                asked = subprocess.run(["fish", "--no-config", "-c", f"{script}\ncomplete -C 'weir {line}'"],
                                       capture_output=True, text=True, cwd=folder)
            told = [one.split("\t")[0] for one in asked.stdout.splitlines()]
            self.assertEqual(" ".join(sorted(told)), offered, (line, asked.stderr))

    def test_the_disk_is_measured_and_nothing_is_left(self):
        with tempfile.TemporaryDirectory() as folder:
            code, out, err = weir("bench", "disk", folder, "--time", "50ms", "--bytes", "100", "--json")
            self.assertEqual((code, err), (0, ""))
            rows = json.loads(out)["rows"]
            self.assertEqual([row["what"] for row in rows], [
                "write and sync, by hand, one at a time", "journal, one at a time", "journal, 64 at once"])
            self.assertTrue(all(row["count"] > 0 for row in rows), rows)
            self.assertEqual(os.listdir(folder), [])
        self.assertEqual(weir("bench", "disk", "/no/such/folder"), (2, "", "weir: there is no folder '/no/such/folder'\n"))

    SHAPES = ["plain", "tasks", "tasks_and_pool", "loop_per_core", "thread_per_request"]

    def test_a_workload_is_measured_in_each_shape_and_one_is_advised(self):
        for length in ("20ms", "200ms", "2s"):  # a machine that has much to do may need longer for a single request
            code, out, err = weir("advise", "--wait", "1ms", "--cpu", "10us", "--concurrency", "20", "--bytes", "100",
                                  "--time", length, "--json")
            self.assertEqual((code, err), (0, ""))
            told = json.loads(out)
            measured = [row for row in told["shapes"] if row["verdict"] != "not measured"]
            if all(row["per_second"] > 0 for row in measured):
                break
        self.assertEqual([row["shape"] for row in told["shapes"]], self.SHAPES)
        self.assertEqual([row["shape"] for row in told["shapes"] if row["verdict"] == "advised"], [told["advice"]])
        self.assertEqual(len(told["reasons"]), len(self.SHAPES))
        self.assertTrue(0 <= told["others_busy"] <= 1, told)
        for row in told["shapes"]:
            self.assertIn(row["verdict"], ("advised", "fits", "slow", "late", "not measured"))
            if row["verdict"] == "not measured":
                self.assertEqual((row["shape"], row["why"]), ("loop_per_core", "not measured: there is one core"))
                continue
            self.assertEqual(row["concurrency"], 20)
            self.assertGreater(row["per_second"], 0, row)
            self.assertLessEqual(row["p50_us"], row["p99_us"], row)
            self.assertGreater(row["cpu_us"], 0, row)

    def test_advice_is_a_table_and_reasons_for_people(self):
        code, out, err = weir("advise", "--wait", "1ms", "--cpu", "0s", "--concurrency", "2", "--time", "10ms", "--cores", "1")
        self.assertEqual((code, err), (0, ""))
        head, table, advice = out.split("\n\n")
        self.assertIn("A request waits for 1ms and computes for 0s; 2 at once, on 1 processor.", head)
        rows = table.splitlines()
        self.assertEqual(rows[0].split(), ["SHAPE", "PER", "SECOND", "P50", "P99", "CPU", "SWITCHES", "MEMORY", "BUSY", "VERDICT"])
        self.assertEqual(len(rows), 1 + len(self.SHAPES))
        self.assertRegex(advice, r"^Advice: (plain code|tasks on|a thread)")
        self.assertIn("- Tasks on one loop, computing on a pool: not measured: there is nothing to compute.\n", advice)
        self.assertIn("- Tasks on a loop for each core: not measured: there is one core.\n", advice)

    def test_more_threads_than_are_started_are_said_to_be_not_measured(self):
        code, out, _ = weir("advise", "--wait", "50ms", "--cpu", "0s", "--concurrency", "2001", "--time", "10ms", "--json")
        row = json.loads(out)["shapes"][-1]
        self.assertEqual((code, row["verdict"]), (0, "not measured"))
        self.assertLessEqual(row["concurrency"], 2000)  # fewer where the system gives fewer
        self.assertEqual(row["why"], f"not measured with 2001, but with {row['concurrency']} threads at most")

    def test_advice_without_a_driver_is_refused_in_one_line(self):
        code, out, err = weir("advise", "--wait", "1ms", "--cpu", "0s", "--concurrency", "1", "--time", "10ms",
                              env={"WEIR_DRIVER": "abacus"})
        self.assertEqual((code, out), (2, ""), err)
        self.assertRegex(err, r"^weir: [^\n]*there is no driver 'abacus'[^\n]*\n$")

    def test_advice_that_is_interrupted_leaves_no_process(self):
        for sent in (signal.SIGINT, signal.SIGTERM):
            running = subprocess.Popen([APP, "advise", "--wait", "10s", "--cpu", "0s", "--concurrency", "10"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       # A shell's job in the background ignores it, and so would this one.
                                       preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            self.addCleanup(running.kill)
            children = f"/proc/{running.pid}/task/{running.pid}/children"
            while not Path(children).read_text():  # until it measures
                time.sleep(0.01)
            running.send_signal(sent)
            # The pipes end when all who have them have ended: it, and who measures for it.
            self.assertEqual(running.communicate(timeout=20), (b"", b""))
            self.assertEqual(running.returncode, -sent)

    def test_colours_are_for_terminals(self):
        with Server() as server:
            server.stop()
            for colours, environment in ((True, {}), (False, {"NO_COLOR": "1"}), (False, {"TERM": "dumb"})):
                ours, theirs = pty.openpty()
                done = subprocess.run([APP, "check", server.data], stdout=theirs, stderr=theirs, timeout=60,
                                      env={**os.environ, "TERM": "xterm", "NO_COLOR": "", **environment})
                os.close(theirs)
                shown = b""
                with contextlib.suppress(OSError):  # a terminal whose other end is closed
                    while piece := os.read(ours, 4096):
                        shown += piece
                os.close(ours)
                self.assertEqual(done.returncode, 0, shown)
                self.assertEqual(b"\x1b[32mNothing confirmed is damaged.\x1b[0m" in shown, colours, shown)
                self.assertEqual(b"\x1b" in shown, colours, shown)

    def test_check_tells_a_sound_folder_from_a_damaged_one(self):
        with Server() as server:
            api = server.client()
            api.put("/v1/queues/q")
            for _ in range(50):
                api.post("/v1/queues/q/messages", b"x" * 1000)
            self.assertEqual(server.stop(), 0)
            code, out, _ = weir("check", server.data)
            self.assertEqual(code, 0, out)
            self.assertIn("Nothing confirmed is damaged.", out)
            self.assertTrue(json.loads(weir("check", server.data, "--json")[1])["sound"])
            for name in sorted(os.listdir(server.data)):
                path = os.path.join(server.data, name)
                if "snap" in name or os.path.isdir(path):
                    continue
                with open(path, "r+b") as file:
                    data = file.read()
                    at = data.find(b"x" * 1000)
                    if at >= 0:
                        file.seek(at + 500)
                        file.write(b"y")
                        break
            code, out, _ = weir("check", server.data)
            self.assertEqual(code, 6, out)
            self.assertRegex(out, r"journal-0000000001\.seg, bytes \d+ to \d+: .*; records \d+ to \d+ can't be read")
            self.assertRegex(out, r"Confirmed records are damaged, and `weir serve` refuses to start\. What can be saved are the "
                                  r"5\d records that can be read; 1 other can't\.")
            report = json.loads(weir("check", server.data, "--json")[1])
            self.assertEqual((report["sound"], report["records_lost"], len(report["damages"])), (False, 1, 1))
            refused = weir("serve", "--data", server.data, "--listen", "127.0.0.1:0")
            self.assertEqual(refused[0], 1, refused)
            self.assertIn("weir: ", refused[2])
            self.assertIn("journal-0000000001.seg", refused[2])
            lossy = Server("--accept-loss", data=server.data).start()
            self.assertEqual(len(lossy.client().post("/v1/queues/q/leases?max=100").json["messages"]), 49)
            self.assertEqual(lossy.stop(), 0)
            again = Server(data=server.data).start()  # said once, the loss need not be said again
            self.assertEqual(again.client().get("/v1/queues/q").json["counts"]["leased"], 49)
            self.assertEqual(again.stop(), 0)
        self.assertEqual(weir("check", "/no/such/folder"), (2, "", "weir: there is no folder '/no/such/folder'\n"))
        self.assertEqual(weir("check", tempfile.gettempdir())[0], 2)

    def test_what_serve_cannot_open_says_what_to_do(self):
        with Server() as server, tempfile.TemporaryDirectory() as folder:
            taken, no_folder = f"127.0.0.1:{server.port}", os.path.join(folder, "file")
            with open(no_folder, "w", encoding="utf-8"):
                pass
            for code, arguments, text in (
                (2, ["--data", ""], "serve: --data: its value is empty (see `weir serve --help`)"),
                (2, ["--data", no_folder], f"'{no_folder}' is no folder"),
                (1, ["--data", server.data], "is in use by another process: end it, or use another folder"),
                (1, ["--data", folder, "--listen", taken],
                 f"{taken} is taken by another process: end it, or give --listen another address"),
            ):
                with self.subTest(arguments):
                    if "--listen" not in arguments:
                        arguments += ["--listen", "127.0.0.1:0"]
                    got, out, err = weir("serve", *arguments, env={"WEIR_LOG": "warn"})
                    self.assertEqual((got, out), (code, ""), err)
                    self.assertTrue(err.startswith("weir: ") and err.count("\n") == 1, err)
                    self.assertIn(text, err)


if __name__ == "__main__":
    unittest.main()
