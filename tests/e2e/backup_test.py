"""What docs/howto/back-up.md says of copies: of a stopped server, of a paused one, sparse ones, and on another machine."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from server import APP, Server  # noqa: E402


class Producer(threading.Thread):
    """Submits until it is told to stop; knows what was confirmed."""

    def __init__(self, server):
        super().__init__()
        self.api = server.client()
        self.confirmed = []
        self.is_over = threading.Event()
        self.has_begun = threading.Event()

    def run(self):
        while not self.is_over.is_set():
            number = len(self.confirmed)
            answer = self.api.post("/v1/queues/jobs/messages", f"{number} ".encode() * 200)
            self.confirmed.append(answer.json["id"])
            if number == 50:
                self.has_begun.set()


class BackupTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weir-backup-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.copy = os.path.join(self.folder, "copy")

    def check(self):
        done = subprocess.run([APP, "check", self.copy], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def expect(self, ids):
        """A server over the copy has all of these, and they can be taken."""
        with Server(data=self.copy) as server:
            api = server.client()
            for id in ids:
                self.assertEqual(api.get(f"/v1/messages/{id}").json["state"], "ready")
            taken = []
            while more := api.post("/v1/queues/jobs/leases?max=1000").json["messages"]:
                taken += [message["id"] for message in more]
            self.assertEqual(taken[: len(ids)], ids)
            self.assertEqual(server.stop(), 0)

    def test_a_copy_of_a_stopped_server_is_the_server(self):
        with Server() as server:
            api = server.client()
            api.put("/v1/queues/jobs")
            ids = [api.post("/v1/queues/jobs/messages", b"x" * 1000).json["id"] for _ in range(20)]
            self.assertEqual(server.stop(), 0)
            subprocess.run(["cp", "-a", server.data, self.copy], check=True)
        self.check()
        self.assertEqual(os.stat(self.copy).st_mode & 0o777, 0o700)
        self.expect(ids)

    def test_a_copy_of_a_paused_server_has_all_that_was_confirmed(self):
        with Server() as server:
            server.client().put("/v1/queues/jobs")
            producer = Producer(server)
            producer.start()
            producer.has_begun.wait()
            os.kill(server.process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, server.process.pid, os.WSTOPPED | os.WNOWAIT)
            confirmed = list(producer.confirmed)
            subprocess.run(["cp", "-a", "--sparse=always", server.data, self.copy], check=True)
            os.kill(server.process.pid, signal.SIGCONT)
            producer.is_over.set()
            producer.join()
            self.assertGreaterEqual(len(producer.confirmed), len(confirmed))
        self.check()
        self.expect(confirmed)


if __name__ == "__main__":
    unittest.main()
