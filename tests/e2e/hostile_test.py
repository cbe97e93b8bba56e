"""A hostile network against the real server. Each attack has a stated answer; and while it goes on, a normal client
beside it is served, and the server's memory stays bounded.
"""

import contextlib
import itertools
import json
import os
import random
import re
import resource
import select
import socket
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from server import APP, Server, small_journal  # noqa: E402
from shim import seed_of  # noqa: E402

SEED = seed_of("WEIR_HOSTILE_SEED")
IS_SLOW = "asan" in APP or "tsan" in APP  # sanitizers: fewer of everything, and memory is theirs
MIB = 1 << 20
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h


class Raw:
    """One connection that says bytes rather than HTTP."""

    # Each comes from the next of some addresses of loopback: among thousands of one address the kernel looks long for a free port.
    SOURCES = itertools.cycle(f"127.0.0.{last}" for last in range(1, 17))

    def __init__(self, port, timeout=60):
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        self.socket.bind((next(self.SOURCES), 0))
        self.socket.connect(("127.0.0.1", port))

    def say(self, data):
        """False: the server has closed its end."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def rest(self):
        """All that still comes."""
        text = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(65536):
                text += piece
        return text

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def statuses(text):
    """Of all answers in what a server said."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", text)]


class Case(unittest.TestCase):
    ARGUMENTS = ()

    def setUp(self):
        self.rng = random.Random(SEED)
        self.server = Server(*self.ARGUMENTS)
        self.addCleanup(self.server.__exit__)
        self.server.start()
        self.normal = self.server.client()
        self.addCleanup(self.normal.close)
        self.served = 0
        self.assertEqual(self.normal.put("/v1/queues/normal", {"attempts": 0}).status, 201)
        self.serve_normal()
        self.memory_before = self.memory()

    def ask(self, raw):
        """Everything the server says to these bytes, and then to the end of our half."""
        with Raw(self.server.port) as one:
            one.say(raw)
            with contextlib.suppress(OSError):
                one.socket.shutdown(socket.SHUT_WR)
            return one.rest()

    def serve_normal(self, client=None):
        """A message through the whole of its life."""
        client = client or self.normal
        self.served += 1
        body = f"normal {self.served}"
        self.assertEqual(client.post("/v1/queues/normal/messages", body).status, 202)
        [taken] = client.post("/v1/queues/normal/leases?wait=10s").json["messages"]
        self.assertEqual(taken["body"], body)
        self.assertEqual(client.post(f"/v1/leases/{taken['receipt']}/ack", "done").status, 204)

    def memory(self):
        with open(f"/proc/{self.server.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.server.process.pid}/fd"))

    def healthy(self, grown_max):
        """Alive, serving old and new clients, and not grown by more than so many bytes."""
        self.assertIsNone(self.server.process.poll(), self.server.output)
        self.serve_normal()
        with contextlib.closing(self.server.client()) as fresh:
            self.serve_normal(fresh)
        if not IS_SLOW:
            self.assertLess(self.memory() - self.memory_before, grown_max)
        self.assertNotIn(" error ", "".join(self.server.output))


HEAD = b"POST /v1/queues/normal/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HIDDEN = b"PUT /v1/queues/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
# Two readings are possible of each; a server in front of ours may have chosen the other one. The last request of
# each text must never be taken for one.
SMUGGLING = {
    "two lengths": b"Content-Length: 0\r\nContent-Length: 74\r\n\r\n",
    "two equal lengths": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 0\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a hexadecimal length": b"Content-Length: 0x0\r\n\r\n",
    "a length with a space": b"Content-Length: 0 0\r\n\r\n",
    "a length beyond 64 bits": b"Content-Length: 18446744073709551616\r\n\r\n",
    "a space before the colon": b"Content-Length : 0\r\n\r\n",
    "length and chunks": b"Content-Length: 74\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 74\r\n\r\n0\r\n\r\n",
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a quoted coding": b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "a vertical tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a space before the coding's colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a bare line feed in a field": b"Foo: bar\nContent-Length: 0\r\n\r\n",
    "a bare carriage return in a field": b"Foo: bar\rContent-Length: 0\r\n\r\n",
    "a zero byte in a field": b"Foo: b\x00r\r\nContent-Length: 0\r\n\r\n",
    "a chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
    "a chunk size with 0x": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "a chunk that ends with a line feed": b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n",
    "a chunk longer than said": b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n",
    "a second host": b"Host: other\r\nContent-Length: 0\r\n\r\n",
}


