"""Every endpoint of version 1 over real sockets, against the real program."""

import base64
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from server import APP, Client, Events, Server, Worker  # noqa: E402


class Case(unittest.TestCase):
    LATER = "3s"  # it has begun when an answer is durable, and a disk may take long for that

    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def setUp(self):
        self.api = self.server.client()
        self.queue = "".join(c if c.isalnum() else "-" for c in self.id().rsplit(".", 1)[-1])[-60:]

    def tearDown(self):
        self.api.close()

    def make(self, **settings):
        answer = self.api.put(f"/v1/queues/{self.queue}", settings)
        self.assertIn(answer.status, (200, 201), answer)
        return answer

    def send(self, body=b"hello", **headers):
        named = {("Content-Type" if k == "content_type" else "Weir-" + k.replace("_", "-")): v for k, v in headers.items()}
        answer = self.api.post(f"/v1/queues/{self.queue}/messages", body, headers=named)
        self.assertEqual(answer.status, 202, answer)
        return answer.json["id"]

    def take(self, max=1, wait="5s", queue=None):
        answer = self.api.post(f"/v1/queues/{queue or self.queue}/leases?max={max}&wait={wait}")
        self.assertEqual(answer.status, 200, answer)
        return answer.json["messages"]

    def message(self, id, query=""):
        answer = self.api.get(f"/v1/messages/{id}{query}")
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def assert_problem(self, answer, status, code, detail=None):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        self.assertEqual(answer.json["status"], status)
        self.assertEqual(answer.json["code"], code)
        self.assertTrue(answer.json["title"])
        if detail:
            self.assertIn(detail, answer.json["detail"])


class Queues(Case):
    SETTINGS = {
        "capacity": {"messages": 10, "bytes": 2000}, "lease": "45s", "attempts": 7,
        "backoff": {"first": "250ms", "max": "2m", "factor": 1.5, "jitter": 0.25},
        "dead_letter": "graveyard", "ttl": "1d", "result_ttl": "2h", "key_window": "3h",
        "push": {"url": "http://127.0.0.1:9/x", "concurrency": 3, "rate": 20, "timeout": "5s"},
    }

    def test_a_queue_is_created_with_every_setting_and_updated(self):
        created = self.make(**self.SETTINGS)
        self.assertEqual(created.status, 201)
        self.assertEqual(created.json["settings"], self.SETTINGS)
        updated = self.make(lease="1m", push=None)
        self.assertEqual(updated.status, 200)
        expected = {**self.SETTINGS, "lease": "1m", "push": None}
        self.assertEqual(updated.json["settings"], expected)
        shown = self.api.get(f"/v1/queues/{self.queue}")
        self.assertEqual((shown.status, shown.json["settings"]), (200, expected))

    def test_a_queue_without_a_body_has_the_defaults(self):
        settings = self.make().json["settings"]
        self.assertEqual(settings["lease"], "30s")
        self.assertEqual(settings["attempts"], 5)
        self.assertEqual(settings["backoff"], {"first": "1s", "max": "5m", "factor": 2, "jitter": 0.2})
        self.assertEqual(settings["dead_letter"], "{q}.dead")
        self.assertEqual((settings["ttl"], settings["result_ttl"], settings["push"]), ("7d", "1h", None))

    def test_counts_and_rates_are_shown(self):
        self.make()
        for _ in range(3):
            self.send(b"12345")
        self.send(b"12345", Delay="1h")
        self.take()
        shown = self.api.get(f"/v1/queues/{self.queue}").json
        self.assertEqual(shown["name"], self.queue)
        self.assertEqual(shown["counts"], {"ready": 2, "delayed": 1, "leased": 1, "done": 0, "expired": 0,
                                           "dead": 0, "bytes": 20})
        self.assertRegex(shown["oldest_age"], r"^\d+(ns|us|ms|s)")
        self.assertEqual(sorted(shown["rates"]), ["completed", "failed", "leased", "submitted"])
        listed = {queue["name"]: queue for queue in self.api.get("/v1/queues").json["queues"]}
        self.assertEqual(listed[self.queue]["counts"], shown["counts"])

    def test_a_queue_is_deleted_with_its_messages(self):
        self.make()
        id = self.send()
        answer = self.api.delete(f"/v1/queues/{self.queue}")
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assert_problem(self.api.get(f"/v1/queues/{self.queue}"), 404, "queue_not_found", self.queue)
        self.assert_problem(self.api.get(f"/v1/messages/{id}"), 404, "message_not_found")
        self.assert_problem(self.api.delete(f"/v1/queues/{self.queue}"), 404, "queue_not_found")

    def test_unknown_settings_are_refused_by_name(self):
        answer = self.api.put(f"/v1/queues/{self.queue}", {"leese": "3s"})
        self.assert_problem(answer, 400, "unknown_setting", "unknown setting 'leese'; known are: attempts,")
        self.assert_problem(self.api.get(f"/v1/queues/{self.queue}"), 404, "queue_not_found")

    def test_bad_settings_are_refused_by_path(self):
        for settings, detail in (
            ({"lease": "0s"}, "'lease'"), ({"attempts": 10001}, "'attempts'"),
            ({"capacity": {"messages": 0}}, "'capacity.messages'"), ({"capacity": {"bytes": 0}}, "'capacity.bytes'"),
            ({"backoff": {"factor": 0}}, "'backoff.factor'"), ({"backoff": {"jitter": 2}}, "'backoff.jitter'"),
            ({"backoff": {"first": "1m", "max": "1s"}}, "'backoff.max'"), ({"dead_letter": "a/b"}, "'dead_letter'"),
            ({"ttl": "9999d"}, "'ttl'"), ({"result_ttl": 5}, "'result_ttl'"), ({"push": {"rate": 1}}, "'push.url'"),
            ({"push": {"url": "ftp://x"}}, "'push.url'"), ({"push": {"url": "https://a@x/"}}, "'push.url'"),
            ({"push": {"url": "http://x/", "concurrency": 0}}, "'push.concurrency'"),
            ({"push": {"url": "http://x/", "timeout": "0s"}}, "'push.timeout'"),
        ):
            with self.subTest(settings):
                self.assert_problem(self.api.put(f"/v1/queues/{self.queue}", settings), 400, "invalid_setting", detail)
        self.assert_problem(self.api.put(f"/v1/queues/{self.queue}", "{"), 400, "invalid_json")
        self.assert_problem(
            self.api.put(f"/v1/queues/{self.queue}", '{"lease":"1s","lease":"2s"}'), 400, "invalid_json", "'lease' twice")
        self.assert_problem(self.api.put("/v1/queues/.x", {}), 400, "invalid_name")
        self.assert_problem(self.api.put("/v1/queues/" + "x" * 101, {}), 400, "invalid_name")


