"""What the server says no to, over real sockets: limits, browsers, bodies that don't come, broken requests; and that
its metrics keep the format and count what happened."""

import json
import os
import re
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from server import Server, Worker  # noqa: E402


class Limits(unittest.TestCase):
    """A server whose limits are so low that each can be reached."""

    LIMITS = {"message_bytes": 100_000, "batch_messages": 2, "lease_messages": 2, "queues": 2, "keys": 1, "replies": 1,
              "connections": 50, "bodies_bytes": 150_000, "event_streams": 1, "wait": "100ms"}

    @classmethod
    def setUpClass(cls):
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as config:
            json.dump({"drain_timeout": "2s", "limits": cls.LIMITS}, config)
        cls.config = config.name
        cls.server = Server("--config", config.name).start()
        cls.server.client().put("/v1/queues/q")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        os.unlink(cls.config)

    def setUp(self):
        self.api = self.server.client()

    def tearDown(self):
        self.api.close()

    def assert_problem(self, answer, status, code, detail=""):
        self.assertEqual((answer.status, answer.json["code"]), (status, code), answer)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        self.assertIn(detail, answer.json["detail"])

    def send(self, body=b"x", **headers):
        return self.api.post("/v1/queues/q/messages", body, headers={f"Weir-{k.replace('_', '-')}": v for k, v in headers.items()})

    def test_too_many_queues_is_409(self):
        self.api.put("/v1/queues/second")
        self.assert_problem(self.api.put("/v1/queues/third"), 409, "too_many_queues", "2")
        self.assertEqual(self.api.put("/v1/queues/second").status, 200)

    def test_too_many_keys_is_429_with_a_time_to_come_back(self):
        self.assertEqual(self.send(Key="a").status, 202)
        refused = self.send(Key="b")
        self.assert_problem(refused, 429, "too_many_keys")
        self.assertEqual(refused.headers["Retry-After"], "30")
        self.assertEqual(self.send(Key="a").status, 202)

    def test_too_many_replies_is_429_with_a_time_to_come_back(self):
        self.assertEqual(self.send(Reply_To="http://127.0.0.1:9/", Delay="1h").status, 202)
        refused = self.send(Reply_To="http://127.0.0.1:9/")
        self.assert_problem(refused, 429, "too_many_replies")
        self.assertEqual(refused.headers["Retry-After"], "30")

    def test_too_many_messages_in_a_batch_is_413(self):
        path = "/v1/queues/q/messages:batch"
        self.assert_problem(self.api.post(path, {"messages": [{"body": "x"}] * 3}), 413, "too_many_messages", "2 are allowed")
        self.assertEqual(self.api.post(path, {"messages": [{"body": "x"}] * 2}).status, 202)

    def test_too_many_acknowledgements_in_a_batch_is_413(self):
        acks = {"acks": [{"receipt": "x"}] * 3}
        self.assert_problem(self.api.post("/v1/leases:ack", acks), 413, "too_many_acks", "2 are allowed")

    def test_a_lease_of_more_than_lease_messages_is_400(self):
        self.assert_problem(self.api.post("/v1/queues/q/leases?max=3"), 400, "invalid_parameter", "1 to 2")

    def test_settings_over_their_size_are_413_too_large(self):
        refused = self.server.client().put("/v1/queues/q", '{"lease":"1s"' + " " * 70_000 + "}")
        self.assert_problem(refused, 413, "too_large")

    def test_a_nack_with_too_long_an_error_is_413_and_its_lease_goes_on(self):
        self.api.put("/v1/queues/second")
        self.api.post("/v1/queues/second/messages", b"x")
        [taken] = self.api.post("/v1/queues/second/leases").json["messages"]
        path = f"/v1/leases/{taken['receipt']}"
        self.assert_problem(self.server.client().post(path + "/nack", {"error": "x" * 70_000}), 413, "too_large")
        self.assert_problem(self.server.client().post(path + "/extend", '{"lease":"1s"' + " " * 70_000 + "}"), 413, "too_large")
        self.assertEqual(self.api.post(path + "/nack", {"error": "x" * 60_000, "delay": "0s"}).status, 204)
        shown = self.api.get(f"/v1/messages/{taken['id']}").json
        self.assertEqual(shown["last_error"], "x" * 1024)
        [again] = self.api.post("/v1/queues/second/leases?wait=20s").json["messages"]
        self.assertEqual(self.api.post(f"/v1/leases/{again['receipt']}/ack").status, 204)

    def test_a_batch_over_its_size_is_413_body_too_large(self):
        head = f"POST /v1/queues/q/messages:batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: {(64 << 20) + 1}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as large:
            large.sendall(head.encode())
            self.assertIn(b'"code":"body_too_large"', large.makefile("rb").read())

    def test_a_result_over_message_bytes_is_413(self):
        self.api.put("/v1/queues/second")
        self.api.post("/v1/queues/second/messages", b"x")
        [taken] = self.api.post("/v1/queues/second/leases").json["messages"]
        path = f"/v1/leases/{taken['receipt']}/ack"
        self.assert_problem(self.server.client().post(path, b"x" * 100_001), 413, "message_too_large", "a result")
        self.assertEqual(self.api.post(path, b"x" * 100_000).status, 204)

    def test_bodies_over_bodies_bytes_together_are_503_busy(self):
        head = b"POST /v1/queues/q/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.server.port)) as slow:
            slow.sendall(head + b"x" * 99_999)
            while True:  # until the server has read all of that
                answer = self.server.client().post("/v1/queues/q/messages", b"y" * 100_000)
                if answer.status != 202:
                    break
            self.assert_problem(answer, 503, "busy")
            self.assertEqual(answer.headers["Retry-After"], "5")
            self.assertEqual(self.send(b"small").status, 202)
            slow.sendall(b"x")
            self.assertTrue(slow.recv(100).startswith(b"HTTP/1.1 202 "))
        self.assertEqual(self.server.client().post("/v1/queues/q/messages", b"y" * 100_000).status, 202)

    def test_one_stream_more_than_event_streams_is_503(self):
        first = self.server.client()
        with socket.create_connection(("127.0.0.1", self.server.port)) as stream:
            stream.sendall(b"GET /v1/queues/q/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(stream.recv(100).startswith(b"HTTP/1.1 200 "))
            refused = first.get("/v1/queues/q/events")
            self.assert_problem(refused, 503, "too_many_streams")
            self.assertEqual(refused.headers["Retry-After"], "5")

    def test_slow_readers_of_answers_over_answers_bytes_make_room(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as config:
            json.dump({"limits": {"answers_bytes": 8_000_000}}, config)
        self.addCleanup(os.unlink, config.name)
        with Server("--config", config.name) as server:
            api = server.client()
            api.put("/v1/queues/q")
            id = api.post("/v1/queues/q/messages", b"x").json["id"]
            [taken] = api.post("/v1/queues/q/leases").json["messages"]
            api.post(f"/v1/leases/{taken['receipt']}/ack", b"r" * 7_900_000)
            readers = []

            def metric(name):
                return samples(api.get("/metrics").body.decode())[name]

            for others in range(2):
                reader = socket.socket()
                self.addCleanup(reader.close)
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.connect(("127.0.0.1", server.port))
                reader.sendall(f"GET /v1/messages/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                self.assertTrue(reader.recv(100).startswith(b"HTTP/1.1 200 "))
                self.assertEqual(metric("weir_http_answers_cut_total"), others)
                self.assertGreater(metric("weir_http_answers_bytes"), 7_900_000)
                readers.append(reader)
            self.assertEqual(len(api.get(f"/v1/messages/{id}").json["result"]), 7_900_000)  # who reads, has it
            while metric("weir_http_answers_cut_total") < 2 or metric("weir_http_connections") != 1:
                pass  # the test's own time is the bound
            self.assertEqual(metric("weir_http_answers_bytes"), 0)

    def test_a_config_file_with_limits_that_contradict_each_other_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "weir.json")
            with open(config, "w") as file:
                json.dump({"data": os.path.join(folder, "data"), "limits": {"bodies_bytes": 1000}}, file)
            import subprocess
            from server import APP
            refused = subprocess.run([APP, "serve", "--config", config], capture_output=True, text=True)
            self.assertEqual(refused.returncode, 2, refused)
            self.assertIn("limits.bodies_bytes is 1000", refused.stderr)


class Strangers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        cls.server.client().put("/v1/queues/q")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def raw(self, text):
        """(status, code) of the answer to these bytes; the client's half is closed behind them."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            got = b""
            while piece := connection.recv(65536):
                got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Type: application/problem+json", head, got)
        problem = json.loads(body)
        self.assertEqual(int(head.split()[1]), problem["status"])
        self.assertTrue(problem["detail"])
        return problem["status"], problem["code"]

    def test_pages_of_other_sites_are_403(self):
        api = self.server.client()
        own = f"http://127.0.0.1:{self.server.port}"
        for headers, status, code in (
            ({"Origin": "http://evil.example"}, 403, "cross_origin"), ({"Origin": "null"}, 403, "cross_origin"),
            ({"Host": "evil.example"}, 403, "wrong_host"), ({"Host": "a-.evil.example"}, 403, "wrong_host"),
            ({"Host": "-a.evil.example"}, 403, "wrong_host"), ({"Host": "a!b.evil.example"}, 403, "wrong_host"),
            ({"Host": "a-.evil.example", "Origin": "http://a-.evil.example"}, 403, "wrong_host"),
            ({"Host": "[::1]:1"}, 200, None), ({"Host": ""}, 200, None), ({"Origin": own}, 200, None), ({"Host": "localhost:1"}, 200, None),
        ):
            with self.subTest(headers):
                answer = api.get("/v1/queues", headers=headers)
                self.assertEqual((answer.status, answer.json.get("code")), (status, code))

    def test_what_takes_longer_than_its_client_waits_is_504(self):
        waits = {"x-envoy-expected-rq-timeout-ms": "100"}
        answer = self.server.client().post("/v1/queues/q/leases?wait=20s", headers=waits)
        self.assertEqual((answer.status, answer.json["code"]), (504, "deadline_exceeded"))
        counted = 'weir_http_requests_total{endpoint="lease",status="cut_off"} 1'
        self.assertIn(counted, self.server.client().get("/metrics").body.decode().splitlines())

    def test_what_means_nothing_at_a_path_is_refused_by_name(self):
        api = self.server.client()
        for method, path in (
            ("POST", "/v1/leases/x/ack"), ("POST", "/v1/leases/x/nack"), ("POST", "/v1/leases/x/extend"),
            ("POST", "/v1/leases:ack"), ("POST", "/v1/queues/q/messages:batch"), ("POST", "/v1/queues/q/redrive"),
            ("GET", "/v1/queues/q/events"), ("GET", "/v1/messages/x/events"), ("PUT", "/v1/queues/q"),
            ("GET", "/v1/queues"), ("GET", "/v1/queues/q"), ("DELETE", "/v1/queues/q"),
        ):
            with self.subTest(path):
                answer = api.call(method, path + "?lease=10m")
                self.assertEqual((answer.status, answer.json["code"]), (400, "unknown_parameter"))
                self.assertIn("'lease'", answer.json["detail"])
                answer = api.call(method, path, headers={"Weir-Delay": "1h"})
                self.assertEqual((answer.status, answer.json["code"]), (400, "unknown_field"))
                self.assertIn("'Weir-Delay'", answer.json["detail"])
        for path in ("/healthz", "/readyz", "/metrics"):  # balancers and scrapers add parameters of their own
            self.assertEqual(api.get(path + "?now=1").status, 200)
        for path in ("/v1/queues/q/leases", "/v1/queues/q/redrive"):
            answer = api.post(path, '{"max":2}')
            self.assertEqual((answer.status, answer.json["code"]), (400, "unexpected_body"))

    def test_a_body_that_ends_too_early_is_400_and_nothing_is_taken_in(self):
        head = b"POST /v1/queues/q/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
        self.assertEqual(self.raw(head + b"123"), (400, "incomplete_body"))
        self.assertEqual(self.server.client().get("/v1/queues/q").json["counts"]["ready"], 0)

    def test_a_trailer_over_its_limit_is_431_and_nothing_is_taken_in(self):
        for path in ("/v1/queues/q/messages", "/v1/queues/q/messages:batch", "/v1/leases/none/ack"):
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n".encode()
            for trailer, code in ((b"A: b\r\n" * 101 + b"\r\n", "too_many_fields"), (b"A: " + b"b" * 9000, "trailer_too_large")):
                with self.subTest(path, code=code):
                    self.assertEqual(self.raw(head + trailer), (431, code))

    def test_what_is_no_request_is_refused_by_the_rules_of_http(self):
        good = b"Host: localhost\r\n"
        for text, status in (
            (b"NONSENSE\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/3.0\r\n" + good + b"\r\n", 505),
            (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + good + b"\r\n", 414),
            (b"GET / HTTP/1.1\r\n" + good + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431),
            (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501),
            (b"POST /v1/queues/q/messages HTTP/1.1\r\n" + good + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
            (b"POST /v1/queues/q/messages HTTP/1.1\r\n" + good + b"Content-Length: 99999999\r\n\r\n", 413),
            (b"POST /v1/queues/q/messages HTTP/1.1\r\n" + good + b"Expect: wonders\r\n\r\n", 417),
            (b"POST /v1/queues/q/messages HTTP/1.1\r\n" + good + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ):
            with self.subTest(text[:60]):
                self.assertEqual(self.raw(text)[0], status)
        self.assertEqual(self.server.client().get("/healthz").status, 200)

    def test_a_percent_sign_without_digits_is_400(self):
        answer = self.server.client().get("/v1/queues/%zz")
        self.assertEqual((answer.status, answer.json["code"]), (400, "malformed"))

    def test_json_that_is_none_says_where(self):
        answer = self.server.client().put("/v1/queues/q", '{"lease":"1s",,}')
        self.assertEqual((answer.status, answer.json["code"]), (400, "invalid_json"))
        self.assertIn("at byte 14", answer.json["detail"])

    def test_a_field_that_is_there_twice_is_refused_by_name(self):
        for verb, field in (("nack", "delay"), ("extend", "lease")):
            body = f'{{"{field}":"1s","{field}":"2s"}}'
            answer = self.server.client().post(f"/v1/leases/x/{verb}", body)
            self.assertEqual((answer.status, answer.json["code"]), (400, "invalid_json"))
            self.assertIn(f"'{field}' twice", answer.json["detail"])
        self.server.client().put("/v1/queues/twice")
        answer = self.server.client().post("/v1/queues/twice/messages:batch", '{"messages":[{"body":"a","body":"b"}]}')
        self.assertEqual((answer.status, answer.json["code"]), (400, "invalid_json"))
        self.assertIn("'messages.body' twice", answer.json["detail"])


def samples(text):
    """{name{labels}: value} of a text in Prometheus's format, read as strictly as promtool does."""
    found, types, done, family = {}, {}, set(), None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in done, f"{name} comes in two places"
            assert len(line.split(" ", 3)) == 4, f"{name} has no text"
            done.add(name)
            family = name
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == name.endswith("_total"), f"{name} is a {kind}"
            types[name] = kind
        else:
            match = re.fullmatch(r'([a-z_]+)((?:\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})?) ([0-9.e+-]+|\+Inf|NaN)', line)
            assert match, line
            name, labels, value = match.groups()
            suffixes = ("_bucket", "_sum", "_count") if types[family] == "histogram" else ("",)
            assert name in [family + suffix for suffix in suffixes], f"{line} in {family}"
            assert name + labels not in found, f"{line} comes twice"
            found[name + labels] = float(value)
    for series in [s for s in found if "_bucket{" in s and 'le="+Inf"' in s]:
        rest = re.sub(r',?le="\+Inf"', "", series).replace("{}", "")
        assert found[series] == found[rest.replace("_bucket", "_count")], f"{series} is not the count"
        bounds = [v for s, v in found.items() if "_bucket{" in s and re.sub(r',?le="[^"]*"', "", s).replace("{}", "") == rest]
        assert bounds == sorted(bounds), f"{series}: buckets fall"
    return found


class Metrics(unittest.TestCase):
    def test_each_metric_counts_what_happened_in_the_format_of_prometheus(self):
        with Server() as server, Worker(lambda call: (200, {}, b"ok") if call["path"] == "/good" else (410, {}, b"")) as worker:
            api = server.client()
            api.put("/v1/queues/q", {"attempts": 1, "backoff": {"first": "0s", "max": "0s"}})

            def send(**headers):
                named = {f"Weir-{name.replace('_', '-')}": value for name, value in headers.items()}
                return api.post("/v1/queues/q/messages", b"12345", headers=named).json["id"]

            def take():
                return api.post("/v1/queues/q/leases?wait=5s").json["messages"][0]["receipt"]

            told = send(Reply_To=worker.url + "/good")
            api.post(f"/v1/leases/{take()}/ack", b"done")
            send(Reply_To=worker.url + "/gone")
            api.post(f"/v1/leases/{take()}/ack", b"done")
            expired = send(Ttl="1ms")
            self.assertEqual(api.get(f"/v1/messages/{expired}?wait=20s").json["state"], "expired")
            send()
            api.post(f"/v1/leases/{take()}/nack", {"error": "no"})
            api.post("/v1/queues/q/redrive")
            api.put("/v1/queues/pushed", {"push": {"url": worker.url + "/good"}})
            pushed = api.post("/v1/queues/pushed/messages", b"x").json["id"]
            self.assertEqual(api.get(f"/v1/messages/{pushed}?wait=20s").json["state"], "done")
            self.assertTrue(told)
            worker.wait_calls(3)
            wanted = {
                'weir_queue_messages{queue="q",state="ready"}': 1, 'weir_queue_messages{queue="q",state="done"}': 2,
                'weir_queue_messages{queue="q",state="expired"}': 1, 'weir_queue_bytes{queue="q"}': 5,
                'weir_messages_submitted_total{queue="q"}': 4, 'weir_messages_leased_total{queue="q"}': 3,
                'weir_messages_completed_total{queue="q"}': 2, 'weir_attempts_failed_total{queue="q"}': 1,
                'weir_messages_died_total{queue="q"}': 1, 'weir_messages_expired_total{queue="q"}': 1,
                'weir_messages_redriven_total{queue="q"}': 1, 'weir_replies_delivered_total{queue="q"}': 1,
                'weir_replies_given_up_total{queue="q"}': 1, "weir_ready": 1, "weir_http_requests_in_flight": 1,
                'weir_http_requests_total{endpoint="redrive",status="200"}': 1, "weir_confirm_seconds_count": 5,
                'weir_http_request_seconds_count{endpoint="nack"}': 1,
            }
            for _ in range(1000):  # the replies are settled a moment after their workers have heard them
                got = samples(api.get("/metrics").body.decode())
                if got['weir_replies_given_up_total{queue="q"}'] and got['weir_replies_delivered_total{queue="q"}']:
                    break
            self.assertEqual({name: got.get(name) for name in wanted}, wanted)
            self.assertGreater(got['weir_queue_oldest_age_seconds{queue="q"}'], 0)
            self.assertEqual(sum(v for s, v in got.items() if s.startswith("weir_push_calls_total")), 3)
            self.assertEqual(got["weir_push_call_seconds_count"], 3)
            self.assertEqual([v for s, v in got.items() if s.startswith("weir_build_info{version=")], [1])


if __name__ == "__main__":
    unittest.main()
