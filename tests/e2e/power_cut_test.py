"""Power cuts over the real server: a shim writes down every write, sync and rename of the data folder; the
folder is rebuilt as a cut at random instants would have left it, torn sectors included, and a server that is
started on it must have all that was acknowledged before the cut.

Each life begins on what a cut left of the one before, so openings are cut as well, and openings after cut
openings. WEIR_CUT_SEED replays the choices (not the instants), WEIR_CUT_LIVES sets how many lives.
"""

import http.client
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
import shim  # noqa: E402
from books import Books, result_of  # noqa: E402
from server import Server, small_journal  # noqa: E402

SEED = shim.seed_of("WEIR_CUT_SEED")
LIVES = int(os.environ.get("WEIR_CUT_LIVES", 2))
CUTS = 5  # of each life
LOAD_SECONDS = 0.4
CONFIRMED_FIRST = CUTS + 1  # messages that a life confirms before these seconds begin, however slow the disk is
CONFIRMED_SECONDS_MAX = 20
BROKEN = (OSError, http.client.HTTPException)


class Load:
    """Threads that submit, take, acknowledge, return and change settings until the server is gone."""

    def __init__(self, server, books, rng, life):
        self.server, self.books, self.life = server, books, life
        self.confirmed = []
        self.threads = [threading.Thread(target=self.guard, args=(work, random.Random(rng.random()), number))
                        for number, work in enumerate((self.submit, self.batch, self.work, self.work, self.settings))]

    def run(self, seconds):
        for thread in self.threads:
            thread.start()
        last = time.monotonic() + CONFIRMED_SECONDS_MAX
        while len(self.confirmed) < CONFIRMED_FIRST and not self.books.errors and time.monotonic() < last:
            time.sleep(0.001)
        time.sleep(seconds)
        self.server.kill()
        for thread in self.threads:
            thread.join()

    def guard(self, work, rng, number):
        client = self.server.client(timeout=20)
        try:
            for count in range(1_000_000):
                work(client, rng, f"{self.life}-{number}-{count}")
        except BROKEN:
            pass  # the server is gone
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.books.errors.append(error)
        finally:
            client.close()

    def submit(self, client, rng, name):
        body = name + "." * rng.choice((0, 30, 300, 3000))
        self.books.ask(body)
        answer = client.post("/v1/queues/work/messages", body)
        assert answer.status == 202, answer
        self.confirm(body, answer.json["id"])

    def batch(self, client, rng, name):
        bodies = [f"{name}-{i}" for i in range(rng.randrange(1, 10))]
        for body in bodies:
            self.books.ask(body)
        answer = client.post("/v1/queues/work/messages:batch", {"messages": [{"body": body} for body in bodies]})
        assert answer.status == 202, answer
        for body, one in zip(bodies, answer.json["messages"]):
            self.confirm(body, one["id"])

    def confirm(self, body, id):
        self.books.confirm(body, id)
        self.confirmed.append(id)

    def work(self, client, rng, _):
        answer = client.post("/v1/queues/work/leases?max=10&wait=100ms")
        assert answer.status == 200, answer
        for one in answer.json["messages"]:
            self.books.taken(one)
            choice = rng.random()
            if choice < 0.85:
                result = result_of(one["body"])
                claim = self.books.ask_end(one["id"], result, one["attempt"])
                answer = client.post(f"/v1/leases/{one['receipt']}/ack", result)
                if answer.status == 204:
                    self.books.settle(claim)
                else:
                    assert answer.status == 409, answer
            elif choice < 0.95:
                client.post(f"/v1/leases/{one['receipt']}/nack", {"delay": "0s"})

    def settings(self, client, rng, _):
        lease = f"{rng.randrange(1, 60)}m"
        claim = self.books.ask_setting(lease)
        answer = client.put("/v1/queues/work", {"lease": lease, "attempts": 0, "result_ttl": "1d"})
        assert answer.status in (200, 201), answer
        self.books.settle(claim)
        time.sleep(0.02)