class Messages(Case):
    def test_a_message_is_taken_and_acknowledged_with_its_result(self):
        self.make()
        answer = self.api.post(f"/v1/queues/{self.queue}/messages", b"letter", headers={"Content-Type": "text/x-letter"})
        self.assertEqual(answer.status, 202)
        id = answer.json["id"]
        self.assertEqual(answer.headers["Location"], f"/v1/messages/{id}")
        self.assertEqual(self.message(id)["state"], "ready")
        [taken] = self.take()
        self.assertEqual(taken["id"], id)
        self.assertEqual((taken["body"], taken["encoding"]), ("letter", "text"))
        self.assertEqual((taken["content_type"], taken["attempt"]), ("text/x-letter", 1))
        self.assertRegex(taken["deadline"], r"^20\d\d-\d\d-\d\dT.*Z$")
        self.assertEqual(self.message(id)["state"], "leased")
        done = self.api.post(f"/v1/leases/{taken['receipt']}/ack", b"sent", headers={"Content-Type": "text/plain"})
        self.assertEqual(done.status, 204, done)
        shown = self.message(id)
        self.assertEqual((shown["state"], shown["attempts"], shown["queue"]), ("done", 1, self.queue))
        self.assertEqual((shown["result"], shown["result_encoding"], shown["result_content_type"]),
                         ("sent", "text", "text/plain"))
        self.assertRegex(shown["submitted_at"], r"^20.*Z$")
        self.assert_problem(self.api.post(f"/v1/leases/{taken['receipt']}/ack"), 409, "stale_receipt")

    def test_a_message_shows_all_that_is_known_of_it(self):
        moment = r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
        made = self.make(attempts=2, backoff={"first": "0s", "max": "0s"})
        self.assertRegex(made.json["created_at"], moment)
        always = ("id", "queue", "state", "priority", "attempts", "submitted_at", "ready_at", "leased_until", "expires_at",
                  "kept_until", "last_error", "origin", "result")

        def moments(id, *named):
            shown = self.message(id)
            self.assertEqual(sorted(set(shown) - {"result_encoding", "result_content_type"}), sorted(always))
            for name in ("submitted_at", "ready_at", "leased_until", "expires_at", "kept_until"):
                if name in named:
                    self.assertRegex(shown[name], moment, name)
                else:
                    self.assertIsNone(shown[name], name)
            return shown

        later = self.send(b"x", Delay="1h", Ttl="0s")
        self.assertEqual(moments(later, "submitted_at", "ready_at")["state"], "delayed")
        done, dies = self.send(b"x", Priority="9"), self.send(b"x")
        shown = moments(done, "submitted_at", "expires_at")
        self.assertEqual((shown["state"], shown["priority"], shown["attempts"], shown["last_error"]), ("ready", 9, 0, None))
        [taken] = self.take()
        self.assertEqual(taken["id"], done)
        self.assertEqual(moments(done, "submitted_at", "leased_until", "expires_at")["leased_until"], taken["deadline"])
        self.api.post(f"/v1/leases/{taken['receipt']}/ack", b"r")
        self.assertIsNone(moments(done, "submitted_at", "expires_at", "kept_until")["origin"])
        for _ in range(2):
            [taken] = self.take()
            self.api.post(f"/v1/leases/{taken['receipt']}/nack", {"error": "no"})
        shown = self.message(dies)
        self.assertEqual((shown["state"], shown["origin"], shown["queue"], shown["result"]),
                         ("dead", self.queue, self.queue + ".dead", None))
        moments(dies, "submitted_at")  # a dead letter stays
        self.make(dead_letter="")
        dies = self.send(b"x")
        for _ in range(2):
            [taken] = self.take()
            self.api.post(f"/v1/leases/{taken['receipt']}/nack", {"error": "no"})
        shown = moments(dies, "submitted_at", "expires_at", "kept_until")
        self.assertEqual((shown["state"], shown["origin"], shown["queue"]), ("dead", None, self.queue))

    def test_bytes_that_are_no_text_travel_as_base64(self):
        self.make()
        body = bytes(range(256))
        id = self.send(body)
        [taken] = self.take()
        self.assertEqual((taken["encoding"], base64.b64decode(taken["body"])), ("base64", body))
        self.assertEqual(taken["content_type"], "application/octet-stream")
        self.api.post(f"/v1/leases/{taken['receipt']}/ack", body)
        shown = self.message(id)
        self.assertEqual((shown["result_encoding"], base64.b64decode(shown["result"])), ("base64", body))

    def test_a_key_gives_the_same_id_once(self):
        self.make()
        first = self.send(b"a", Key="order-7")
        again = self.api.post(f"/v1/queues/{self.queue}/messages", b"b", headers={"Weir-Key": "order-7"})
        self.assertEqual((again.status, again.json["id"], again.json["duplicate"]), (202, first, True))
        self.assertNotEqual(self.send(b"c", Key="order-8"), first)
        self.assertEqual(len(self.take(max=10)), 2)

    def test_higher_priorities_leave_first_and_delayed_ones_later(self):
        self.make()
        low, high = self.send(b"low", Priority="1"), self.send(b"high", Priority="9")
        later = self.send(b"later", Priority="9", Delay=self.LATER)
        self.assertEqual(self.message(later)["state"], "delayed")
        self.assertEqual([m["id"] for m in self.take(max=10)], [high, low])
        self.assertEqual([m["id"] for m in self.take(wait="20s")], [later])

    def test_a_message_expires_after_its_time_to_live(self):
        self.make()
        id = self.send(b"x", Ttl="50ms")
        shown = self.message(id, "?wait=10s")
        self.assertEqual(shown["state"], "expired")
        self.assertEqual(self.take(wait="0s"), [])

    def test_a_wait_ends_when_the_message_does(self):
        self.make()
        id = self.send()
        before = time.monotonic()
        self.assertEqual(self.message(id, "?wait=100ms")["state"], "ready")
        self.assertGreaterEqual(time.monotonic() - before, 0.1)

        def work():
            client = self.server.client()
            [taken] = client.post(f"/v1/queues/{self.queue}/leases?wait=5s").json["messages"]
            client.post(f"/v1/leases/{taken['receipt']}/ack", b"42")

        worker = threading.Thread(target=work)
        worker.start()
        self.assertEqual(self.message(id, "?wait=20s")["result"], "42")
        worker.join()

    def test_a_lease_waits_for_a_message(self):
        self.make()
        self.assertEqual(self.take(wait="50ms"), [])
        answer = []
        waiting = threading.Thread(target=lambda: answer.append(
            self.server.client().post(f"/v1/queues/{self.queue}/leases?wait=20s").json))
        waiting.start()
        id = self.send()
        waiting.join()
        self.assertEqual(answer[0]["messages"][0]["id"], id)

    def test_a_message_that_its_queue_never_has_room_for_is_413_and_keeps_nobody_out(self):
        self.make(capacity={"bytes": 10})
        for wait in ("", "?wait=20s"):
            refused = self.api.post(f"/v1/queues/{self.queue}/messages{wait}", b"x" * 11)
            self.assert_problem(refused, 413, "message_too_large")
            self.assertIn("capacity.bytes", refused.json["detail"])
        self.send(b"x" * 10)

    def test_a_full_queue_answers_429_or_waits_for_room(self):
        self.make(capacity={"messages": 1, "bytes": 1000})
        self.send()
        full = self.api.post(f"/v1/queues/{self.queue}/messages", b"x")
        self.assert_problem(full, 429, "queue_full")
        self.assertGreaterEqual(int(full.headers["Retry-After"]), 1)
        before = time.monotonic()
        self.assertEqual(self.api.post(f"/v1/queues/{self.queue}/messages?wait=100ms", b"x").status, 429)
        self.assertGreaterEqual(time.monotonic() - before, 0.1)
        answer = []
        waiting = threading.Thread(target=lambda: answer.append(
            self.server.client().post(f"/v1/queues/{self.queue}/messages?wait=20s", b"second")))
        waiting.start()
        [taken] = self.take()
        self.api.post(f"/v1/leases/{taken['receipt']}/ack")
        waiting.join()
        self.assertEqual(answer[0].status, 202)

    def test_a_message_over_the_limit_is_413(self):
        self.make()
        big = b"x" * (8 * 1024 * 1024 + 1)
        self.assert_problem(Client(self.server.port).post(f"/v1/queues/{self.queue}/messages", big), 413,
                            "message_too_large")
        self.assertTrue(self.send(big[:-1]))

    def test_bad_fields_and_unknown_things_are_refused(self):
        self.make()
        path = f"/v1/queues/{self.queue}/messages"
        self.assert_problem(self.api.post("/v1/queues/nobody/messages", b"x"), 404, "queue_not_found", "nobody")
        for name, value in (("Weir-Priority", "10"), ("Weir-Delay", "5"), ("Weir-Ttl", "x"), ("Weir-Key", "k" * 257),
                            ("Weir-Reply-To", "ftp://x/")):
            with self.subTest(name):
                self.assert_problem(self.api.post(path, b"x", headers={name: value}), 400, "invalid_field", name)
        self.assert_problem(self.api.post(path, b"x", headers={"Weir-Prio": "1"}), 400, "unknown_field", "Weir-Prio")
        self.assert_problem(self.api.post(path + "?wiat=1s", b"x"), 400, "unknown_parameter", "wiat")
        self.assert_problem(self.api.post(path + "?wait=1", b"x"), 400, "invalid_parameter", "wait")
        self.assert_problem(self.api.get("/v1/messages/nope"), 404, "message_not_found")
        self.assert_problem(self.api.get("/nowhere"), 404, "no_such_path")
        wrong = self.api.get(path)
        self.assert_problem(wrong, 405, "method_not_allowed")
        self.assertEqual(wrong.headers["Allow"], "POST")

    def test_a_batch_is_answered_per_message(self):
        self.make()
        answer = self.api.post(f"/v1/queues/{self.queue}/messages:batch", {"messages": [
            {"body": "one", "key": "k1"}, {"body": "AP8=", "encoding": "base64", "content_type": "image/x"},
            {"body": "bad", "priority": 12}, {"body": "again", "key": "k1"}]})
        self.assertEqual(answer.status, 202, answer)
        one, two, bad, again = answer.json["messages"]
        self.assertEqual((one["status"], two["status"], bad["status"], again["status"]), (202, 202, 400, 202))
        self.assertEqual((bad["code"], again["id"], again["duplicate"]), ("invalid_field", one["id"], True))
        taken = {m["id"]: m for m in self.take(max=10)}
        self.assertEqual(taken[one["id"]]["body"], "one")
        self.assertEqual((taken[two["id"]]["encoding"], taken[two["id"]]["body"]), ("base64", "AP8="))
        self.assertEqual(taken[two["id"]]["content_type"], "image/x")
        self.assert_problem(self.api.post(f"/v1/queues/{self.queue}/messages:batch", {"messages": []}), 400, "invalid_field")
        self.assert_problem(self.api.post("/v1/queues/nobody/messages:batch", {"messages": [{"body": "x"}]}), 404,
                            "queue_not_found")


