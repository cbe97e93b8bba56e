"""A `weir serve` process for tests, a JSON client for it, and an HTTP worker that it may call.

Only the standard library, so that the tests run on any machine that can build the server.
"""

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

APP = os.environ.get("WEIR_APP", "build/dev/weir")
START_SECONDS_MAX = 30
PIPELINED = 50  # requests that are sent before their answers are read


class Answer:
    """One HTTP answer, read whole."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body!r}"


class BareAnswer:
    """Status and body of an answer that has a length, for checks of thousands: http.client takes ten times as long for one."""

    def __init__(self, stream):
        line = stream.readline()
        if not line.startswith(b"HTTP/1.1 ") or not line.endswith(b"\r\n"):
            raise http.client.BadStatusLine(repr(line))
        self.status, length = int(line[9:12]), None
        while (field := stream.readline()) != b"\r\n":
            if not field:
                raise http.client.IncompleteRead(field)
            name, _, value = field.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if length is None:
            raise http.client.HTTPException("an answer without a length")
        self.body = stream.read(length)
        if len(self.body) < length:
            raise http.client.IncompleteRead(self.body, length - len(self.body))

    json = Answer.json
    __repr__ = Answer.__repr__


class Client:
    """Keep-alive calls to one server; a broken connection raises and the next call makes a new one."""

    def __init__(self, port, token=None, timeout=30):
        self.port, self.token, self.timeout = port, token, timeout
        self.connection = None

    def call(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            self.connection.request(method, path, body=body, headers=headers)
            return Answer(self.connection.getresponse())
        except BaseException:
            self.close()
            raise

    def get_each(self, paths):
        """The answers to GETs, one for each, in order; they are sent several at once, over a connection of their own."""
        if not paths:
            return
        token = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        with socket.create_connection(("127.0.0.1", self.port), self.timeout) as peer, peer.makefile("rb") as stream:
            for first in range(0, len(paths), PIPELINED):
                some = paths[first:first + PIPELINED]
                peer.sendall("".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{token}\r\n" for path in some).encode())
                for _ in some:
                    yield BareAnswer(stream)

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=b"", **more):
        return self.call("POST", path, body=body, **more)

    def put(self, path, body=b"", **more):
        return self.call("PUT", path, body=body, **more)

    def delete(self, path, **more):
        return self.call("DELETE", path, **more)

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    __del__ = close


class Server:
    """A server process over a data folder of its own; `with` ends it and removes the folder."""

    def __init__(self, *arguments, data=None, env=None):
        self.arguments = arguments
        self.owned = data is None
        self.data = data or tempfile.mkdtemp(prefix="weir-e2e-")
        self.env = {**os.environ, **(env or {})}
        self.port = 0
        self.process = None
        self.output = []

    def start(self):
        self.port = 0  # of an earlier life: it must not look like this one's
        listen = [] if "--listen" in self.arguments else ["--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            [APP, "serve", "--data", self.data, *listen, *self.arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env,
        )
        self.output = []
        ready = threading.Event()
        self.reader = threading.Thread(target=self._read, args=(self.process, ready), daemon=True)
        self.reader.start()
        if not ready.wait(START_SECONDS_MAX) or not self.port:
            self.process.kill()
            raise AssertionError("the server did not start:\n" + "".join(self.output))
        return self

    def _read(self, process, ready):
        for line in process.stdout:
            self.output.append(line)
            found = re.search(r"listening on https?://[^ ]*:(\d+) ", line)
            if found:
                self.port = int(found.group(1))
                ready.set()
        process.stdout.close()
        ready.set()

    def client(self, **more):
        return Client(self.port, **more)

    def kill(self):
        """SIGKILL, at once."""
        self.process.kill()
        self.process.wait()
        self.port = 0

    def stop(self, signal_number=signal.SIGTERM):
        """A graceful end; gives the exit code."""
        self.process.send_signal(signal_number)
        code = self.process.wait(timeout=30)
        self.port = 0
        return code

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.owned:
            shutil.rmtree(self.data, ignore_errors=True)


@contextlib.contextmanager
def small_journal(segment_bytes=65536, **limits):
    """A config file with segments so small that a short test fills many, takes snapshots and compacts."""
    with tempfile.NamedTemporaryFile("w", prefix="weir-", suffix=".json") as file:
        json.dump({"limits": {"message_bytes": 24576, **limits},
                   "journal": {"segment_bytes": segment_bytes, "snapshot_bytes": 2 * segment_bytes}}, file)
        file.flush()
        yield file.name


def check(folder, env=None):
    """`weir check`: (exit code, its JSON)."""
    done = subprocess.run([APP, "check", "--json", folder], capture_output=True, text=True,
                          env={**os.environ, **(env or {})})
    if not done.stdout:
        return done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert report["sound"] == (done.returncode == 0), (done.returncode, report)
    return done.returncode, report


def run_serve(*arguments, env=None):
    """`weir serve` that is expected to refuse: (exit code, its last line)."""
    done = subprocess.run([APP, "serve", "--listen", "127.0.0.1:0", *arguments], capture_output=True, text=True,
                          timeout=60, env={**os.environ, **(env or {})})
    return done.returncode, done.stderr.strip().splitlines()[-1]


class Worker:
    """An HTTP server in this process that notes each call and answers what `respond(call)` gives:
    (status, headers, body). With an ssl.SSLContext it speaks https."""

    def __init__(self, respond, tls=None):
        self.calls = []
        self.changed = threading.Condition()
        worker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                call = {"path": self.path, "headers": self.headers, "body": body, "at": time.monotonic()}
                with worker.changed:
                    worker.calls.append(call)
                    worker.changed.notify_all()
                status, headers, answer = respond(call)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # the server may hang up on a worker that is too slow
        if tls:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def wait_calls(self, count, seconds=20):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.calls) >= count, seconds):
                raise AssertionError(f"{len(self.calls)} calls in {seconds} s, expected {count}")
            return list(self.calls)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


class Events:
    """A stream of server-sent events, read one by one."""

    def __init__(self, port, path, timeout=20):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self.connection.request("GET", path)
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def next(self):
        """(event, data as JSON), or None at the end of the stream."""
        kind, data = "message", None
        while True:
            line = self.response.readline().decode()
            if not line:
                return None
            line = line.rstrip("\r\n")
            if not line and data is not None:
                return kind, json.loads(data)
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                data = value if data is None else data + "\n" + value

    def close(self):
        self.connection.close()


def quote(text):
    return urllib.parse.quote(text, safe="")
