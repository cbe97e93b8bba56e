"""SIGKILL at random instants under load: what was acknowledged is there after each restart.

Threads submit (alone, in batches, with keys), take, acknowledge with results, return, and change settings, and
note what the server confirmed. A request that the kill cut off leaves both outcomes possible, which is noted
as well. After every restart the notes are compared with what the server says. WEIR_KILL_SEED replays the
choices (not the instants) of a run, WEIR_KILL_ROUNDS sets the number of kills.

In some rounds the server is stopped and goes on (SIGSTOP, SIGCONT) before it dies, and in some its wall clock
jumps by hours, forward or back, also between two lives: times are points on that clock, so leases and delays end
early or late, and nothing else may happen.
"""

import contextlib
import hashlib
import http.client
import os
import random
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
import shim  # noqa: E402
from server import Server, small_journal  # noqa: E402

SEED = shim.seed_of("WEIR_KILL_SEED")
ROUNDS = int(os.environ.get("WEIR_KILL_ROUNDS", 25))
LOAD_SECONDS_MAX = 0.25
ENDS_FIRST = 4  # that every other round waits for before its instant is drawn, however slow the disk is
ENDS_SECONDS_MAX = 10
OLD_SAMPLE = 60
CLOCK_HOURS_MAX = 8  # less than results and messages live for
BROKEN = (OSError, http.client.HTTPException)


class Message:
    """What we know of one confirmed message."""

    __slots__ = ("body", "done", "done_attempt", "maybe", "attempt")

    def __init__(self, body):
        self.body = body
        self.done = None  # the confirmed result
        self.done_attempt = 0  # the attempt that gave it
        self.maybe = set()  # results whose confirmation was cut off
        self.attempt = 0  # the highest that a lease told


class Notes:
    def __init__(self):
        self.lock = threading.Lock()
        self.messages = {}  # id -> Message
        self.early = {}  # the same for messages that a worker got before we heard of their confirmation
        self.fresh = set()  # ids touched since the last check
        self.keys = {}  # key -> id
        self.lease_setting = None  # confirmed
        self.lease_maybe = None
        self.queues = {}  # name -> True (confirmed there), False (confirmed gone), None (either)

    def submitted(self, id, body, key=None):
        with self.lock:
            if key is not None and self.keys.setdefault(key, id) != id:
                raise AssertionError(f"key {key} gave {id} after {self.keys[key]}")
            known = self.messages.get(id)
            if known is None:
                self.messages[id] = self.early.pop(id, None) or Message(body)
                self.messages[id].body = body
            elif key is None:
                raise AssertionError(f"the id {id} was given to two messages")
            self.fresh.add(id)


def result_of(body):
    return hashlib.sha256(body.encode()).hexdigest()


