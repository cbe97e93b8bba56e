#!/usr/bin/env python3
"""Keeps a real server under mixed load and faults for a time, and says at the end whether its memory and its
descriptors stayed flat, its folder stayed small, and all books balance: whatever it confirmed was delivered, what was
done never came back, and nothing appeared that nobody had sent.

In the first half the server also dies (SIGKILL, a failing disk) and is ended in order; in the second it lives
through everything that it can survive: pauses, clock jumps, a full disk, clients without manners.
"""

import argparse
import errno
import http.client
import os
import random
import re
import signal
import socket
import statistics
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import shim  # noqa: E402
from server import Server, Worker, small_journal  # noqa: E402

BROKEN = (OSError, http.client.HTTPException)
MIB = 1 << 20
MEMORY_GROWTH_MAX = 8 * MIB  # and a tenth
DESCRIPTOR_GROWTH_MAX = 16
FOLDER_BYTES_MAX = 64 * MIB
SAMPLES_MIN = 6  # of memory and descriptors: less says nothing about growth
BACKLOG_MAX = 2000  # producers wait for workers then, or the backlog would be what grows
UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text):
    found = re.fullmatch(r"(\d+)([smh]?)", text)
    if not found or int(found.group(1)) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no duration: give a number with s, m or h, such as 10m")
    return int(found.group(1)) * UNITS[found.group(2) or "s"]


class Books:
    """What was asked, what was confirmed, what was done."""

    def __init__(self):
        self.lock = threading.Lock()
        self.asked = set()  # bodies without an answer: they may be there or not
        self.open = {}  # id -> body: confirmed, not done
        self.unsure = set()  # ids whose completion had no answer
        self.done = {}  # id -> the attempt that completed it
        self.pushed = {}  # body -> True once the worker was called with it
        self.keys = {}
        self.confirmed = 0
        self.errors = []

    def ask(self, *bodies):
        with self.lock:
            self.asked.update(bodies)

    def confirm(self, body, id):
        with self.lock:
            self.confirmed += 1
            self.asked.discard(body)
            if id not in self.done:
                self.open[id] = body

    def take(self, one):
        with self.lock:
            id, body = one["id"], one["body"]
            if id in self.done:
                # An older lease may be heard of late: when it is, another worker may have had the message since.
                if one["attempt"] > self.done[id]:
                    self.errors.append(f"{id} was given out again after it was done")
            elif self.open.get(id, body) != body:
                self.errors.append(f"{id} came back with another body: {body[:80]}")
            elif id not in self.open:
                if body not in self.asked:
                    self.errors.append(f"{id} was never sent: {body[:80]}")
                self.open[id] = body

    def complete(self, one, is_sure):
        id = one["id"]
        with self.lock:
            if not is_sure:
                self.unsure.add(id)
                return
            self.open.pop(id, None)
            self.done[id] = one["attempt"]

    def lost(self):
        with self.lock:
            return [id for id in self.open if id not in self.unsure]


