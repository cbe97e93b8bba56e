"""The sample workers, against a real server: what they take comes back as the result or as the error."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import unittest
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))
from server import APP, Server, Worker  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
WORKER = Path(APP).resolve().parent / "examples" / "worker"


class Examples(unittest.TestCase):
    def setUp(self):
        self.server = Server().start()
        self.addCleanup(self.server.__exit__)
        self.api = self.server.client()
        self.addCleanup(self.api.close)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def start(self, *command, **env):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                                   env={**os.environ, "WEIR_URL": self.url, **env}, start_new_session=True)

        def end():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

        self.addCleanup(end)
        return process

    def outcome(self, queue, body):
        id = self.api.post(f"/v1/queues/{queue}/messages", body).json["id"]
        shown = self.api.get(f"/v1/messages/{id}?wait=20s").json
        return id, shown["state"], shown["result"], shown["last_error"]

    def start_shell(self, *command, **env):
        return self.start(str(ROOT / "examples" / "worker.sh"), *command, **env)

    def test_the_worker_in_shell_acknowledges_with_the_output_and_gives_back_with_the_error(self):
        self.api.put("/v1/queues/q", {"attempts": 1})
        worker = self.start_shell("q", "sh", "-c",
                            'read -r x; [ "$x" != bad ] || { echo "no \\"$x\\"" >&2; exit 3; }; echo "$x!"')
        id, *seen = self.outcome("q", b'say "hi" \\ twice\n')
        self.assertEqual(seen, ["done", 'say "hi" \\ twice!\n', None])
        self.assertEqual(worker.stdout.readline(), f"{id} done\n")
        id, *seen = self.outcome("q", b"bad\n")
        self.assertEqual(seen, ["dead", None, "no bad"])
        self.assertEqual(worker.stdout.readline(), f"{id} failed: no bad\n")

    def test_the_worker_in_shell_goes_on_when_its_lease_or_its_queue_is_gone(self):
        self.api.put("/v1/queues/q", {})
        worker = self.start_shell("q", "sh", "-c",
                            'read -r x; [ "$x" != gone ] || curl -s -X DELETE "$WEIR_URL/v1/queues/q"; echo "$x!"')
        id = self.api.post("/v1/queues/q/messages", b"gone\n").json["id"]
        while (line := worker.stderr.readline()) != f"{id} was not settled: 409\n":
            self.assertNotEqual(line, "")
        while "404" not in (line := worker.stderr.readline()):  # it asks for its queue, and asks again
            self.assertNotEqual(line, "")
        self.api.put("/v1/queues/q", {})
        self.assertEqual(self.outcome("q", b"next\n")[1:], ("done", "next!\n", None))

    def test_the_worker_in_shell_asks_nothing_of_its_command_but_the_exit_code(self):
        self.api.put("/v1/queues/q", {"attempts": 1, "dead_letter": ""})
        large = b"x" * 1_000_000  # more than a pipe holds
        worker = self.start_shell("q", "true")
        self.assertEqual(self.outcome("q", large)[1:], ("done", "", None))
        worker.terminate()
        self.assertEqual(worker.wait(60), 0)
        worker = self.start_shell("q", "sh", "-c", "exit 7")
        self.assertEqual(self.outcome("q", b"x")[1:], ("dead", None, "exit code 7"))
        worker.terminate()
        self.assertEqual(worker.wait(60), 0)
        self.start_shell("q", "head", "-c", "9000000", "/dev/zero")
        self.assertEqual(self.outcome("q", b"x")[1:], ("dead", None, "its result is too large"))

    def test_the_worker_in_shell_without_a_command_is_refused(self):
        for arguments in ([], ["q"]):
            worker = self.start_shell(*arguments)
            self.assertEqual(worker.communicate(timeout=60), ("", "usage: worker.sh QUEUE COMMAND...\n"))
            self.assertEqual(worker.returncode, 2)

    def test_the_worker_in_shell_ends_after_what_it_has_in_hand_and_leaves_nobody_who_asks(self):
        asked, answer = threading.Event(), threading.Event()
        self.addCleanup(answer.set)

        def respond(_):
            asked.set()
            answer.wait()
            return 200, {}, b""

        with Worker(respond) as nobody:
            worker = self.start_shell("q", "true", WEIR_URL=nobody.url)
            asked.wait()
            worker.terminate()
            self.assertEqual(worker.communicate(timeout=20), ("", ""))  # who still asks has this pipe
            self.assertEqual(worker.returncode, 0)
            answer.set()
        self.api.put("/v1/queues/q", {"attempts": 1})
        worker = self.start_shell("q", "sh", "-c", "kill -TERM $PPID; cat")
        id, *seen = self.outcome("q", b"in hand")
        self.assertEqual(seen, ["done", "in hand", None])
        self.assertEqual(worker.communicate(timeout=60), (f"{id} done\n", ""))
        self.assertEqual(worker.returncode, 0)

    def test_the_workers_send_a_token(self):
        for command in ([str(ROOT / "examples" / "worker.sh"), "shout", "cat"], [str(WORKER)] * WORKER.exists()):
            with Worker(lambda call: (200, {}, b"")) as other:
                if command:
                    worker = self.start(*command, *[other.url] * (len(command) == 1), WEIR_URL=other.url, WEIR_TOKEN="0123456789abcdef")
                    self.assertEqual(other.wait_calls(1)[0]["headers"]["Authorization"], "Bearer 0123456789abcdef")
                    worker.terminate()
                    worker.communicate(timeout=60)

    @unittest.skipUnless(WORKER.exists(), "this build has no examples")
    def test_the_worker_in_cpp_asks_for_less_than_its_client_waits(self):
        header = (ROOT / "src" / "weir" / "http" / "client.hpp").read_text()
        waits = int(re.search(r"response_timeout = duration::seconds\((\d+)\)", header)[1])
        with Worker(lambda call: (200, {}, b"")) as other:
            worker = self.start(str(WORKER), other.url)
            asked = int(re.search(r"\?wait=(\d+)s", other.wait_calls(1)[0]["path"])[1])
            worker.terminate()
            worker.communicate(timeout=60)
        self.assertLess(asked, waits)

    @unittest.skipUnless(WORKER.exists(), "this build has no examples")
    def test_the_worker_in_cpp_ends_after_what_it_has_in_hand_and_says_how_it_went(self):
        def ends(status, told):  # a call of its own: a request that was late in one must not take the message of the next
            given, acked, stopped = threading.Lock(), threading.Event(), threading.Event()
            self.addCleanup(stopped.set)

            def respond(call):
                if call["path"].endswith("/ack"):
                    acked.set()
                    stopped.wait()
                    return status, {}, b"" if status == 204 else b"full \x1b[2J"
                if not given.acquire(blocking=False):
                    stopped.wait()
                    return 200, {}, b""
                return 200, {}, json.dumps({"receipt": "r", "body": "YRtbMkpi"}, separators=(",", ":")).encode()

            with Worker(respond) as other:
                worker = self.start(str(WORKER), other.url)
                self.assertTrue(acked.wait(60))
                worker.send_signal(signal.SIGINT)
                stopped.set()
                self.assertEqual(worker.communicate(timeout=60), (told, ""))
                self.assertEqual(worker.returncode, 0)

        ends(204, "done A?[2JB\n")
        ends(409, "lost its lease\n")
        ends(503, "not acknowledged: 503 full ?[2J\n")

    @unittest.skipUnless(WORKER.exists(), "this build has no examples")
    def test_the_worker_in_cpp_waits_for_its_queue_and_acknowledges(self):
        worker = self.start(str(WORKER), self.url)
        self.assertIn("there is no queue 'shout'", worker.stderr.readline())  # and goes on
        self.api.put("/v1/queues/shout")
        _, *seen = self.outcome("shout", b"hello")
        self.assertEqual(seen, ["done", "HELLO", None])
        self.assertEqual(worker.stdout.readline(), "done HELLO\n")
        self.assertEqual(self.outcome("shout", 'say "a\\b"\n'.encode())[2], 'SAY "A\\B"\n')
        _, *seen = self.outcome("shout", b"\xffraw")  # no UTF-8
        self.assertEqual(seen, ["done", "/1JBVw==", None])
        worker.send_signal(signal.SIGTERM)
        self.assertNotIn("cancelled", worker.communicate(timeout=60)[1])
        self.assertEqual(worker.returncode, 0)

    @unittest.skipUnless(WORKER.exists(), "this build has no examples")
    def test_a_wrong_command_line_is_refused(self):
        worker = self.start(str(WORKER), "a", "b")
        self.assertEqual(worker.communicate(), ("", "usage: worker [URL]\n"))
        self.assertEqual(worker.returncode, 2)


if __name__ == "__main__":
    unittest.main()