class Load:
    """One round of threads against one life of the server."""

    def __init__(self, server, notes, rng, round):
        self.server, self.notes, self.round = server, notes, round
        self.errors = []
        self.confirmed = 0
        self.ended = 0  # confirmed ends of messages whose confirmation was heard
        self.pauses = rng.random() < 0.2
        self.threads = []
        for number, work in enumerate((self.submit, self.submit, self.batch, self.work, self.work, self.settings)):
            self.threads.append(threading.Thread(target=self.guard, args=(work, random.Random(rng.random()), number)))

    def stop_for_a_while(self, seconds):
        """The process stands still in the middle of everything; its clients wait."""
        self.server.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.server.process.send_signal(signal.SIGCONT)

    def guard(self, work, rng, number):
        client = self.server.client(timeout=10)
        try:
            for count in range(1_000_000):
                work(client, rng, f"{self.round}-{number}-{count}")
        except BROKEN:
            pass  # the kill
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.errors.append(error)
        finally:
            client.close()

    def check(self, answer, *statuses):
        if answer.status not in statuses:
            raise AssertionError(f"expected {statuses}, got {answer}")
        self.confirmed += 1
        return answer

    def submit(self, client, rng, name):
        body = name + "." * rng.randrange(300)
        headers = {"Weir-Priority": str(rng.randrange(10))}
        key = None
        if rng.random() < 0.2:
            key = f"key-{rng.randrange(200)}-{self.round}"
            headers["Weir-Key"] = key
        answer = client.post("/v1/queues/work/messages", body, headers=headers)
        self.notes.submitted(self.check(answer, 202).json["id"], None if key else body, key)

    def batch(self, client, rng, name):
        bodies = [f"{name}-{i}" for i in range(rng.randrange(1, 20))]
        answer = client.post("/v1/queues/work/messages:batch", {"messages": [{"body": body} for body in bodies]})
        for body, one in zip(bodies, self.check(answer, 202).json["messages"]):
            self.notes.submitted(one["id"], body)

    def work(self, client, rng, _name):
        taken = self.check(client.post("/v1/queues/work/leases?max=5&wait=100ms"), 200).json["messages"]
        for one in taken:
            with self.notes.lock:
                message = self.notes.messages.get(one["id"]) or self.notes.early.setdefault(one["id"], Message(None))
                message.attempt = max(message.attempt, one["attempt"])
                # An older lease may be heard of late: when it is, another worker may have had the message since.
                if message.done is not None and one["attempt"] > message.done_attempt:
                    raise AssertionError(f"{one['id']} was given out again after it was done")
                if message.body is not None and message.body != one["body"]:
                    raise AssertionError(f"{one['id']} came back with another body")
            choice = rng.random()
            if choice < 0.6:
                self.acknowledge(client, one, message)
            elif choice < 0.8:
                client.post(f"/v1/leases/{one['receipt']}/nack", {"delay": "0s", "error": "again"})

    def acknowledge(self, client, one, message):
        result = result_of(one["body"])
        with self.notes.lock:
            message.maybe.add(result)
            if one["id"] in self.notes.messages:
                self.notes.fresh.add(one["id"])
        answer = client.post(f"/v1/leases/{one['receipt']}/ack", result)
        if self.check(answer, 204, 409).status == 204:
            with self.notes.lock:
                message.done, message.done_attempt = result, one["attempt"]
                self.ended += one["id"] in self.notes.messages

    def wait_ends(self, count):
        last = time.monotonic() + ENDS_SECONDS_MAX
        while self.ended < count and not self.errors and time.monotonic() < last:
            time.sleep(0.001)

    def settings(self, client, rng, name):
        notes = self.notes
        lease = f"{rng.randrange(1, 60)}m"
        notes.lease_maybe = lease
        self.check(client.put("/v1/queues/work", {"lease": lease, "attempts": 0}), 200)
        notes.lease_setting, notes.lease_maybe = lease, None
        side = f"side-{rng.randrange(5)}"
        wanted = not notes.queues.get(side)
        notes.queues[side] = None
        if wanted:
            self.check(client.put(f"/v1/queues/{side}", {}), 200, 201)
        else:
            self.check(client.delete(f"/v1/queues/{side}"), 204, 404)
        notes.queues[side] = wanted