class Leases(Case):
    def test_a_nack_brings_the_message_back_after_its_delay_with_its_error(self):
        self.make()
        id = self.send()
        [first] = self.take()
        answer = self.api.post(f"/v1/leases/{first['receipt']}/nack", {"delay": self.LATER, "error": "no stamps"})
        self.assertEqual(answer.status, 204, answer)
        shown = self.message(id)
        self.assertEqual((shown["state"], shown["last_error"]), ("delayed", "no stamps"))
        [second] = self.take(wait="20s")
        self.assertEqual((second["id"], second["attempt"]), (id, 2))
        self.assert_problem(self.api.post(f"/v1/leases/{first['receipt']}/nack"), 409, "stale_receipt")

    def test_a_lease_that_is_not_extended_ends_and_one_that_is_does_not(self):
        self.make(lease=self.LATER, backoff={"first": "0s", "max": "0s"})
        lost, kept = self.send(b"lost"), self.send(b"kept")
        leases = {m["id"]: m for m in self.take(max=2)}
        longer = self.api.post(f"/v1/leases/{leases[kept]['receipt']}/extend", {"lease": "1m"})
        self.assertEqual(longer.status, 200, longer)
        self.assertGreater(longer.json["deadline"], leases[kept]["deadline"])
        [again] = self.take(wait="20s")
        self.assertEqual((again["id"], again["attempt"]), (lost, 2))
        self.assert_problem(self.api.post(f"/v1/leases/{leases[lost]['receipt']}/ack"), 409, "stale_receipt")
        self.assertEqual(self.api.post(f"/v1/leases/{leases[kept]['receipt']}/ack").status, 204)
        self.assert_problem(self.api.post(f"/v1/leases/{leases[kept]['receipt']}/extend"), 409, "stale_receipt")

    def test_bad_bodies_and_receipts_are_refused(self):
        self.make()
        self.send()
        [taken] = self.take()
        path = f"/v1/leases/{taken['receipt']}"
        self.assert_problem(self.api.post(path + "/nack", {"dealy": "1s"}), 400, "unknown_field", "dealy")
        self.assert_problem(self.api.post(path + "/nack", {"delay": 1}), 400, "invalid_field", "delay")
        self.assert_problem(self.api.post(path + "/nack", "nope"), 400, "invalid_json")
        self.assert_problem(self.api.post(path + "/extend", {"lease": "0s"}), 400, "invalid_field", "lease")
        for type in ("", "x" * 257, "text/\tplain"):
            self.assert_problem(self.api.post(path + "/ack", b"done", headers={"Content-Type": type}), 400, "invalid_field", "Content-Type")
        for verb in ("ack", "nack", "extend"):
            self.assert_problem(self.api.post(f"/v1/leases/none/{verb}"), 409, "stale_receipt")
        leases = f"/v1/queues/{self.queue}/leases"
        self.assert_problem(self.api.post(leases + "?max=0"), 400, "invalid_parameter", "max")
        self.assert_problem(self.api.post(leases + "?max=1001"), 400, "invalid_parameter", "max")
        for lease in ("0s", "3651d"):
            self.assert_problem(self.api.post(f"{leases}?lease={lease}"), 400, "invalid_parameter", "lease")
        self.assert_problem(self.api.post("/v1/queues/nobody/leases"), 404, "queue_not_found")

    def test_attempts_end_in_the_dead_letter_queue_and_redrive_brings_them_back(self):
        self.make(attempts=2, backoff={"first": "0s", "max": "0s"})
        id = self.send()
        for _ in range(2):
            [taken] = self.take()
            self.api.post(f"/v1/leases/{taken['receipt']}/nack", {"error": "broken"})
        shown = self.message(id)
        self.assertEqual((shown["state"], shown["attempts"], shown["last_error"]), ("dead", 2, "broken"))
        self.assertEqual(self.api.get(f"/v1/queues/{self.queue}").json["counts"]["dead"], 1)
        self.assertEqual(self.api.get(f"/v1/queues/{self.queue}.dead").status, 200)
        answer = self.api.post(f"/v1/queues/{self.queue}/redrive")
        self.assertEqual((answer.status, answer.json), (200, {"moved": 1, "left": 0, "leased": 0, "no_room": 0, "no_queue": 0, "ended": 0}))
        [taken] = self.take()
        self.assertEqual((taken["id"], taken["attempt"]), (id, 1))
        self.assert_problem(self.api.post("/v1/queues/nobody/redrive"), 404, "queue_not_found")

    def test_a_redrive_tells_what_is_left_and_why(self):
        self.make(attempts=1)
        for _ in range(4):
            self.send()
        for taken in self.take(max=4):
            self.api.post(f"/v1/leases/{taken['receipt']}/nack")
        [held] = self.api.post(f"/v1/queues/{self.queue}.dead/leases?max=1&lease=1h").json["messages"]
        self.api.put(f"/v1/queues/{self.queue}", {"capacity": {"messages": 1}})
        answer = self.api.post(f"/v1/queues/{self.queue}/redrive")
        self.assertEqual(answer.json, {"moved": 1, "left": 3, "leased": 1, "no_room": 2, "no_queue": 0, "ended": 0})
        self.api.delete(f"/v1/queues/{self.queue}")
        self.api.post(f"/v1/leases/{held['receipt']}/nack", {"delay": "0s"})
        answer = self.api.post(f"/v1/queues/{self.queue}.dead/redrive")
        self.assertEqual(answer.json, {"moved": 0, "left": 3, "leased": 0, "no_room": 0, "no_queue": 3, "ended": 0})
        self.make(attempts=1)  # under the name of the one that was deleted
        answer = self.api.post(f"/v1/queues/{self.queue}.dead/redrive")
        self.assertEqual(answer.json, {"moved": 3, "left": 0, "leased": 0, "no_room": 0, "no_queue": 0, "ended": 0})
        self.api.delete(f"/v1/queues/{self.queue}")
        self.make(attempts=1, dead_letter="")
        self.send()
        [taken] = self.take()
        self.api.post(f"/v1/leases/{taken['receipt']}/nack")
        answer = self.api.post(f"/v1/queues/{self.queue}/redrive")
        self.assertEqual(answer.json, {"moved": 0, "left": 1, "leased": 0, "no_room": 0, "no_queue": 0, "ended": 1})
        self.assertEqual(self.api.get(f"/v1/queues/{self.queue}").json["counts"]["dead"], 1)