class Model(unittest.TestCase):
    """The model of the disk, before it judges anybody."""

    def test_a_durable_write_covers_its_own_bytes_and_no_others(self):
        file = shim.DiskFile()
        file.pending = [[1, 2, 0, None, 100], [3, 4, 10, b"old", 3], [5, 6, 50, b"mine", 4], [9, None, 52, b"--", 2]]
        file.sync(7, 50, 4)
        self.assertEqual(file.blocks[0][50:54], b"mine")
        self.assertEqual(file.blocks[0][10:13], bytes(3))
        file.tear(random.Random(1), "all")
        self.assertEqual(file.blocks[0][:100], bytes(10) + b"old" + bytes(37) + b"mi--" + bytes(46))

    def test_a_sync_covers_what_was_done_before_it_began(self):
        file = shim.DiskFile()
        file.pending = [[1, 2, 0, b"a", 1], [3, 8, 1, b"b", 1], [4, None, 2, b"c", 1]]
        file.sync(7)
        self.assertEqual(file.blocks[0][:3], b"a" + bytes(2))
        self.assertEqual(len(file.pending), 2)


class PowerCut(unittest.TestCase):
    def run_lives(self, driver):
        rng = random.Random(f"{SEED} {driver}")
        print(f"seed {SEED}, {LIVES} lives of {CUTS} cuts, {driver}", flush=True)
        with tempfile.TemporaryDirectory(prefix="weir-cut-") as place, small_journal() as config:
            numbers = iter(range(1_000_000))

            def make_image():
                path = os.path.join(place, f"image-{next(numbers)}")
                os.mkdir(path, 0o700)
                return path

            base, messages = make_image(), 0
            books = Books()
            for life in range(LIVES):
                base, found = self.live(driver, config, base, books, rng, life, make_image)
                messages += found
            self.assertGreater(messages, LIVES * CUTS)

    def live(self, driver, config, base, books, rng, life, make_image):
        """One life from `base`, cut several times; gives one of the outcomes to begin the next life with."""
        disk = shim.Disk(base)
        disk.start_from(base)
        with_shim = shim.Shim(base, writes_log=True)
        server = Server("--config", config, data=base, env={**with_shim.env, "WEIR_DRIVER": driver})
        offset = books.now() + 1  # positions of this life's log come after all earlier ones
        books.now = lambda: offset + with_shim.position
        server.start()
        ready_at = with_shim.position
        client = server.client()
        claim = books.ask_setting("5m")
        put = client.put("/v1/queues/work", {"lease": "5m", "attempts": 0, "result_ttl": "1d"})
        self.assertIn(put.status, (200, 201), put)
        books.settle(claim)
        client.close()
        Load(server, books, rng, life).run(LOAD_SECONDS)
        end = with_shim.position
        self.assertEqual(books.errors, [])
        self.assertGreater(end, ready_at)
        # One while it opened, the others under load, one of them at the very end.
        instants = [rng.randrange(ready_at + 1), end] + [rng.randrange(end + 1) for _ in range(CUTS - 2)]
        outcomes, found = [], 0
        for position, image, how in shim.cuts(with_shim.log, disk, instants, rng, make_image):
            kept = image + ".kept"
            shutil.copytree(image, kept)
            try:
                there = self.check(driver, config, image, books, offset + position)
            except BaseException as error:
                raise AssertionError(f"life {life}, cut at {position} of {end} ({how}): {error}") from error
            found += len(there)
            outcomes.append((position, kept, there))
            shutil.rmtree(image)
        shutil.rmtree(base)
        with_shim.close()
        position, chosen, there = rng.choice(outcomes)
        for _, other, _ in outcomes:
            if other != chosen:
                shutil.rmtree(other)
        books.forget_after(offset + position, there)
        books.now = lambda: offset + end + 1
        return chosen, found

    def check(self, driver, config, image, books, at):
        with Server("--config", config, data=image, env={"WEIR_DRIVER": driver}) as server:
            client = server.client()
            there = books.check(client, at)
            books.drain(client, at)
            return there

    def test_what_was_acknowledged_survives_power_cuts_with_epoll(self):
        self.run_lives("epoll")

    def test_what_was_acknowledged_survives_power_cuts_with_io_uring(self):
        self.run_lives("io_uring")


if __name__ == "__main__":
    unittest.main()