class Kill9(unittest.TestCase):
    def compare(self, server, notes, ids):
        client = server.client()
        shown = client.get("/v1/queues/work").json["settings"]
        self.assertIn(shown["lease"], (notes.lease_setting, notes.lease_maybe))
        notes.lease_setting, notes.lease_maybe = shown["lease"], None
        names = {queue["name"] for queue in client.get("/v1/queues").json["queues"]}
        for name, exists in notes.queues.items():
            if exists is not None:
                self.assertEqual(name in names, exists, name)
            notes.queues[name] = name in names
        ids = list(ids)
        for id, answer in zip(ids, client.get_each([f"/v1/messages/{id}" for id in ids])):
            self.assertEqual(answer.status, 200, f"{id} was confirmed and is lost: {answer}")
            self.compare_message(id, notes.messages[id], answer.json)
        client.close()

    def compare_message(self, id, known, shown):
        self.assertGreaterEqual(shown["attempts"], known.attempt, f"{id} lost an attempt: {shown}")
        if known.done is not None:
            self.assertEqual((shown["state"], shown["result"]), ("done", known.done), f"{id} lost its completion")
        elif shown["state"] == "done":
            self.assertIn(shown["result"], known.maybe, f"{id} is done, which nobody asked for")
            known.done, known.done_attempt = shown["result"], shown["attempts"]
        else:
            self.assertIn(shown["state"], ("ready", "delayed", "leased"))

    def test_what_was_acknowledged_survives_kills_at_random_instants(self):
        rng = random.Random(SEED)
        notes = Notes()
        confirmed = 0
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
        with small_journal() as config, Server("--config", config) as server, contextlib.closing(shim.Shim(server.data)) as clock:
            server.env.update(clock.env)
            server.kill()
            server.start()
            client = server.client()
            first = client.put("/v1/queues/work", {"lease": "5m", "attempts": 0, "result_ttl": "1d"})
            self.assertEqual(first.status, 201)
            client.close()
            notes.lease_setting = "5m"
            for round in range(ROUNDS):
                load = Load(server, notes, rng, round)
                for thread in load.threads:
                    thread.start()
                if round % 2 == 0:  # the others may die before anything is confirmed
                    load.wait_ends(ENDS_FIRST)
                time.sleep(rng.uniform(0, LOAD_SECONDS_MAX))
                if load.pauses:
                    load.stop_for_a_while(0.05)
                if rng.random() < 0.1:
                    clock.set_clock(3600 * rng.uniform(-CLOCK_HOURS_MAX, CLOCK_HOURS_MAX))
                    time.sleep(0.05)
                if rng.random() < 0.1:
                    server.process.send_signal(signal.SIGSTOP)
                server.kill()
                if rng.random() < 0.1:
                    clock.set_clock(3600 * rng.uniform(-CLOCK_HOURS_MAX, CLOCK_HOURS_MAX))
                for thread in load.threads:
                    thread.join()
                self.assertEqual(load.errors, [])
                confirmed += load.confirmed
                if rng.random() < 0.2:  # also while it recovers
                    self.start_and_kill(server, rng.uniform(0, 0.05))
                server.start()
                old = rng.sample(sorted(notes.messages), min(OLD_SAMPLE, len(notes.messages)))
                self.compare(server, notes, notes.fresh | set(old))
                notes.fresh = set()
            self.compare(server, notes, set(notes.messages))
            done = sum(message.done is not None for message in notes.messages.values())
            self.drain(server, notes)
            print(f"{confirmed} confirmations, {len(notes.messages)} messages, {done} done", flush=True)
            self.assertEqual(server.stop(), 0)
        self.assertGreater(done, ROUNDS)

    def start_and_kill(self, server, seconds):
        before = server.process
        starter = threading.Thread(target=lambda: contextless(server.start))
        starter.start()
        time.sleep(seconds)
        while server.process is before and starter.is_alive():
            starter.join(0.001)
        server.process.kill()
        starter.join()
        server.process.wait()

    def drain(self, server, notes):
        """Every message that is not out on a lease can be taken and finished."""
        client = server.client()
        open_ids = {id for id, message in notes.messages.items() if message.done is None}

        def ready_and_out():
            counts = client.get("/v1/queues/work").json["counts"]
            return counts["ready"], counts["leased"] + counts["delayed"]

        _, out = ready_and_out()
        while True:
            _, out_before = ready_and_out()
            batch = client.post("/v1/queues/work/leases?max=500&lease=1h").json["messages"]
            if not batch:
                break
            open_ids.difference_update(one["id"] for one in batch)
            ends = client.post("/v1/leases:ack", {"acks": [{"receipt": one["receipt"], "result": "end"} for one in batch]})
            self.assertEqual(ends.status, 200, ends)
            self.assertEqual([one["status"] for one in ends.json["acks"]], [204] * len(batch))
        ready, out_after = ready_and_out()
        # None is ready after an answer of none, but those whose lease or back-off has ended since.
        self.assertEqual(ready, out_before - out_after)
        self.assertLessEqual(len(open_ids), out)  # the rest is out until its lease or its back-off is over


def contextless(call):
    try:
        call()
    except AssertionError:
        pass  # killed before it was ready


if __name__ == "__main__":
    unittest.main()
