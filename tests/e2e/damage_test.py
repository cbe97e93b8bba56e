"""A data folder that was damaged at each kind of place: confirmed records are never skipped silently. The start is
refused with 1 and names the file, its bytes and records, `weir check` says the same with 6, and --accept-loss goes
on with the rest, once.
"""

import glob
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from server import Server, check, run_serve, small_journal  # noqa: E402


def submit(client, body):
    return client.post("/v1/queues/q/messages", body).json["id"]


def submit_first(client):
    client.put("/v1/queues/q")
    return submit(client, b"x")


class Damage(unittest.TestCase):
    def test_a_folder_whose_secret_is_lost_is_refused_and_gets_no_new_one(self):
        with Server() as server:
            id = submit_first(server.client())
            server.kill()
            secret = os.path.join(server.data, "secret")
            os.rename(secret, secret + ".kept")
            code, report = check(server.data)
            self.assertEqual((code, report["sound"], report["damages"][-1]["file"]), (6, False, "secret"), report)
            for _ in range(2):
                code, last = run_serve("--accept-loss", "--data", server.data)
                self.assertEqual(code, 1, last)
                self.assertRegex(last, r"^weir: corrupt: '.*/secret' is missing: ")
            self.assertEqual(check(server.data)[0], 6)
            os.rename(secret + ".kept", secret)
            self.assertEqual(check(server.data)[0], 0)
            with Server(data=server.data) as again:
                self.assertEqual(again.client().get(f"/v1/messages/{id}").status, 200)

    def test_the_secret_of_another_folder_is_refused_until_the_folder_forgets_its_own(self):
        with Server() as other, Server() as server:
            id = submit_first(server.client())
            server.kill()
            shutil.copy(os.path.join(other.data, "secret"), os.path.join(server.data, "secret"))
            code, report = check(server.data)
            self.assertEqual((code, report["sound"]), (6, False), report)
            self.assertIn("another one than that of its data", report["damages"][-1]["text"])
            code, last = run_serve("--accept-loss", "--data", server.data)
            self.assertEqual(code, 1, last)
            self.assertRegex(last, r"^weir: corrupt: '.*/secret' is another one .* remove '.*/secret\.mark'")
            os.remove(os.path.join(server.data, "secret.mark"))
            with Server(data=server.data) as again:
                self.assertEqual(again.client().get(f"/v1/messages/{id}").status, 404)
                self.assertEqual(again.client().get("/v1/queues/q").json["counts"]["ready"], 1)

    def test_a_lost_body_is_told_alike_in_words_in_json_and_by_the_exit_code_where_a_snapshot_knows_of_it(self):
        with small_journal() as config, Server("--config", config) as server:
            api = server.client()
            api.put("/v1/queues/q")
            submit(api, b"lost" * 1000)
            api.put("/v1/queues/busy")
            while len(glob.glob(os.path.join(server.data, "snapshot-*.snap"))) < 2:
                api.post("/v1/queues/busy/messages", os.urandom(20_000))
            self.assertEqual(server.stop(), 0)
            for name in glob.glob(os.path.join(server.data, "journal-*.seg")):
                with open(name, "r+b") as file:
                    if (at := file.read().find(b"lost" * 1000)) >= 0:
                        file.seek(at + 500)
                        file.write(b"!")
            code, report = check(server.data)
            self.assertEqual((code, report["sound"], report["opens"], report["records_lost"]), (6, False, True, 1), report)
            with Server("--config", config, data=server.data) as again:
                self.assertEqual(again.client().post("/v1/queues/q/leases").json, {"messages": []})

    def test_messages_outlive_the_record_that_made_their_queue(self):
        with Server() as server:
            api = server.client()
            api.put("/v1/queues/mails", {"attempts": 9})
            ids = [api.post("/v1/queues/mails/messages", f"letter {i}").json["id"] for i in range(20)]
            self.assertEqual(server.stop(), 0)
            name = os.path.join(server.data, "journal-0000000001.seg")
            with open(name, "r+b") as file:
                at = file.read().find(b"mails")
                file.seek(at)
                file.write(b"Mails")
            self.assertEqual(check(server.data)[0], 6)
            with Server("--accept-loss", data=server.data) as again:
                # Written before the address, which was waited for.
                self.assertIn("the record that made a queue is lost", "".join(again.output))
                api = again.client()
                self.assertEqual({api.get(f"/v1/messages/{id}").json["queue"] for id in ids}, {"lost-1"})
                taken = api.post("/v1/queues/lost-1/leases?max=100").json["messages"]
                self.assertEqual([one["body"] for one in taken], [f"letter {i}" for i in range(20)])

    def damaged(self, data, damage, is_fatal=True):
        """Damages the folder of a server that was killed; gives what the refusal says."""
        damage(data)
        code, report = check(data)
        if not is_fatal:
            self.assertEqual((code, report["sound"]), (0, True), report)
            return None
        self.assertEqual((code, report["sound"]), (6, False), report)
        code, last = run_serve("--config", self.config, "--data", data)
        self.assertEqual(code, 1, last)
        self.assertRegex(last, r"^weir: corrupt: acknowledged data in '.*' is damaged: .*`weir check .*` tells more; "
                               r"with --accept-loss the rest is opened")
        return last

    def life(self, damage, is_fatal=True, count=60, at_end=None):
        """Fills a journal, damages it, and gives (ids before, what was said, ids that are left)."""
        with small_journal() as self.config, tempfile.TemporaryDirectory(prefix="weir-damage-") as data:
            with Server("--config", self.config, data=data) as server:
                client = server.client()
                client.put("/v1/queues/q", {"attempts": 0})
                ids = [submit(client, f"message {i} " + "x" * 2000) for i in range(count)]
                if at_end:
                    at_end(server, client)
                client.close()
                if server.process.poll() is None:
                    server.kill()
            said = self.damaged(data, damage, is_fatal)
            arguments = ["--accept-loss"] if is_fatal else []
            with Server("--config", self.config, *arguments, data=data) as server:
                client = server.client()
                client.put("/v1/queues/q", {"attempts": 0})  # the queue itself may be what was lost
                left = [id for id in ids if client.get(f"/v1/messages/{id}").status == 200]
                taken = set()
                while True:
                    batch = client.post("/v1/queues/q/leases?max=100").json["messages"]
                    if not batch:
                        break
                    taken |= {one["id"] for one in batch}
                    for one in batch:
                        self.assertRegex(one["body"], r"^message \d+ x{2000}$")
                self.assertTrue(submit(client, "goes on"))
                client.close()
                self.assertEqual(server.stop(), 0)
            if is_fatal:  # accepted once, it need not be again
                with Server("--config", self.config, data=data) as server:
                    self.assertEqual(server.client().get("/readyz").status, 200)
            return ids, said, left, taken

    @staticmethod
    def segment(data, number):
        return os.path.join(data, f"journal-{number:010}.seg")

    @staticmethod
    def flip(path, offset, count=1):
        with open(path, "r+b") as file:
            file.seek(offset)
            old = file.read(count)
            file.seek(offset)
            file.write(bytes(byte ^ 0xff for byte in old))

    @staticmethod
    def last_segment(data):
        """The path and the content of the last one that holds messages."""
        found = None
        for path in sorted(glob.glob(os.path.join(data, "journal-*.seg"))):
            with open(path, "rb") as file:
                text = file.read()
            if b"message " in text:
                found = path, text
        return found

    def test_a_damaged_header_of_a_sealed_segment_is_refused(self):
        ids, said, left, _ = self.life(lambda data: self.flip(self.segment(data, 1), 8))
        self.assertIn("journal-0000000001.seg", said)
        self.assertLess(len(left), len(ids))
        self.assertEqual(left, ids[len(ids) - len(left):])

    def test_a_damaged_batch_header_in_a_sealed_segment_is_refused(self):
        ids, said, left, _ = self.life(lambda data: self.flip(self.segment(data, 1), 64 + 3000))
        self.assertRegex(said, r"journal-0000000001\.seg, bytes \d+ to \d+: .*records \d+ to \d+")
        self.assertGreaterEqual(len(left), len(ids) - 3)

    def test_a_damaged_payload_in_a_sealed_segment_is_refused(self):
        def damage(data):
            with open(self.segment(data, 1), "rb") as file:
                at = file.read().index(b"message 3 ")
            self.flip(self.segment(data, 1), at + 100)

        ids, said, left, taken = self.life(damage)
        self.assertRegex(said, r"journal-0000000001\.seg, bytes \d+ to \d+: .*records 5 to 5")
        self.assertEqual(left, ids[:3] + ids[4:])
        self.assertEqual(taken, set(left))

    def test_a_damaged_batch_in_the_last_segment_is_refused(self):
        def damage(data):
            path, text = self.last_segment(data)
            at = [i for i in range(len(text)) if text.startswith(b"message ", i)]
            self.flip(path, at[len(at) // 2] + 100)

        ids, said, left, taken = self.life(damage)
        self.assertRegex(said, r"records \d+ to \d+")
        self.assertEqual(len(left), len(ids) - 1)
        self.assertEqual(taken, set(left))

    def test_a_torn_last_write_is_no_damage(self):
        def damage(data):
            path, text = self.last_segment(data)
            begin = text.rindex(b"message ")
            end = len(text.rstrip(b"\0")) + 7 & ~7
            # The same again behind it, cut: as a write that a power cut tore.
            with open(path, "r+b") as file:
                file.seek(end)
                file.write(text[begin - 200:begin + 700])

        ids, _, left, _ = self.life(damage, is_fatal=False)
        self.assertEqual(left, ids)

    def test_a_missing_segment_is_refused(self):
        ids, said, left, _ = self.life(lambda data: os.unlink(self.segment(data, 2)))
        self.assertIn("journal-0000000002.seg", said)
        self.assertLess(len(left), len(ids))

    def test_a_segment_that_was_cut_is_refused(self):
        ids, said, left, _ = self.life(lambda data: os.truncate(self.segment(data, 1), 30_000))
        self.assertIn("journal-0000000001.seg", said)
        self.assertLess(len(left), len(ids))

    def test_a_damaged_snapshot_is_left_out_and_nothing_is_lost(self):
        def damage(data):
            newest = max(glob.glob(os.path.join(data, "snapshot-*.snap")))
            self.flip(newest, 60)

        ids, _, left, taken = self.life(damage, is_fatal=False, count=250)
        self.assertEqual(left, ids)
        self.assertEqual(taken, set(ids))

    def test_a_lost_secret_is_refused(self):
        with small_journal() as config, tempfile.TemporaryDirectory(prefix="weir-damage-") as data:
            with Server("--config", config, data=data) as server:
                client = server.client()
                client.put("/v1/queues/q", {})
                id = submit(client, "kept")
                client.close()
                server.stop()
            shutil.move(os.path.join(data, "secret"), config + ".secret")
            code, last = run_serve("--config", config, "--data", data)
            self.assertEqual(code, 1, last)
            self.assertIn("secret' is missing", last)
            shutil.move(config + ".secret", os.path.join(data, "secret"))
            with Server("--config", config, data=data) as server:
                self.assertEqual(server.client().get(f"/v1/messages/{id}").status, 200)


if __name__ == "__main__":
    unittest.main()