class Soak:
    def __init__(self, server, faults, rng, seconds):
        self.server, self.faults, self.rng, self.seconds = server, faults, rng, seconds
        self.books = Books()
        self.stop = threading.Event()
        self.is_up = threading.Event()
        self.begin = time.monotonic()
        self.restarts = self.struck = 0
        self.samples = []  # (seconds, resident bytes, descriptors) of the second half
        self.worker = Worker(self.answer_push)
        self.jump_max = min(60, seconds / 5)  # twice this is less than key_window

    def answer_push(self, call):
        with self.books.lock:
            self.books.pushed[call["body"].decode()] = True
        return (500, {}, b"again") if random.random() < 0.1 else (200, {}, b"ok")

    # ---- the load ----

    def guard(self, work, number):
        rng, client, count = random.Random(self.rng.random()), None, 0
        while not self.stop.is_set():
            if not self.is_up.wait(0.2):
                continue
            try:
                client = client or self.server.client(timeout=10)
                count += 1
                work(client, rng, f"{number}-{count}")
            except BROKEN:  # the server died, or is about to
                client = None
            except Exception as error:  # noqa: BLE001
                self.books.errors.append(f"{work.__name__}: {error!r}")
                return

    def refused(self, answer):
        """Refusals that belong to the faults: a full disk, a full queue, a failing server."""
        return answer.status in (429, 500, 503, 507)

    def expect(self, answer, *statuses):
        if answer.status not in statuses and not self.refused(answer):
            raise AssertionError(f"expected {statuses}, got {answer}")
        return answer.status in statuses

    def wait_for_workers(self):
        while len(self.books.open) > BACKLOG_MAX and not self.stop.is_set() and self.is_up.is_set():
            time.sleep(0.02)

    def submit(self, client, rng, name):
        self.wait_for_workers()
        body = name + "." * rng.choice((0, 100, 1000, 10_000))
        headers = {"Weir-Priority": str(rng.randrange(10))}
        if rng.random() < 0.2:
            headers["Weir-Delay"] = f"{rng.randrange(1000)}ms"
        key = f"key-{name}" if rng.random() < 0.2 else None
        if key:
            headers["Weir-Key"] = key
        self.books.ask(body)
        answer = client.post("/v1/queues/work/messages", body, headers=headers)
        if not self.expect(answer, 202):
            time.sleep(0.05)
            return
        self.books.confirm(body, answer.json["id"])
        if key:
            again = client.post("/v1/queues/work/messages", body, headers=headers)
            if self.expect(again, 202) and again.json["id"] != answer.json["id"]:
                self.books.errors.append(f"the key {key} gave {again.json['id']} after {answer.json['id']}")

    def batch(self, client, rng, name):
        self.wait_for_workers()
        bodies = [f"{name}-{i}" for i in range(rng.randrange(1, 30))]
        self.books.ask(*bodies)
        answer = client.post("/v1/queues/work/messages:batch", {"messages": [{"body": body} for body in bodies]})
        if self.expect(answer, 202):
            for body, one in zip(bodies, answer.json["messages"]):
                if one["status"] == 202:
                    self.books.confirm(body, one["id"])

    def push(self, client, rng, name):
        body = f"push {name}"
        answer = client.post("/v1/queues/pushed/messages", body)
        if self.expect(answer, 202):
            with self.books.lock:
                self.books.pushed.setdefault(body, False)
        time.sleep(rng.uniform(0, 0.1))

    def work(self, client, rng, _):
        answer = client.post("/v1/queues/work/leases?max=20&wait=200ms")
        if not self.expect(answer, 200):
            return
        for one in answer.json["messages"]:
            self.books.take(one)
            choice = rng.random()
            if choice < 0.9:
                self.complete(client, one)
            elif choice < 0.97:
                client.post(f"/v1/leases/{one['receipt']}/nack", {"delay": "0s", "error": "again"})

    def complete(self, client, one):
        try:
            answer = client.post(f"/v1/leases/{one['receipt']}/ack", "done")
        except BROKEN:
            self.books.complete(one, False)
            raise
        if answer.status == 204:
            self.books.complete(one, True)
        elif answer.status != 409:
            self.books.complete(one, False)

    def watch(self, client, rng, _):
        """Streams of events that end early, and queues that come and go."""
        name = f"side-{rng.randrange(20)}"
        self.expect(client.put(f"/v1/queues/{name}", {"lease": f"{rng.randrange(1, 60)}s"}), 200, 201)
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as one:
            one.sendall(f"GET /v1/queues/{rng.choice(('work', name))}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            one.recv(rng.choice((10, 100_000)))
        self.expect(client.get("/metrics"), 200)
        self.expect(client.delete(f"/v1/queues/{name}"), 204, 404)
        time.sleep(0.05)

    def annoy(self, _, rng, __):
        """Clients that stop in the middle, send rubbish, or go with a reset."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as one:
            head = b"POST /v1/queues/work/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            one.sendall(rng.choice((b"GET / HT", rng.randbytes(300), head + b"Content-Length: 100\r\n\r\nhalf",
                                    head + b"Transfer-Encoding: chunked\r\n\r\nffffff\r\nx", b"")))
            if rng.random() < 0.5:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        time.sleep(0.02)

    # ---- the faults ----

    def start(self):
        self.server.start()
        client = self.server.client()
        while client.get("/readyz").status != 200:
            time.sleep(0.01)
        settings = {"lease": "2s", "attempts": 0, "result_ttl": "1s", "key_window": "5m", "ttl": "0s",
                    "backoff": {"first": "10ms", "max": "1s"}}
        for name, more in (("work", {}), ("pushed", {"push": {"url": self.worker.url, "timeout": "5s"}})):
            answer = client.put(f"/v1/queues/{name}", {**settings, **more})
            assert answer.status in (200, 201), answer
        client.close()
        self.is_up.set()

    def restart(self, end):
        self.is_up.clear()
        end()
        self.server.process.wait()
        self.faults.heal()
        self.restarts += 1
        self.start()

    def strike(self, is_lethal):
        kinds = [self.pause, self.jump, self.fill_disk, self.flood]
        if is_lethal:
            lethal = [self.kill, self.kill, self.end_in_order, self.break_disk]
            kinds = kinds + lethal if self.restarts else lethal  # however short a run is, it has seen a death
        self.struck += 1
        self.rng.choice(kinds)()

    def kill(self):
        self.restart(self.server.process.kill)

    def end_in_order(self):
        self.restart(lambda: self.server.process.send_signal(signal.SIGTERM))

    def break_disk(self):
        self.faults.fail(self.rng.choice((shim.WRITE, shim.SYNC)), ".seg")
        self.restart(lambda: None)  # it ends by itself

    def pause(self):
        self.server.process.send_signal(signal.SIGSTOP)
        time.sleep(self.rng.uniform(0, 0.5))
        self.server.process.send_signal(signal.SIGCONT)

    def jump(self):
        self.faults.set_clock(self.rng.uniform(-self.jump_max, self.jump_max))

    def fill_disk(self):
        self.faults.fail(shim.PREALLOCATE, "", errno.ENOSPC)
        time.sleep(self.rng.uniform(0, 1))
        self.faults.heal()

    def flood(self):
        held = [socket.create_connection(("127.0.0.1", self.server.port), timeout=5) for _ in range(100)]
        for one in held:
            one.close()

    # ---- what is watched ----

    def folder_bytes(self):
        total = 0
        for entry in os.scandir(self.server.data):
            try:
                total += entry.stat().st_size
            except FileNotFoundError:
                pass
        return total

    def measure(self):
        process = f"/proc/{self.server.process.pid}"
        with open(f"{process}/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
        return time.monotonic() - self.begin, resident, len(os.listdir(f"{process}/fd"))

    def report(self):
        at, resident, descriptors = self.measure()
        books = self.books
        print(f"soak: {at:5.0f} s of {self.seconds}: {books.confirmed} confirmed, {len(books.done)} done, "
              f"{self.struck} faults, {self.restarts} restarts; {resident / MIB:.1f} MiB, {descriptors} descriptors, "
              f"folder {self.folder_bytes() / MIB:.1f} MiB", flush=True)

    def goes_on(self, at):
        """Past its time, too, while there is too little to say whether memory stays flat."""
        return not self.books.errors and (at < self.seconds or len(self.samples) < SAMPLES_MIN)

    def run(self):
        self.start()
        tasks = [self.submit, self.submit, self.batch, self.push, self.work, self.work, self.work, self.watch, self.annoy]
        threads = [threading.Thread(target=self.guard, args=(work, number), daemon=True)
                   for number, work in enumerate(tasks)]
        for thread in threads:
            thread.start()
        next_report = 0
        while self.goes_on(at := time.monotonic() - self.begin):
            if at >= next_report:
                self.report()
                next_report = at + max(1, self.seconds / 20)
            self.strike(is_lethal=at < self.seconds / 2)
            time.sleep(self.rng.uniform(0.1, 1))
            if at > self.seconds * 0.6:
                self.samples.append(self.measure())
        self.stop.set()
        for thread in threads:
            thread.join(timeout=60)
        self.report()
        return self.verdict()

    def drain(self):
        """Until nothing is on its way any more: leases run out, delays end, and workers are called."""
        self.faults.set_clock(0)
        client = self.server.client()
        last = time.monotonic() + 60 + 2 * self.jump_max
        while time.monotonic() < last:
            answer = client.post("/v1/queues/work/leases?max=500&wait=200ms&lease=1m")
            for one in answer.json["messages"] if answer.status == 200 else ():
                self.books.take(one)
                self.complete(client, one)
            left = 0
            for name in ("work", "pushed"):
                counts = client.get(f"/v1/queues/{name}").json["counts"]
                left += counts["ready"] + counts["delayed"] + counts["leased"]
            if left == 0:
                return None
        return f"{left} messages are still on their way"

    def verdict(self):
        books = self.books
        wrong = list(books.errors[:10])
        if not wrong and (stuck := self.drain()):
            wrong.append(stuck)
        if lost := [] if wrong else books.lost():
            wrong.append(f"{len(lost)} confirmed messages are lost, the first is {lost[0]}")
        missed = [body for body, is_seen in books.pushed.items() if not is_seen]
        if not wrong and missed:
            wrong.append(f"{len(missed)} confirmed messages were never pushed, the first is '{missed[0]}'")
        if not books.done or not self.restarts:
            wrong.append("nothing was done, or the server never died: this run says nothing")
        wrong += self.grown()
        if (folder := self.folder_bytes()) > FOLDER_BYTES_MAX:
            wrong.append(f"the data folder has {folder / MIB:.0f} MiB")
        if not wrong and (code := self.server.stop()) != 0:
            wrong.append(f"the server ended with {code}")
        return wrong

    def grown(self):
        third = len(self.samples) // 3
        if len(self.samples) < SAMPLES_MIN:
            return ["the run was too short to see whether memory stays flat"]
        wrong = []
        for what, at, slack in (("memory", 1, MEMORY_GROWTH_MAX), ("descriptors", 2, DESCRIPTOR_GROWTH_MAX)):
            first = statistics.median(sample[at] for sample in self.samples[:third])
            last = statistics.median(sample[at] for sample in self.samples[-third:])
            if last > first * 1.1 + slack:
                wrong.append(f"{what} grew from {first:.0f} to {last:.0f} in the second half")
        return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("duration", nargs="?", type=seconds_of, default=600, help="such as 20s or 1h (default 10m)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f"soak: {options.duration} s, seed {options.seed}", flush=True)
    with small_journal(segment_bytes=1 << 20) as config, Server("--config", config) as server:
        server.kill()  # only its folder is wanted yet
        faults = shim.Shim(server.data)
        server.env.update(faults.env)
        soak = Soak(server, faults, random.Random(options.seed), options.duration)
        with soak.worker:
            wrong = soak.run()
        if wrong:
            print("".join(server.output[-20:]), end="")
    for line in wrong:
        print(f"soak: {line}")
    print("soak: FAILED" if wrong else f"soak: passed: {soak.books.confirmed} confirmed, {len(soak.books.done)} done, "
          f"{soak.struck} faults, {soak.restarts} restarts; memory, descriptors and folder flat, books balanced")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