class EventStreams(Case):
    def test_a_messages_events_end_with_its_result(self):
        self.make()
        id = self.send()
        events = Events(self.server.port, f"/v1/messages/{id}/events")
        self.assertEqual(events.status, 200)
        self.assertTrue(events.response.headers["Content-Type"].startswith("text/event-stream"))
        kind, data = events.next()
        self.assertEqual((kind, data["id"], data["state"]), ("state", id, "ready"))
        [taken] = self.take()
        self.assertEqual(events.next()[0], "leased")
        self.api.post(f"/v1/leases/{taken['receipt']}/ack", b"fine")
        kind, data = events.next()
        self.assertEqual((kind, data["id"]), ("completed", id))
        kind, data = events.next()
        self.assertEqual((kind, data["state"], data["result"]), ("state", "done", "fine"))
        self.assertIsNone(events.next())
        events.close()

    def test_whoever_is_there_gets_the_result_of_a_message_that_is_not_kept(self):
        self.make(result_ttl="0s")
        id = self.send()
        events = Events(self.server.port, f"/v1/messages/{id}/events")
        self.assertEqual(events.next()[0], "state")
        [taken] = self.take()
        self.assertEqual(events.next()[0], "leased")
        self.api.post(f"/v1/leases/{taken['receipt']}/ack", b"fine")
        self.assertEqual(events.next()[0], "completed")
        kind, data = events.next()
        self.assertEqual((kind, data["state"], data["result"]), ("state", "done", "fine"))
        self.assertIsNone(events.next())
        events.close()
        self.assert_problem(self.api.get(f"/v1/messages/{id}"), 404, "message_not_found")

    def test_a_messages_events_end_when_its_queue_is_deleted(self):
        self.make()
        id = self.send()
        events = Events(self.server.port, f"/v1/messages/{id}/events")
        self.assertEqual(events.next()[0], "state")
        self.assertEqual(self.api.delete(f"/v1/queues/{self.queue}").status, 204)
        self.assertIsNone(events.next())
        events.close()

    def test_a_queues_events_tell_what_happens_in_it(self):
        self.make(backoff={"first": "0s", "max": "0s"})
        events = Events(self.server.port, f"/v1/queues/{self.queue}/events")
        self.assertEqual(events.status, 200)
        id = self.send()
        kind, data = events.next()
        self.assertEqual((kind, data["id"], data["queue"], data["attempt"]), ("submitted", id, self.queue, 0))
        self.assertRegex(data["at"], r"^20.*Z$")
        [taken] = self.take()
        self.assertEqual(events.next()[0], "leased")
        self.api.post(f"/v1/leases/{taken['receipt']}/nack", {"error": "oops"})
        kind, data = events.next()
        self.assertEqual((kind, data["error"]), ("retried", "oops"))
        events.close()

    def test_streams_of_what_is_not_there_are_404(self):
        self.assert_problem(self.api.get("/v1/messages/nope/events"), 404, "message_not_found")
        self.assert_problem(self.api.get("/v1/queues/nobody/events"), 404, "queue_not_found")