class Smuggling(Case):
    def test_what_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_heard(self):
        for name, fields in SMUGGLING.items():
            with self.subTest(name):
                said = self.ask(HEAD + fields + HIDDEN)
                [status] = statuses(said)
                self.assertIn(status, (400, 413, 501), said)
                self.assertIn(b"\r\nConnection: close\r\n", said)
        self.assertEqual(self.normal.get("/v1/queues/smuggled").status, 404)
        # The same in a form that has one reading, to know that the request behind would be heard.
        said = self.ask(HEAD + b"Content-Length: 0\r\n\r\n" + HIDDEN)
        self.assertEqual(statuses(said), [202, 201])
        self.normal.delete("/v1/queues/smuggled")
        self.normal.post("/v1/queues/normal/leases?max=10&lease=1h")
        self.healthy(16 * MIB)


class Bombs(Case):
    def test_heads_beyond_their_limits_are_refused(self):
        for name, text, wanted in (
            ("many fields", b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100_000, (431,)),
            ("a long field", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + b"b" * MIB, (431,)),
            ("a long target", b"GET /" + b"a" * MIB, (414, 431)),
            ("a long method", b"A" * MIB, (400, 431, 501)),
            ("empty lines without end", b"\r\n" * MIB, (400,)),
            ("no HTTP at all", os.urandom(4096).replace(b"\n", b"x") + b"\r\n\r\n", (400,)),
            ("the hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500 + b"\r\n\r\n", (400,)),
            ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
        ):
            with self.subTest(name):
                said = self.ask(text)
                [status] = statuses(said)
                self.assertIn(status, wanted, said)
        self.healthy(16 * MIB)

    def test_chunks_beyond_their_limits_are_refused(self):
        chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        for name, text, wanted in (
            ("a giant chunk", b"ffffffff\r\n" + b"x" * 1000, (413,)),
            ("leading zeros", b"0" * 100_000 + b"\r\n", (400,)),
            ("an extension without end", b"1;" + b"e" * MIB, (400,)),
            ("a trailer without end", b"0\r\n" + b"A: b\r\n" * 100_000, (431,)),
            ("more than a message may have", (b"100000\r\n" + b"x" * MIB + b"\r\n") * 9, (413,)),
        ):
            with self.subTest(name):
                said = self.ask(chunked + text)
                [status] = statuses(said)
                self.assertIn(status, wanted, said)
        # Many tiny ones are slow for their sender only.
        count = 20_000 if IS_SLOW else 500_000
        self.assertEqual(statuses(self.ask(chunked + b"1\r\nx\r\n" * count + b"0\r\n\r\n")), [202])
        [taken] = self.normal.post("/v1/queues/normal/leases?lease=1h").json["messages"]
        self.assertEqual(len(taken["body"]), count)
        self.healthy(64 * MIB)

    def test_json_that_is_deep_or_wide_is_refused(self):
        deep = 100_000
        batch = "/v1/queues/normal/messages:batch"
        for name, path, text, status, code in (
            ("deep arrays", batch, "[" * deep, 400, "invalid_json"),
            ("deep objects", batch, '{"messages":' * deep, 400, "invalid_json"),
            ("deep inside", batch, '{"messages":[{"body":' + "[" * deep, 400, "invalid_json"),
            ("deep settings", "/v1/queues/normal", '{"push":' * 5000, 400, "invalid_json"),
            ("wide", batch, '{"messages":[' + ",".join(["{}"] * 300_000) + "]}", 413, "too_many_messages"),
            ("many fields", batch, json.dumps({f"f{i}": 1 for i in range(50_000)}), 400, "unknown_field"),
            ("a long number", batch, '{"messages":' + "9" * MIB + "}", 400, None),
            ("no UTF-8", batch, b'{"messages":[{"body":"\xff\xfe"}]}', 400, "invalid_json"),
            ("half a surrogate", batch, '{"messages":[{"body":"\\ud800"}]}', 400, "invalid_json"),
        ):
            with self.subTest(name):
                method = "PUT" if path.endswith("normal") else "POST"
                answer = self.normal.call(method, path, text)
                self.assertEqual(answer.status, status, answer)
                self.assertLess(len(answer.body), 2000)
                if code:
                    self.assertEqual(answer.json["code"], code, answer)
        self.healthy(128 * MIB)


class Guesses(Case):
    def test_giant_and_odd_numbers_are_refused(self):
        for max in ("0", "-1", "1001", "4294967296", "18446744073709551616", "9" * 1000, "1e3", "0x10", "", " 1", "1;2"):
            answer = self.normal.post(f"/v1/queues/normal/leases?max={max.replace(' ', '%20')}")
            self.assertEqual((answer.status, answer.json["code"]), (400, "invalid_parameter"), (max, answer))
        for wait in ("-1s", "99999999999999999999s", "9" * 500 + "d", "1", "s", "1s1h", "nan", "1.5s", "%00"):
            answer = self.normal.post(f"/v1/queues/normal/leases?wait={wait}")
            self.assertEqual((answer.status, answer.json["code"]), (400, "invalid_parameter"), (wait, answer))
        self.healthy(16 * MIB)

    def test_receipts_and_ids_cannot_be_guessed(self):
        id = self.normal.post("/v1/queues/normal/messages", "mine").json["id"]
        [taken] = self.normal.post("/v1/queues/normal/leases?lease=1h").json["messages"]
        letters = "234567abcdefghijklmnopqrstuvwxyz"
        guesses = set()
        for right in (id, taken["receipt"]):
            for at in range(len(right)):
                guesses |= {right[:at] + letter + right[at + 1:] for letter in self.rng.sample(letters, 4)}
                guesses.add(right[:at])
                guesses.add(right + right[at])
            for _ in range(300):
                guesses.add("".join(self.rng.choice(letters) for _ in right))
        guesses -= {id, taken["receipt"]}
        for guess in guesses:
            for verb in ("ack", "nack", "extend"):
                answer = self.normal.post(f"/v1/leases/{guess}/{verb}")
                self.assertIn(answer.status, (409, 404), (guess, answer))
            answer = self.normal.get(f"/v1/messages/{guess}")
            self.assertIn(answer.status, (404,), (guess, answer))
        self.assertEqual(self.normal.get(f"/v1/messages/{id}").json["state"], "leased")
        self.assertEqual(self.normal.post(f"/v1/leases/{taken['receipt']}/ack").status, 204)
        self.healthy(16 * MIB)

    def test_tricks_with_paths_lead_nowhere(self):
        with tempfile.NamedTemporaryFile() as secret:
            for path in (
                "/v1/queues/../../../../../../.." + secret.name, "/v1/queues/%2e%2e%2f%2e%2e%2fsecret", "//v1/queues",
                "/v1//queues", "/v1/queues/", "/v1/queues/.", "/v1/queues/..", "/v1/queues/.hidden", "/v1/queues/a%2Fb",
                "/v1/queues/a%00b", "/v1/queues/%", "/v1/queues/%zz", "/v1/queues/%c0%ae", "/v1/queues/a%0d%0aX:y",
                "/v1/queues/" + "a" * 101, "/v1/queues/" + "a" * 5000, "/V1/queues", "/v1/queues/a;b", "/v1\\queues",
                "/v1/queues/normal/messages/", "/v1/queues/normal/leases/x", "/secret", "/journal-0000000001.seg", "*",
                "http://other.example/v1/queues/normal", "/v1/messages/../queues/normal", "/v1/leases//ack",
            ):
                for method in ("GET", "PUT", "POST", "DELETE"):
                    said = self.ask(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode())
                    [status] = statuses(said)
                    self.assertIn(status, (400, 403, 404, 405, 414), (method, path, said))
        names = [queue["name"] for queue in self.normal.get("/v1/queues").json["queues"]]
        self.assertEqual(names, ["normal"])
        self.healthy(16 * MIB)


class Floods(Case):
    CONNECTIONS = 500 if IS_SLOW else 19_000

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.count = min(self.CONNECTIONS, hard - 1000)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        config = tempfile.NamedTemporaryFile("w", suffix=".json")
        self.addCleanup(config.close)
        json.dump({"limits": {"connections": 20_000, "queues": 100, "message_bytes": 8 * MIB}}, config)
        config.flush()
        self.ARGUMENTS = ("--config", config.name)
        super().setUp()

    def open(self, stack, count):
        return [stack.enter_context(Raw(self.server.port)) for _ in range(count)]

    def test_as_many_connections_as_there_are_descriptors_cost_little(self):
        with contextlib.ExitStack() as stack:
            for _ in range(self.count):
                [one] = self.open(stack, 1)
                one.say(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                self.assertTrue(one.socket.recv(65536).startswith(b"HTTP/1.1 200 "))
            per_connection = (self.memory() - self.memory_before) / self.count
            if not IS_SLOW:
                self.assertLess(per_connection, 12 * 1024)
            self.healthy(256 * MIB)
        while self.descriptors() > 100:
            pass
        self.healthy(256 * MIB)

    def test_connections_that_come_and_go_leave_nothing_behind(self):
        before = self.descriptors()
        for i in range(self.count // 4):
            with Raw(self.server.port) as one:
                if i % 3 == 1:
                    one.say(b"GET /healthz HT")
                if i % 3 == 2:  # gone with a reset
                    one.say(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 3)
                    one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        while self.descriptors() > before + 2:
            pass
        self.healthy(32 * MIB)

    def test_slow_heads_and_slow_bodies_are_cut_and_others_are_served(self):
        count = 100 if IS_SLOW else 1000
        with contextlib.ExitStack() as stack:
            heads = self.open(stack, count)
            bodies = self.open(stack, count)
            for one in heads:
                one.say(b"GET /healthz HTTP/1.1\r\nHost: 127.0.")
            for one in bodies:
                one.say(HEAD + f"Content-Length: {8 * MIB}\r\n\r\nslow".encode())
            self.healthy(64 * MIB)
            while not select.select([heads[0].socket], [], [], 0.5)[0]:
                self.serve_normal()
                for one in heads[1:10]:
                    one.say(b".")  # one byte now and then buys no time
            for one in heads:
                self.assertEqual(statuses(one.rest()), [408])
            self.healthy(64 * MIB)

    def test_readers_of_events_that_do_not_read_miss_some_and_hold_up_nobody(self):
        count, messages = 50, 300 if IS_SLOW else 3000
        with contextlib.ExitStack() as stack:
            readers = self.open(stack, count)
            for one in readers:
                one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.say(b"GET /v1/queues/normal/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                self.assertIn(b"text/event-stream", one.socket.recv(4096))
            for _ in range(messages // 10):
                batch = {"messages": [{"body": "x"} for _ in range(10)]}
                self.assertEqual(self.normal.post("/v1/queues/normal/messages:batch", batch).status, 202)
                for one in self.normal.post("/v1/queues/normal/leases?max=10").json["messages"]:
                    self.normal.post(f"/v1/leases/{one['receipt']}/ack")
            self.healthy(64 * MIB)

    def test_readers_of_large_answers_that_do_not_read_hold_up_nobody(self):
        count = 10
        big = bytes(range(32, 127)) * (4 * MIB // 95)
        self.normal.put("/v1/queues/big", {"attempts": 0, "lease": "1h"})
        for _ in range(count):
            self.assertEqual(self.normal.post("/v1/queues/big/messages", big).status, 202)
        with contextlib.ExitStack() as stack:
            for one in self.open(stack, count):
                one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.say(b"POST /v1/queues/big/leases HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
            while self.normal.get("/v1/queues/big").json["counts"]["leased"] < count:
                pass
            self.healthy((count + 4) * 3 * 4 * MIB)

    def test_names_without_number_are_refused_and_forgotten(self):
        count = 2000 if IS_SLOW else 50_000
        with Raw(self.server.port) as one:
            reader = threading.Thread(target=one.rest)
            reader.start()
            for i in range(count):
                name = f"q{self.rng.randrange(1 << 64)}"
                method, path = (("PUT", f"/v1/queues/{name}"), ("POST", f"/v1/queues/{name}/messages"),
                                ("POST", f"/v1/queues/{name}/leases?wait=1ms"), ("GET", f"/v1/queues/{name}/events"),
                                ("DELETE", f"/v1/queues/{name}"))[i % 5]
                one.say(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode())
            one.socket.shutdown(socket.SHUT_WR)
            reader.join()
        answer = self.normal.put("/v1/queues/one-more", {})
        self.assertEqual((answer.status, answer.json["code"]), (409, "too_many_queues"))
        self.assertEqual(len(self.normal.get("/v1/queues").json["queues"]), 100)
        self.healthy(32 * MIB)


class Crowded(Case):
    """More clients than connections_max: those that only hold a connection make room for those that use one."""

    def setUp(self):
        config = tempfile.NamedTemporaryFile("w", suffix=".json")
        self.addCleanup(config.close)
        json.dump({"limits": {"connections": 50}}, config)
        config.flush()
        self.ARGUMENTS = ("--config", config.name)
        super().setUp()

    def test_idle_connections_make_room(self):
        with contextlib.ExitStack() as stack:
            many = [stack.enter_context(Raw(self.server.port)) for _ in range(200)]
            for one in many[:100]:
                one.say(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            for _ in range(20):
                with contextlib.closing(self.server.client()) as fresh:
                    self.serve_normal(fresh)
        self.normal.close()
        self.healthy(32 * MIB)


if __name__ == "__main__":
    print(f"seed {SEED}", flush=True)
    unittest.main()
