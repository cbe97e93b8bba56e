"""Security of the real program: https with openssl and curl on the other side, secrets that change while the server
runs, who may be called, and what never stands in a log."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from cli_test import weir  # noqa: E402
from server import APP, Server, Worker  # noqa: E402

TOKEN, SECOND = "0123456789abcdef-first", "0123456789abcdef-second"


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Files:
    """A folder with a CA and what it issues, made by the openssl command."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="weir-tls-")
        self.authority("ca")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w") as out:
            out.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def authority(self, name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.pem"))

    def issue(self, name, alternatives="DNS:localhost,IP:127.0.0.1", ca="ca", days=30, subject=None):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject or f"/CN={name}",
                "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"))
        extensions = self.write(f"{name}.ext", f"subjectAltName={alternatives}\n" if alternatives else "\n")
        openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path(f"{ca}.pem"), "-CAkey",
                self.path(f"{ca}.key"), "-CAcreateserial", "-days", str(days), "-extfile", extensions,
                "-out", self.path(f"{name}.pem"))
        os.chmod(self.path(f"{name}.key"), 0o600)
        return self.path(f"{name}.pem"), self.path(f"{name}.key")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_for(server, text, seconds=20):
    """The first line of the server's output that holds the text."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for line in list(server.output):
            if text in line:
                return line
        time.sleep(0.02)
    raise AssertionError(f"no {text!r} in:\n" + "".join(server.output))


def curl(url, *arguments):
    """(exit code, output)"""
    done = subprocess.run(["curl", "-sS", "--max-time", "20", *arguments, url], capture_output=True)
    return done.returncode, (done.stdout + done.stderr).decode()


@unittest.skipUnless(shutil.which("openssl") and shutil.which("curl"), "needs the commands openssl and curl")
class Https(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = Files()
        cls.cert, cls.key = cls.files.issue("server")
        cls.ca = cls.files.path("ca.pem")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.files.folder, ignore_errors=True)

    def secure(self, *more):
        return Server("--tls-cert", self.cert, "--tls-key", self.key, *more)

    def test_curl_and_openssl_talk_to_the_server(self):
        with self.secure() as server:
            url = f"https://localhost:{server.port}"
            self.assertEqual(curl(url + "/healthz", "--cacert", self.ca)[0], 0)
            code, text = curl(url + "/healthz")
            self.assertEqual(code, 60, text)  # curl: the peer is not trusted
            code, text = curl(f"{url}/v1/queues/q", "--cacert", self.ca, "-X", "PUT")
            self.assertEqual((code, json.loads(text)["name"]), (0, "q"))
            large = self.files.write("large", "x" * 500_000)  # more than a command line holds
            code, text = curl(f"{url}/v1/queues/q/messages", "--cacert", self.ca, "--data-binary", "@" + large)
            self.assertEqual(code, 0, text)
            shown = subprocess.run(
                ["openssl", "s_client", "-connect", f"localhost:{server.port}", "-CAfile", self.ca, "-servername",
                 "localhost", "-verify_return_error", "-alpn", "h2,http/1.1"],
                input=b"", capture_output=True, timeout=30)
            text = shown.stdout.decode()
            self.assertIn("Verify return code: 0 (ok)", text)
            self.assertIn("ALPN protocol: http/1.1", text)
            self.assertRegex(text, r"TLSv1\.3")
            # What is no TLS, and half a handshake, leave the server as it is.
            for noise in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", os.urandom(4096), b""]:
                with socket.create_connection(("127.0.0.1", server.port), timeout=20) as peer:
                    peer.sendall(noise)
                    peer.shutdown(socket.SHUT_WR)
                    try:
                        while peer.recv(4096):
                            pass
                    except ConnectionResetError:
                        pass
            self.assertEqual(curl(url + "/healthz", "--cacert", self.ca)[0], 0)
            self.assertEqual(server.stop(), 0)

    def test_old_versions_of_tls_are_refused(self):
        with self.secure() as server:
            for old in ["-tls1", "-tls1_1"]:
                done = subprocess.run(["openssl", "s_client", old, "-connect", f"localhost:{server.port}"],
                                      input=b"", capture_output=True, timeout=30)
                self.assertNotEqual(done.returncode, 0, old)
            done = subprocess.run(["openssl", "s_client", "-tls1_2", "-CAfile", self.ca, "-connect",
                                   f"localhost:{server.port}"], input=b"", capture_output=True, timeout=30)
            self.assertIn(b"Verify return code: 0 (ok)", done.stdout)

    def test_the_command_speaks_https(self):
        with self.secure() as server:
            url = f"https://localhost:{server.port}"
            code, out, err = weir("queues", "--ca", self.ca, url=url)
            self.assertEqual(code, 0, err)
            code, out, err = weir("queues", url=url, env={"WEIR_CA": self.ca})
            self.assertEqual(code, 0, err)
            code, out, err = weir("queues", url=url)
            self.assertEqual(code, 3, err)
            self.assertIn("is not trusted here: add the certificate of that CA", err)
            code, out, err = weir("queues", url=f"http://localhost:{server.port}")
            self.assertEqual(code, 3, err)

    def test_a_server_with_another_name_is_not_taken_for_this_one(self):
        cert, key = self.files.issue("other", "DNS:other.example")
        with Server("--tls-cert", cert, "--tls-key", key) as server:
            code, out, err = weir("queues", "--ca", self.ca, url=f"https://127.0.0.1:{server.port}")
            self.assertEqual(code, 3, err)
            self.assertIn("is for 'other.example', not for '127.0.0.1'", err)

    def test_only_clients_with_a_certificate_are_let_in(self):
        mine, mine_key = self.files.issue("client", "")
        self.files.authority("strangers")
        theirs, theirs_key = self.files.issue("stranger", "", ca="strangers")
        with self.secure("--tls-client-ca", self.ca) as server:
            url = f"https://localhost:{server.port}/v1/queues"
            self.assertEqual(curl(url, "--cacert", self.ca, "--cert", mine, "--key", mine_key)[0], 0)
            known = ["-o", "/dev/null", "-w", "%{http_code}", "--cacert", self.ca, "--cert", mine, "--key", mine_key]
            for field, status in ((f"Origin: https://localhost:{server.port}", "200"), ("Host: weir.example", "200"),
                                  ("Origin: https://evil.example", "403"), ("Origin: null", "403")):
                self.assertEqual(curl(url, *known, "-H", field), (0, status), field)
            nameless, nameless_key = self.files.issue("nameless", "DNS:worker.example", subject="/")
            known[-3:] = [nameless, "--key", nameless_key]
            self.assertEqual(curl(url, *known, "-H", "Host: weir.example"), (0, "200"))
            self.assertNotEqual(curl(url, "--cacert", self.ca)[0], 0)
            self.assertNotEqual(curl(url, "--cacert", self.ca, "--cert", theirs, "--key", theirs_key)[0], 0)

    def test_the_command_shows_its_certificate_where_one_is_asked_for(self):
        mine, mine_key = self.files.issue("operator", "")
        self.files.authority("other-ca")
        theirs, theirs_key = self.files.issue("other", "", ca="other-ca")
        with self.secure("--tls-client-ca", self.ca) as server:
            url = f"https://localhost:{server.port}"
            shown = {"WEIR_CA": self.ca, "WEIR_TLS_CERT": mine, "WEIR_TLS_KEY": mine_key}
            for driver in ("epoll", ""):
                env = {"WEIR_DRIVER": driver} if driver else {}
                code, _, err = weir("queues", "--ca", self.ca, "--tls-cert", mine, "--tls-key", mine_key, url=url, env=env)
                self.assertEqual(code, 0, err)
                self.assertEqual(weir("queues", url=url, env={**env, **shown})[0], 0)
                for command in (["queues"], ["send", "q"], ["take", "q"], ["wait", "x"], ["redrive", "q"], ["bench", "server"]):
                    code, out, err = weir(*command, "--ca", self.ca, url=url, env=env)
                    self.assertEqual((code, out, err), (3, "", f"weir: the server at {url} takes only clients with a certificate: "
                                                               "--tls-cert and --tls-key name one\n"), command)
                code, _, err = weir("queues", "--ca", self.ca, "--tls-cert", theirs, "--tls-key", theirs_key, url=url, env=env)
                self.assertEqual(code, 3, err)
                self.assertNotIn("connection refused", err)
                self.assertIn("TLS: the peer refused: ", err)
        for wrong in (["--tls-cert", mine], ["--tls-key", mine_key]):
            code, _, err = weir("queues", *wrong, url=url)
            self.assertEqual(code, 2, err)
            self.assertIn("needs both: the certificate (--tls-cert) and its key (--tls-key)", err)
        code, _, err = weir("queues", "--tls-cert", mine, "--tls-key", theirs_key, url=url)
        self.assertEqual(code, 2, err)
        self.assertIn(f"{theirs_key} does not belong to {mine}", err)

    def fingerprint(self, server):
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", server.port)))

    def test_a_new_certificate_is_taken_at_sighup_and_a_wrong_one_is_not(self):
        cert, key = self.files.issue("first")
        copy = {name: self.files.path("live." + name) for name in ("pem", "key")}

        def install(pem, private):
            shutil.copy(pem, copy["pem"])
            shutil.copy(private, copy["key"])

        install(cert, key)
        with Server("--tls-cert", copy["pem"], "--tls-key", copy["key"]) as server:
            before = self.fingerprint(server)
            install(*self.files.issue("second"))
            server.process.send_signal(signal.SIGHUP)
            wait_for(server, " reloaded")
            after = self.fingerprint(server)
            self.assertNotEqual(before, after)
            with open(copy["pem"], "w") as out:
                out.write("no certificate")
            server.process.send_signal(signal.SIGHUP)
            self.assertIn("holds no certificate in PEM form", wait_for(server, "nothing was reloaded"))
            self.assertEqual(self.fingerprint(server), after)

    def test_workers_are_called_over_https_when_they_are_trusted(self):
        cert, key = self.files.issue("worker")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        config = self.files.write("calls.json", json.dumps({"calls": {"ca": self.ca}}))
        with Worker(lambda call: (200, {}, b"done: " + call["body"]), tls=context) as worker:
            self.assertTrue(worker.url.startswith("https://"))
            with Server("--config", config) as server:
                client = server.client()
                client.put("/v1/queues/q", {"push": {"url": worker.url + "/work"}})
                sent = client.post("/v1/queues/q/messages", "x", headers={"Weir-Reply-To": worker.url + "/reply"})
                ended = client.get(f"/v1/messages/{sent.json['id']}?wait=20s").json
                self.assertEqual((ended["state"], ended["result"]), ("done", "done: x"))
                calls = worker.wait_calls(2)
                self.assertEqual([call["path"] for call in calls], ["/work", "/reply"])
            with Server() as server:  # trusts the system's CAs only
                client = server.client()
                client.put("/v1/queues/q", {"push": {"url": worker.url}, "attempts": 1})
                sent = client.post("/v1/queues/q/messages", "x")
                ended = client.get(f"/v1/messages/{sent.json['id']}?wait=20s").json
                self.assertEqual(ended["state"], "dead")
                self.assertIn("is not trusted here", ended["last_error"])


@unittest.skipUnless(shutil.which("openssl"), "needs the command openssl")
class Startup(unittest.TestCase):
    def refused(self, *arguments):
        with tempfile.TemporaryDirectory() as data:
            done = subprocess.run([APP, "serve", "--data", data, "--listen", "127.0.0.1:0", *arguments],
                                  capture_output=True, timeout=30)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr.decode()

    def test_what_does_not_fit_together_is_said(self):
        with Files() as files:
            cert, key = files.issue("one")
            _, other_key = files.issue("two")
            rules = files.write("rules.json", json.dumps({"calls": {"deny": ["10.0.0.0/40"]}}))
            table = [
                (["--tls-cert", cert], "TLS needs both"),
                (["--tls-client-ca", cert], "need TLS: give --tls-cert and --tls-key"),
                (["--tls-cert", cert, "--tls-key", "/no/such"], "/no/such: No such file"),
                (["--tls-cert", cert, "--tls-key", other_key], f"{other_key} does not belong to {cert}"),
                (["--tls-cert", key, "--tls-key", key], f"{key} holds no certificate"),
                (["--config", rules], "'10.0.0.0/40' is no block of addresses"),
            ]
            for arguments, reason in table:
                self.assertIn(reason, self.refused(*arguments))

    def test_loose_rights_are_warned_of(self):
        with Files() as files:
            tokens = files.write("tokens", TOKEN + "\n", mode=0o644)
            data = files.path("data")
            os.mkdir(data, 0o755)
            os.chmod(data, 0o755)
            with Server("--token-file", tokens, data=data) as server:
                self.assertIn(f"chmod 600 {tokens}", wait_for(server, "a secret can be read by other users"))
                self.assertIn(f"chmod 700 {data}", wait_for(server, "messages can be read by other users"))
            made = files.path("made")
            with Server(data=made):
                self.assertEqual(os.stat(made).st_mode & 0o777, 0o700)


class Secrets(unittest.TestCase):
    def test_tokens_change_at_sighup(self):
        with Files() as files:
            tokens = files.write("tokens", TOKEN + "\n")
            with Server("--token-file", tokens) as server:
                def status(token):
                    return server.client(token=token).get("/v1/queues").status
                self.assertEqual((status(TOKEN), status(SECOND)), (200, 401))
                files.write("tokens", f"{TOKEN}\n{SECOND}\n")
                server.process.send_signal(signal.SIGHUP)
                self.assertIn("tokens=2", wait_for(server, " reloaded"))
                self.assertEqual((status(TOKEN), status(SECOND)), (200, 200))
                files.write("tokens", SECOND + "\n")
                server.process.send_signal(signal.SIGHUP)
                wait_for(server, "tokens=1")
                self.assertEqual((status(TOKEN), status(SECOND)), (401, 200))
                files.write("tokens", "short\n")
                server.process.send_signal(signal.SIGHUP)
                wait_for(server, "nothing was reloaded")
                self.assertEqual(status(SECOND), 200)

    def test_no_secret_stands_in_the_log(self):
        secrets = [TOKEN, SECOND, "guessed-0123456789", "hunter2", "query-secret", "body-secret"]
        with Files() as files:
            tokens = files.write("tokens", TOKEN + "\n")
            config = files.write("weir.json", json.dumps({"calls": {"allow": ["loopback"]}}))
            with Worker(lambda call: (500, {}, b"no")) as worker:
                with Server("--token-file", tokens, "--config", config, env={"WEIR_LOG": "trace"}) as server:
                    client = server.client(token=TOKEN)
                    stranger = server.client(token="guessed-0123456789")
                    self.assertEqual(stranger.get("/v1/queues").status, 401)
                    client.put("/v1/queues/q", {"push": {"url": worker.url + "/?key=query-secret"}, "attempts": 1})
                    client.put("/v1/queues/r", {"push": {"url": "http://127.0.0.1:9/?key=query-secret"}, "attempts": 1})
                    host = worker.url.removeprefix("http://")
                    refused = client.put("/v1/queues/s", {"push": {"url": f"http://ada:hunter2@{host}/"}})
                    self.assertEqual(refused.status, 400)
                    self.assertNotIn("hunter2", refused.body.decode())
                    for queue in "qr":
                        sent = client.post(f"/v1/queues/{queue}/messages", "body-secret",
                                           headers={"Weir-Reply-To": worker.url + "/reply?key=query-secret"})
                        ended = client.get(f"/v1/messages/{sent.json['id']}?wait=20s").json
                        self.assertEqual(ended["state"], "dead")
                        self.assertNotIn("query-secret", ended["last_error"])
                    wait_for(server, "a reply address did not take a result")
                    files.write("tokens", SECOND + "\n")
                    server.process.send_signal(signal.SIGHUP)
                    wait_for(server, " reloaded")
                    self.assertEqual(server.stop(), 0)
                    log = "".join(server.output)
        for secret in secrets:
            self.assertNotIn(secret, log)


class Calls(unittest.TestCase):
    """Who may be called: servers that others can reach don't call into the networks around them."""

    def test_a_server_that_others_can_reach_calls_no_inner_address(self):
        with Files() as files:
            tokens = files.write("tokens", TOKEN + "\n")
            with Worker(lambda call: (200, {}, b"")) as worker:
                port = worker.http.server_address[1]
                with Server("--token-file", tokens, "--listen", "0.0.0.0:0") as server:
                    client = server.client(token=TOKEN)
                    for host in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]:
                        put = client.put("/v1/queues/q", {"push": {"url": f"http://{host}:{port}/"}})
                        self.assertEqual((put.status, put.json["code"]), (400, "invalid_setting"), host)
                        self.assertIn("calls.deny", put.json["detail"])
                    # A name is looked at when it is called, with the address that it has then.
                    client.put("/v1/queues/q", {"push": {"url": f"http://localhost:{port}/"}, "attempts": 1})
                    sent = client.post("/v1/queues/q/messages", "x")
                    ended = client.get(f"/v1/messages/{sent.json['id']}?wait=20s").json
                    self.assertEqual(ended["state"], "dead")
                    self.assertIn("denied by the rule 'loopback'", ended["last_error"])
                    bad = client.post("/v1/queues/q/messages", "x", headers={"Weir-Reply-To": f"http://10.1.1.1/"})
                    self.assertEqual((bad.status, bad.json["code"]), (400, "invalid_field"))
                    batch = client.post("/v1/queues/q/messages:batch", {"messages": [
                        {"body": "x"}, {"body": "x", "reply_to": "http://10.1.1.1/"}, {"body": "x"}]}).json["messages"]
                    self.assertEqual([one["status"] for one in batch], [202, 400, 202])
                    self.assertEqual(batch[1]["code"], "invalid_field")
                    self.assertIn("field 'messages[1].reply_to' is at an address", batch[1]["detail"])
                allowed = files.write("allow.json", json.dumps({"calls": {"allow": ["127.0.0.0/8"]}}))
                with Server("--token-file", tokens, "--listen", "0.0.0.0:0", "--config", allowed) as server:
                    client = server.client(token=TOKEN)
                    client.put("/v1/queues/q", {"push": {"url": worker.url}})
                    sent = client.post("/v1/queues/q/messages", "x")
                    self.assertEqual(client.get(f"/v1/messages/{sent.json['id']}?wait=20s").json["state"], "done")

    def test_one_client_does_not_take_all_connections(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
            except OSError:
                self.skipTest("this machine has no address but loopback")
            own = probe.getsockname()[0]
        with Files() as files:
            tokens = files.write("tokens", TOKEN + "\n")
            config = files.write("few.json", json.dumps({"limits": {"connections_per_client": 3}}))
            with Server("--token-file", tokens, "--listen", "0.0.0.0:0", "--config", config) as server:
                def talk(connection):
                    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                    try:
                        return connection.recv(4096)
                    except ConnectionResetError:
                        return b""
                open_ones = [socket.create_connection((own, server.port), timeout=20) for _ in range(3)]
                self.assertTrue(all(talk(one).startswith(b"HTTP/1.1 200 ") for one in open_ones))
                with socket.create_connection((own, server.port), timeout=20) as fourth:
                    self.assertEqual(talk(fourth), b"")
                with socket.create_connection(("127.0.0.1", server.port), timeout=20) as local:
                    self.assertTrue(talk(local).startswith(b"HTTP/1.1 200 "), "this machine is not counted")
                for one in open_ones:
                    one.close()


if __name__ == "__main__":
    unittest.main()