class Push(Case):
    def test_a_worker_is_called_and_its_answer_is_the_result(self):
        with Worker(lambda call: (200, {"Content-Type": "text/up"}, call["body"].upper())) as worker:
            self.make(push={"url": worker.url + "/work?x=1"})
            id = self.send(b"hello", content_type="text/plain")
            shown = self.message(id, "?wait=20s")
            self.assertEqual((shown["state"], shown["result"], shown["result_content_type"]), ("done", "HELLO", "text/up"))
            [call] = worker.wait_calls(1)
            self.assertEqual((call["path"], call["body"]), ("/work?x=1", b"hello"))
            self.assertEqual(call["headers"]["Weir-Id"], id)
            self.assertEqual(call["headers"]["Weir-Attempt"], "1")
            self.assertEqual(call["headers"]["Weir-Queue"], self.queue)
            self.assertEqual(call["headers"]["Content-Type"], "text/plain")

    def test_a_queue_may_be_where_messages_and_results_go(self):
        here = f"http://127.0.0.1:{self.server.port}/v1/queues/{self.queue}"
        for name in ("next", "results"):
            self.api.put(f"/v1/queues/{self.queue}-{name}")
        self.make(push={"url": f"{here}-next/messages"})
        id = self.send(b"onwards", content_type="text/plain", Reply_To=f"{here}-results/messages")
        [moved] = self.take(wait="20s", queue=f"{self.queue}-next")
        self.assertEqual((moved["body"], moved["content_type"]), ("onwards", "text/plain"))
        [told] = self.take(wait="20s", queue=f"{self.queue}-results")
        told = json.loads(told["body"])
        self.assertEqual((told["id"], told["state"], json.loads(told["result"])), (id, "done", {"id": moved["id"]}))

    def test_a_workers_odd_content_type_is_not_kept(self):
        with Worker(lambda call: (200, {"Content-Type": call["body"].decode()}, b"done")) as worker:
            self.make(push={"url": worker.url.replace("http", "HTTP")})
            for odd in (b"", b"text/\tplain", b"x" * 257):
                shown = self.message(self.send(odd), "?wait=20s")
                self.assertEqual((shown["state"], shown["result"]), ("done", "done"))
                self.assertEqual(shown["result_content_type"], "application/octet-stream")

    def test_failures_are_retried_and_then_dead(self):
        with Worker(lambda call: (500, {}, b"out of paper")) as worker:
            self.make(attempts=3, backoff={"first": "10ms", "max": "10ms"}, push={"url": worker.url})
            shown = self.message(self.send(), "?wait=20s")
            self.assertEqual((shown["state"], shown["attempts"]), ("dead", 3))
            self.assertIn("500", shown["last_error"])
            self.assertIn("out of paper", shown["last_error"])
            self.assertEqual([c["headers"]["Weir-Attempt"] for c in worker.wait_calls(3)], ["1", "2", "3"])

    def test_gone_is_dead_at_once(self):
        with Worker(lambda call: (410, {}, b"")) as worker:
            self.make(attempts=5, push={"url": worker.url})
            self.assertEqual(self.message(self.send(), "?wait=20s")["state"], "dead")
            self.assertEqual(len(worker.calls), 1)

    def test_a_worker_that_is_too_busy_is_left_alone_as_long_as_it_says(self):
        busy = [True]

        def respond(call):
            return (503, {"Retry-After": "1"}, b"") if busy and busy.pop() else (200, {}, b"")

        with Worker(respond) as worker:
            self.make(attempts=1, backoff={"first": "10ms", "max": "10ms"}, push={"url": worker.url})
            shown = self.message(self.send(), "?wait=20s")
            self.assertEqual(shown["state"], "done")  # the refused call was no attempt
            first, second = worker.wait_calls(2)
            self.assertGreaterEqual(second["at"] - first["at"], 1.0)

    def test_time_outs_and_refused_connections_are_failures(self):
        slow = threading.Event()
        with Worker(lambda call: (slow.wait(20), (200, {}, b""))[1]) as worker:
            self.make(attempts=1, push={"url": worker.url, "timeout": "100ms"})
            shown = self.message(self.send(), "?wait=20s")
            self.assertEqual(shown["state"], "dead")
            self.assertIn("timed_out", shown["last_error"])
            slow.set()
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.make(attempts=1, push={"url": f"http://127.0.0.1:{unused.getsockname()[1]}/", "timeout": "5s"})
            shown = self.message(self.send(), "?wait=20s")
        self.assertEqual(shown["state"], "dead")
        self.assertIn("refused", shown["last_error"])

    def test_at_most_so_many_calls_run_at_once_and_so_many_a_second(self):
        inside, now, most = threading.Condition(), [0], [0]

        def respond(call):
            with inside:
                now[0] += 1
                most[0] = max(most[0], now[0])
                inside.notify_all()
                inside.wait_for(lambda: most[0] >= 2, 20)  # the first one waits for a second beside it
            time.sleep(0.02)
            with inside:
                now[0] -= 1
            return 200, {}, b""

        def send(count):
            answer = self.api.post(f"/v1/queues/{self.queue}/messages:batch", {"messages": [{"body": "x"}] * count})
            self.assertEqual(answer.status, 202, answer)
            return [one["id"] for one in answer.json["messages"]]

        with Worker(respond) as worker:
            self.make(push={"url": worker.url, "concurrency": 2})
            for id in send(10):
                self.assertEqual(self.message(id, "?wait=20s")["state"], "done")
            self.assertEqual(most[0], 2)
            self.make(push={"rate": 10})
            send(12)
            calls = worker.wait_calls(22)
            self.assertGreaterEqual(calls[21]["at"] - calls[10]["at"], 0.8)

    def test_the_reply_address_hears_the_result_and_is_retried(self):
        failures = [b"1", b"2"]

        def respond(call):
            return (500, {}, b"") if failures and failures.pop() else (204, {}, b"")

        with Worker(respond) as worker:
            self.make(attempts=4, backoff={"first": "10ms", "max": "10ms"})
            id = self.send(b"x", Reply_To=worker.url + "/done")
            [taken] = self.take()
            self.api.post(f"/v1/leases/{taken['receipt']}/ack", b"yes")
            calls = worker.wait_calls(3)
            self.assertEqual(calls[2]["path"], "/done")
            heard = json.loads(calls[2]["body"])
            self.assertEqual((heard["id"], heard["state"], heard["result"]), (id, "done", "yes"))
            self.assertIsNone(heard["error"])
            self.assertEqual(calls[2]["headers"]["Content-Type"], "application/json")

    def test_the_reply_address_hears_of_a_death(self):
        with Worker(lambda call: (200, {}, b"")) as worker:
            self.make(attempts=1)
            id = self.send(b"x", Reply_To=worker.url)
            [taken] = self.take()
            self.api.post(f"/v1/leases/{taken['receipt']}/nack", {"error": "no"})
            [call] = worker.wait_calls(1)
            heard = json.loads(call["body"])
            self.assertEqual((heard["id"], heard["state"], heard["result"], heard["error"]), (id, "dead", None, "no"))


