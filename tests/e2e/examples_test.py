"""The sample workers, against a real server: what they take comes back as the result or as the error."""

import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))
from server import APP, Server  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
WORKER = Path(APP).resolve().parent / "examples" / "worker"


class Examples(unittest.TestCase):
    def setUp(self):
        self.server = Server().start()
        self.addCleanup(self.server.__exit__)
        self.api = self.server.client()
        self.addCleanup(self.api.close)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def start(self, *command):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                                   env={**os.environ, "WEIR_URL": self.url}, start_new_session=True)

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

    def test_the_worker_in_shell_acknowledges_with_the_output_and_gives_back_with_the_error(self):
        self.api.put("/v1/queues/q", {"attempts": 1})
        worker = self.start(str(ROOT / "examples" / "worker.sh"), "q", "sh", "-c",
                            'read -r x; [ "$x" != bad ] || { echo "no \\"$x\\"" >&2; exit 3; }; echo "$x!"')
        id, *seen = self.outcome("q", b'say "hi" \\ twice\n')
        self.assertEqual(seen, ["done", 'say "hi" \\ twice!\n', None])
        self.assertEqual(worker.stdout.readline(), f"{id} done\n")
        id, *seen = self.outcome("q", b"bad\n")
        self.assertEqual(seen, ["dead", None, "no bad"])
        self.assertEqual(worker.stdout.readline(), f"{id} failed: no bad\n")

    def test_the_worker_in_shell_goes_on_when_its_lease_or_its_queue_is_gone(self):
        self.api.put("/v1/queues/q", {})
        worker = self.start(str(ROOT / "examples" / "worker.sh"), "q", "sh", "-c",
                            'read -r x; [ "$x" != gone ] || curl -s -X DELETE "$WEIR_URL/v1/queues/q"; echo "$x!"')
        id = self.api.post("/v1/queues/q/messages", b"gone\n").json["id"]
        while (line := worker.stderr.readline()) != f"{id} was not settled\n":
            self.assertNotEqual(line, "")
        while "404" not in (line := worker.stderr.readline()):  # it asks for its queue, and asks again
            self.assertNotEqual(line, "")
        self.api.put("/v1/queues/q", {})
        self.assertEqual(self.outcome("q", b"next\n")[1:], ("done", "next!\n", None))

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
        self.assertEqual(worker.wait(60), 0)

    @unittest.skipUnless(WORKER.exists(), "this build has no examples")
    def test_a_wrong_command_line_is_refused(self):
        worker = self.start(str(WORKER), "a", "b")
        self.assertEqual(worker.communicate(), ("", "usage: worker [URL]\n"))
        self.assertEqual(worker.returncode, 2)


if __name__ == "__main__":
    unittest.main()