class Health(Case):
    def test_health_and_readiness(self):
        self.assertEqual(self.api.get("/healthz").json, {"status": "ok"})
        self.assertEqual(self.api.get("/readyz").json, {"status": "ready"})

    def test_metrics_are_prometheus_text(self):
        self.make()
        self.send()
        self.take()
        answer = self.api.get("/metrics")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        text = answer.body.decode()
        for line in (f'weir_queue_messages{{queue="{self.queue}",state="leased"}} 1',
                     f'weir_messages_submitted_total{{queue="{self.queue}"}} 1'):
            self.assertIn(line + "\n", text)
        for family in ("weir_http_requests_total", "weir_http_request_seconds_bucket", "weir_confirm_seconds_bucket",
                       "weir_queue_bytes", "weir_build_info"):
            self.assertIn("\n" + family + "{", text)
        kinds = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.assertNotIn(name, kinds)
                kinds[name] = kind
            elif not line.startswith("#"):
                name = line.split("{")[0].split(" ")[0]
                family = name if name in kinds else name.rsplit("_", 1)[0]
                self.assertIn(family, kinds, line)
                float(line.rsplit(" ", 1)[1])


class Tokens(unittest.TestCase):
    def test_only_bearers_of_a_token_are_let_in(self):
        with tempfile.NamedTemporaryFile("w", suffix=".tokens") as tokens:
            tokens.write("# ours\n0123456789abcdef-secret\n")
            tokens.flush()
            with Server("--token-file", tokens.name) as server:
                without = server.client()
                refused = without.get("/v1/queues")
                self.assertEqual((refused.status, refused.json["code"]), (401, "unauthorized"))
                self.assertEqual(refused.headers["WWW-Authenticate"], "Bearer")
                self.assertEqual(without.get("/healthz").status, 200)
                self.assertEqual(without.get("/readyz").status, 200)
                self.assertEqual(without.get("/metrics").status, 401)
                self.assertEqual(server.client(token="0123456789abcdef-secreT").get("/v1/queues").status, 401)
                self.assertEqual(server.client(token="0123456789abcdef-secret").get("/v1/queues").status, 200)

    def test_an_address_for_all_needs_a_token_file(self):
        for address in ("0.0.0.0:0", "[::]:0"):
            with tempfile.TemporaryDirectory() as data:
                refused = subprocess.run([APP, "serve", "--data", data, "--listen", address], capture_output=True, text=True)
                self.assertEqual(refused.returncode, 2, refused)
                self.assertIn("--token-file", refused.stderr)


class Life(unittest.TestCase):
    def test_a_graceful_end_answers_what_waits_and_exits_with_0(self):
        with Server() as server:
            api = server.client()
            api.put("/v1/queues/q")
            id = api.post("/v1/queues/q/messages", b"x").json["id"]
            answers = []
            waiting = threading.Thread(target=lambda: answers.append(server.client().get(f"/v1/messages/{id}?wait=60s")))
            waiting.start()
            while api.get("/metrics").body.decode().find("weir_http_requests_in_flight 2") < 0:
                pass
            before = time.monotonic()
            self.assertEqual(server.stop(), 0, server.output)
            waiting.join()
            self.assertLess(time.monotonic() - before, 10)
            self.assertEqual((answers[0].status, answers[0].json["state"]), (200, "ready"))
            server.start()
            self.assertEqual(server.client().get(f"/v1/messages/{id}").json["state"], "ready")

    def test_a_drain_ends_event_streams_in_order(self):
        with Server() as server:
            api = server.client()
            api.put("/v1/queues/q")
            id = api.post("/v1/queues/q/messages", b"x").json["id"]
            for path in ("/v1/queues/q/events", f"/v1/messages/{id}/events"):
                with self.subTest(path), socket.create_connection(("127.0.0.1", server.port), 20) as reader:
                    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                    said = reader.recv(4096)
                    self.assertIn(b" 200 ", said)
                    self.assertEqual(server.stop(), 0, server.output)
                    while piece := reader.recv(4096):
                        said += piece
                    self.assertTrue(said.endswith(b"\r\n0\r\n\r\n"), said)
                    server.start()

    def test_a_second_signal_ends_a_drain_and_loses_nothing(self):
        hung = threading.Event()
        with Server() as server, Worker(lambda _: hung.wait(60) and (200, {}, b"")) as worker:
            api = server.client()
            api.put("/v1/queues/q", {"push": {"url": worker.url, "timeout": "60s"}})
            id = api.post("/v1/queues/q/messages", b"x").json["id"]
            worker.wait_calls(1)
            server.process.send_signal(signal.SIGTERM)
            while not any("draining" in line for line in server.output):
                self.assertIsNone(server.process.poll(), server.output)
                time.sleep(0.01)
            self.assertEqual(server.stop(signal.SIGINT), -signal.SIGINT, server.output)
            hung.set()
            server.start()
            answer = server.client().get(f"/v1/messages/{id}").json
            self.assertEqual((answer["state"], answer["attempts"]), ("leased", 1))

    def test_two_servers_cannot_share_a_data_folder(self):
        with Server() as server:
            second = subprocess.run([APP, "serve", "--data", server.data, "--listen", "127.0.0.1:0"],
                                    capture_output=True, text=True)
            self.assertEqual(second.returncode, 1)
            self.assertIn(server.data, second.stderr)

    def test_a_server_whose_caller_closed_its_standard_descriptors_keeps_its_secret(self):
        with Server() as server:
            server.client().put("/v1/queues/q")
            identity = server.client().post("/v1/queues/q/messages", "x").json["id"]
            self.assertEqual(server.stop(), 0)
            with open(os.path.join(server.data, "secret"), "rb") as file:
                secret = file.read()
            place = os.path.join(server.data, "door")
            command = 'exec "$0" serve --data "$1" --listen unix:"$2" 0<&- 1>&- 2>&-'
            closed = subprocess.Popen(["sh", "-c", command, APP, server.data, place],
                                      env={**os.environ, "WEIR_LOG": "debug"})
            try:
                for _ in range(500):
                    if os.path.exists(place):
                        break
                    time.sleep(0.02)
                closed.send_signal(signal.SIGTERM)
                self.assertEqual(closed.wait(timeout=30), 0)
            finally:
                closed.kill()
                closed.wait()
            with open(os.path.join(server.data, "secret"), "rb") as file:
                self.assertEqual(file.read(), secret)
            server.start()
            self.assertEqual(server.client().get(f"/v1/messages/{identity}").status, 200)

    def test_a_server_outlives_whoever_read_its_output(self):
        with tempfile.TemporaryDirectory() as folder:
            serving = subprocess.Popen([APP, "serve", "--data", os.path.join(folder, "data"), "--listen", "127.0.0.1:0"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "WEIR_LOG": "trace"})
            try:
                serving.stdout.close()  # before the start is told
                while b"could not be printed" not in (line := serving.stderr.readline()):
                    self.assertNotEqual(line, b"", "the server has ended")
                api = Client(int(re.search(rb" listen=127\.0\.0\.1:(\d+) ", line)[1]))
                serving.stderr.close()
                api.put("/v1/queues/q")
                for _ in range(3):  # each has lines in the log
                    self.assertEqual(api.post("/v1/queues/q/leases?wait=1ms").status, 200)
            finally:
                serving.terminate()
                self.assertEqual(serving.wait(timeout=30), 0)

    def test_a_log_that_nobody_takes_holds_up_no_request(self):
        with tempfile.TemporaryDirectory() as folder:
            serving = subprocess.Popen([APP, "serve", "--data", os.path.join(folder, "data"), "--listen", "127.0.0.1:0"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "WEIR_LOG": "trace"})
            try:
                fcntl.fcntl(serving.stderr, 1031, 8192)  # F_SETPIPE_SZ: soon full
                api = Client(int(re.search(rb":(\d+) ", serving.stdout.readline())[1]), timeout=10)
                api.put("/v1/queues/q")
                for _ in range(50):  # each has lines in the log
                    self.assertEqual(api.post("/v1/queues/q/leases?wait=1ms").status, 200)
                os.set_blocking(serving.stderr.fileno(), False)
                serving.stderr.read()
                os.set_blocking(serving.stderr.fileno(), True)
                api.post("/v1/queues/q/leases?wait=1ms")
                while b"lines of the log were lost: nobody took them count=" not in (line := serving.stderr.readline()):
                    self.assertNotEqual(line, b"", "the server has ended")
            finally:
                serving.terminate()
                serving.stderr.close()
                serving.stdout.close()
                self.assertEqual(serving.wait(timeout=30), 0)

    def test_the_start_tells_the_address_the_driver_the_folder_and_examples(self):
        with Server() as server:
            server.client().get("/healthz")
            text = "".join(server.output)
            self.assertRegex(text, rf"weir \d+\.\d+\.\d+ listening on http://127\.0\.0\.1:{server.port} "
                                   rf"\((io_uring|epoll)\), data in {server.data}\n")
            self.assertEqual(text.count("  curl "), 3)

    def test_the_examples_of_a_server_at_a_unix_socket_reach_it(self):
        with tempfile.TemporaryDirectory() as folder:
            place = os.path.join(folder, "door")
            serving = subprocess.Popen([APP, "serve", "--data", os.path.join(folder, "data"), "--listen", "unix:" + place],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                head, _, *examples = [serving.stdout.readline() for _ in range(5)]
                self.assertIn(f" listening on unix:{place} (", head)
                self.assertEqual(examples, [f"  curl --unix-socket '{place}' {rest}\n" for rest in (
                    "-X PUT http://localhost/v1/queues/mails", "-d 'Dear Ada' http://localhost/v1/queues/mails/messages",
                    "-X POST 'http://localhost/v1/queues/mails/leases?wait=5s'")])
            finally:
                serving.terminate()
                self.assertEqual(serving.wait(timeout=30), 0)
                serving.stdout.close()
            self.assertEqual(os.listdir(folder), ["data"])  # the socket's file has gone with it

    def test_a_config_file_is_read_and_its_unknown_settings_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "weir.json")
            with open(config, "w") as file:
                json.dump({"listen": "127.0.0.1:0", "limits": {"message_bytes": 10}}, file)
            with Server("--config", config) as server:
                api = server.client()
                api.put("/v1/queues/q")
                self.assertEqual(api.post("/v1/queues/q/messages", b"x" * 11).status, 413)
                self.assertEqual(api.post("/v1/queues/q/messages", b"x" * 10).status, 202)
            with open(config, "w") as file:
                json.dump({"lisen": "127.0.0.1:0"}, file)
            refused = subprocess.run([APP, "serve", "--config", config], capture_output=True, text=True)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("lisen", refused.stderr)


if __name__ == "__main__":
    unittest.main()
