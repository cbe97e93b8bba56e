"""The real server on a disk that is full, read-only or failing, and without descriptors or memory: each has a
stated answer, nothing acknowledged is lost, and the way back is the one of docs/howto/operate.md.
"""

import contextlib
import ctypes
import errno
import http.client
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
import shim  # noqa: E402
from server import APP, Server, check, run_serve, small_journal  # noqa: E402

SPARE_MEMORY = 24 << 20
DRIVERS = ("epoll", "io_uring")
BROKEN = (OSError, http.client.HTTPException)
libc = ctypes.CDLL(None, use_errno=True)


def submit(client, body, queue="q"):
    answer = client.post(f"/v1/queues/{queue}/messages", body)
    return answer, answer.json.get("id")


def submit_on_any(client, body):
    """The same, when the server may close an idle connection to make room: then on a new one."""
    while True:
        with contextlib.suppress(*BROKEN):
            return submit(client, body)


def fill(client, body, max=20_000):
    """Submits until the server refuses; gives the ids and the refusal."""
    ids = []
    for _ in range(max):
        answer, id = submit(client, body)
        if answer.status != 202:
            return ids, answer
        ids.append(id)
    raise AssertionError(f"{max} messages were taken in")


class Case(unittest.TestCase):
    @contextlib.contextmanager
    def serving(self, driver, **limits):
        """A server with a queue `q` under a shim: (server, shim, client)."""
        with small_journal(**limits) as config, tempfile.TemporaryDirectory(prefix="weir-faults-") as data:
            with contextlib.closing(shim.Shim(data)) as faults, \
                    Server("--config", config, data=data, env={**faults.env, "WEIR_DRIVER": driver}) as server:
                client = server.client()
                self.assertEqual(client.put("/v1/queues/q", {"attempts": 0}).status, 201)
                yield server, faults, client

    def ends(self, server, code=1):
        self.assertEqual(server.process.wait(timeout=30), code, server.output)
        server.reader.join()
        return server.output[-1]

    def heard(self, server, refused):
        """Who waited for the disk hears 500, who came between the failure and the end 503; neither names a file."""
        self.assertIn((refused.status, refused.json["code"]), ((500, "internal"), (503, "unavailable")), refused)
        self.assertNotIn(server.data, refused.json["detail"])

    def all_there(self, client, ids, state="ready"):
        for id in ids:
            answer = client.get(f"/v1/messages/{id}")
            self.assertEqual((answer.status, answer.json.get("state")), (200, state), answer)


class FailingDisk(Case):
    """A write or a sync that fails is final (the kernel may have dropped what it held): who waits hears 500, the
    server ends with 1 and names the file, and a new start has all that was confirmed."""

    def fail_and_restart(self, driver, kind, error):
        with self.subTest(driver=driver, kind=kind, error=error), self.serving(driver) as (server, faults, client):
            ids = [submit(client, f"kept {i}")[1] for i in range(20)]
            faults.fail(kind, ".seg", error)
            refused = None
            with contextlib.suppress(*BROKEN):
                refused = submit(client, "may be lost")[0]
            if refused is not None:
                self.heard(server, refused)
            last = self.ends(server)
            self.assertRegex(last, r"^weir: io: writing '.*journal-\d+\.seg' failed; the journal takes nothing more "
                                   r"until it is opened anew; because ")
            faults.heal()
            server.start()
            self.all_there(server.client(), ids)
            self.assertEqual(submit(server.client(), "works again")[0].status, 202)

    def test_a_write_that_fails_ends_the_server_and_loses_nothing(self):
        for driver in DRIVERS:
            self.fail_and_restart(driver, shim.WRITE, errno.EIO)
        # What a disk says that fills behind the back of the file system, and one that became read-only.
        self.fail_and_restart("epoll", shim.WRITE, errno.ENOSPC)
        self.fail_and_restart("epoll", shim.WRITE, errno.EROFS)

    def test_a_sync_that_fails_ends_the_server_and_loses_nothing(self):
        for driver in DRIVERS:
            self.fail_and_restart(driver, shim.SYNC, errno.EIO)

    def test_a_sync_that_fails_once_is_not_tried_again(self):
        """The second one would succeed and prove nothing."""
        with self.serving("epoll") as (server, faults, client):
            faults.fail(shim.SYNC, ".seg$", count=1)  # not of the next one, .seg.tmp, which is made beside
            with contextlib.suppress(*BROKEN):
                self.assertEqual(submit(client, "lost")[0].status, 500)
            self.ends(server)
            self.assertEqual(faults.failed, 1)

    def test_a_folder_that_cannot_be_synced_ends_the_server(self):
        with self.serving("epoll") as (server, faults, client):
            faults.fail(shim.SYNC_DIR, "")
            ids = []
            with contextlib.suppress(*BROKEN):  # at the next segment
                ids, refused = fill(client, "x" * 4000)
                self.heard(server, refused)
            self.assertIn("syncing the journal's folder failed", self.ends(server))
            faults.heal()
            server.start()
            self.all_there(server.client(), ids)

    def test_an_opening_that_cannot_read_refuses_and_changes_nothing(self):
        for kind, path in ((shim.READ, ".seg"), (shim.OPEN, ".seg"), (shim.READ, "secret"), (shim.SYNC, ".seg")):
            with self.subTest(kind=kind, path=path), self.serving("epoll") as (server, faults, client):
                ids = [submit(client, f"kept {i}")[1] for i in range(20)]
                server.kill()
                faults.fail(kind, path)
                code, last = run_serve("--data", server.data, env=server.env)
                self.assertEqual(code, 1, last)
                self.assertTrue(last.startswith("weir: "), last)
                self.assertIn("Input/output error", last)
                faults.heal()
                server.start()
                self.all_there(server.client(), ids)


    def test_what_the_disk_cannot_read_is_named_refused_and_left_out_when_the_loss_is_accepted(self):
        with self.serving("epoll") as (server, faults, client):
            ids = [submit(client, f"kept {i} " + "x" * 1000)[1] for i in range(20)]
            server.kill()

            def break_third_page():  # reads: the header, the whole window, then page by page
                faults.fail(shim.READ, "journal-0000000001.seg", after=1, count=1)
                faults.fail(shim.READ, "journal-0000000001.seg", after=3, count=1, slot=1)

            break_third_page()
            code, report = check(server.data, env=server.env)
            place = "the disk can't read bytes 8192 to 12288 (Input/output error)"
            self.assertEqual((code, report["sound"], report["damages"][0]["text"]), (6, False, place), report)
            self.assertGreater(report["records_lost"], 0)
            break_third_page()
            code, last = run_serve("--data", server.data, env=server.env)
            self.assertEqual(code, 1, last)
            self.assertRegex(last, r"^weir: io: acknowledged data in '.*' is damaged: journal-0000000001\.seg, "
                                   r"bytes \d+ to \d+: the disk can't read .*; with --accept-loss the rest is opened")
            break_third_page()
            server.arguments = (*server.arguments, "--accept-loss")
            server.start()
            client = server.client()
            left = [client.get(f"/v1/messages/{id}").status == 200 for id in ids]
            first, lost = left.index(False), left.count(False)
            self.assertIn(lost, range(1, 7))
            self.assertEqual(left, [True] * first + [False] * lost + [True] * (len(ids) - first - lost))


class MovedFolder(Case):
    """The data folder is renamed or removed under the server: what is written then is not confirmed, the server ends
    with 1 and says why, and it touches nothing of who has a folder in its place."""

    def loses_its_folder(self, server, client):
        with contextlib.suppress(*BROKEN):
            self.heard(server, submit(client, "is not in the folder of that name")[0])
        last = self.ends(server)
        self.assertIn(f"the data folder '{server.data}' was moved, removed or replaced while it is in use", last)

    def test_a_folder_that_is_renamed_ends_the_server_and_has_all_that_was_confirmed(self):
        for driver in DRIVERS:
            with self.subTest(driver=driver), self.serving(driver) as (server, _, client):
                ids = [submit(client, f"kept {i}")[1] for i in range(20)]
                os.rename(server.data, server.data + ".old")
                self.loses_its_folder(server, client)
                os.rename(server.data + ".old", server.data)
                server.start()
                self.all_there(server.client(), ids)

    def test_a_folder_that_is_removed_ends_the_server(self):
        with self.serving("epoll") as (server, _, client):
            submit(client, "goes with the folder")
            shutil.rmtree(server.data, ignore_errors=True)  # a segment may be made or named meanwhile
            self.loses_its_folder(server, client)
            os.makedirs(server.data, exist_ok=True)  # for its clean-up

    def test_a_server_without_work_notices_it_when_asked_whether_it_is_ready(self):
        for replaced in (False, True):
            with self.subTest(replaced=replaced), self.serving("epoll") as (server, _, client):
                id = submit(client, "kept")[1]
                answer = None
                while answer is None:  # what a start still writes may have noticed it first
                    server.kill()
                    server.start()
                    client = server.client()
                    self.assertEqual(client.get("/readyz").status, 200)
                    os.rename(server.data, server.data + ".old")
                    if replaced:
                        os.mkdir(server.data)
                    with contextlib.suppress(*BROKEN):
                        answer = client.get("/readyz")
                    if answer is None:
                        self.put_back(server)
                self.assertEqual((answer.status, answer.json["code"], answer.json["detail"]),
                                 (503, "not_ready", "the data folder was moved, removed or replaced"))
                self.assertIn("was moved, removed or replaced while it is in use", self.ends(server))
                self.put_back(server)
                server.start()
                self.all_there(server.client(), [id])

    def put_back(self, server):
        """The folder comes back, and who stood in its place had nothing put into theirs."""
        if os.path.exists(server.data):
            self.assertEqual(os.listdir(server.data), [])
            os.rmdir(server.data)
        os.rename(server.data + ".old", server.data)

    def test_a_server_in_its_place_keeps_what_it_confirmed(self):
        with self.serving("epoll") as (old, _, client):
            submit(client, "kept")
            os.rename(old.data, old.data + ".old")
            with small_journal() as config, Server("--config", config, data=old.data) as new:
                other = new.client()
                self.assertEqual(other.put("/v1/queues/q", {"attempts": 0}).status, 201)
                ids = [submit(other, f"{i} " + "x" * 9000)[1] for i in range(30)]
                self.loses_its_folder(old, client)
                new.kill()
                self.assertEqual(check(new.data)[0], 0)
                new.start()
                self.all_there(new.client(), ids)
            shutil.rmtree(old.data + ".old")


class FullDisk(Case):
    """Intake is refused with 507 and Retry-After, /readyz says why, completions go on from a reserve, and intake
    goes on by itself when there is room."""

    def check_full(self, server, client, ids, refused, make_room):
        self.assertEqual((refused.status, refused.json["code"]), (507, "no_space"), refused)
        self.assertTrue(refused.headers["Retry-After"])
        self.assertNotIn(server.data, refused.json["detail"])
        ready = client.get("/readyz")
        self.assertEqual((ready.status, ready.json["detail"]), (503, "the disk is full"))
        self.assertEqual(client.get("/healthz").status, 200)
        taken = client.post("/v1/queues/q/leases?max=10").json["messages"]
        self.assertEqual(len(taken), 10)
        for one in taken:
            self.assertEqual(client.post(f"/v1/leases/{one['receipt']}/ack", "result").status, 204)
        server.kill()  # also a full disk can be opened
        server.start()
        client = server.client()
        done = {one["id"] for one in taken}
        self.all_there(client, done, "done")
        self.all_there(client, [id for id in ids if id not in done])
        make_room()
        while client.get("/readyz").status != 200:
            pass  # the server looks again after a second
        self.assertEqual(submit(client, "room again")[0].status, 202)

    def test_a_full_disk_refuses_messages_and_completes_them(self):
        for driver in DRIVERS:
            with self.subTest(driver=driver), self.serving(driver) as (server, faults, client):
                faults.fail(shim.PREALLOCATE, "", errno.ENOSPC)
                ids, refused = fill(client, "x" * 2000)
                self.check_full(server, client, ids, refused, faults.heal)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a tmpfs needs root")
    def test_a_real_full_disk_refuses_messages_and_completes_them(self):
        with tmpfs("1m") as disk, small_journal() as config:
            ballast = os.path.join(disk, "ballast")
            with open(ballast, "wb") as file:
                file.write(bytes(384 * 1024))
            with Server("--config", config, data=os.path.join(disk, "data")) as server:
                client = server.client()
                self.assertEqual(client.put("/v1/queues/q", {"attempts": 0}).status, 201)
                ids, refused = fill(client, "x" * 2000)
                self.assertGreater(len(ids), 50)
                self.check_full(server, client, ids, refused, lambda: os.unlink(ballast))

    @unittest.skipUnless(os.geteuid() == 0, "mounting a tmpfs needs root")
    def test_a_disk_too_small_for_a_journal_is_told_at_the_start(self):
        with tmpfs("128k") as disk, small_journal() as config:
            with Server("--config", config, data=os.path.join(disk, "data")) as server:
                answer = server.client().put("/v1/queues/q", {})
                self.assertEqual((answer.status, answer.json["code"]), (507, "no_space"), answer)


@contextlib.contextmanager
def tmpfs(size):
    """A small disk of its own."""
    with tempfile.TemporaryDirectory(prefix="weir-disk-") as place:
        if libc.mount(b"weir", place.encode(), b"tmpfs", 0, f"size={size}".encode()) != 0:
            raise unittest.SkipTest(f"no tmpfs can be mounted: {os.strerror(ctypes.get_errno())}")
        try:
            yield place
        finally:
            libc.umount2(place.encode(), 2)  # MNT_DETACH


class ReadOnlyDisk(Case):
    @unittest.skipUnless(os.geteuid() == 0, "mounting a tmpfs needs root")
    def test_a_read_only_disk_is_refused_at_the_start(self):
        read_only, remount = 1, 32
        with tmpfs("8m") as disk, small_journal() as config:
            data = os.path.join(disk, "data")
            with Server("--config", config, data=data) as server:
                client = server.client()
                client.put("/v1/queues/q", {})
                _, id = submit(client, "kept")
                client.close()
                server.stop()
            self.assertEqual(libc.mount(b"weir", disk.encode(), b"tmpfs", read_only | remount, b""), 0)
            for folder in (data, os.path.join(disk, "new")):
                code, last = run_serve("--config", config, "--data", folder)
                self.assertEqual(code, 1, last)
                self.assertRegex(last, f"^weir: .*'{folder}.*Read-only file system")
            self.assertEqual(check(data)[0], 0)
            self.assertEqual(libc.mount(b"weir", disk.encode(), b"tmpfs", remount, b""), 0)
            with Server("--config", config, data=data) as server:
                self.all_there(server.client(), [id])


class NoDescriptors(Case):
    def test_a_limit_under_which_nobody_is_answered_is_refused_at_the_start(self):
        command = f"ulimit -n 12; exec '{APP}' serve --listen 127.0.0.1:0 --data '{tempfile.gettempdir()}/weir-none'"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("the system allows 12 open files, and the server needs 20 at least", done.stderr)
        self.assertFalse(os.path.exists(f"{tempfile.gettempdir()}/weir-none"))

    @unittest.skipIf("asan" in APP, "UBSan takes a pipe to look at an object, and without one it calls the object damaged")
    def test_a_server_without_descriptors_serves_who_is_connected_and_then_the_others(self):
        limit = 64
        for driver in DRIVERS:
            with self.subTest(driver=driver), small_journal() as config, \
                    Server("--config", config, env={"WEIR_DRIVER": driver}) as server:
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
                client = server.client()
                self.assertEqual(client.put("/v1/queues/q", {"attempts": 0}).status, 201)
                with contextlib.ExitStack() as others:
                    for _ in range(2 * limit):
                        others.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                    # New segments need descriptors, too: whatever is refused says so and is not there.
                    ids = []
                    for i in range(100):
                        answer, id = submit_on_any(client, "x" * 2000)
                        self.assertIn(answer.status, (202, 503), answer)
                        if answer.status == 202:
                            ids.append(id)
                    self.assertTrue(ids)
                late = server.client()
                while late.get("/readyz").status != 200:
                    pass
                self.assertEqual(submit(late, "works again")[0].status, 202)
                self.all_there(late, ids)
                client.close()
                late.close()
                server.kill()
                server.start()
                self.all_there(server.client(), ids)


@contextlib.contextmanager
def control_group():
    """Gives a function that puts a process under a limit of memory, a little more than it has."""
    found = [(path, name) for path, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))
             if os.path.exists(os.path.join(path, "cgroup.procs"))]
    if not found:
        raise unittest.SkipTest("there are no control groups here")
    folder = os.path.join(found[0][0], f"weir-test-{os.getpid()}")
    try:
        os.mkdir(folder)
    except OSError as error:
        raise unittest.SkipTest(f"no control group can be made here: {error}")

    def limit(process):
        with open(f"/proc/{process.pid}/statm") as file:
            resident = int(file.read().split()[1]) * resource.getpagesize()
        with open(os.path.join(folder, found[0][1]), "w") as file:
            file.write(str(resident + SPARE_MEMORY))
        with open(os.path.join(folder, "cgroup.procs"), "w") as file:
            file.write(str(process.pid))

    try:
        if not os.path.exists(os.path.join(folder, found[0][1])):
            raise unittest.SkipTest("control groups here have no limit of memory")
        if os.path.exists(swap := os.path.join(folder, "memory.swap.max")):
            with open(swap, "w") as file:
                file.write("0")  # or the limit is none where there is swap
        yield limit
    finally:
        remove_group(folder)


def remove_group(folder):
    """A process may be in its group for a moment after it was waited for."""
    last = time.monotonic() + 1
    while True:
        try:
            return os.rmdir(folder)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > last:
                raise
        time.sleep(0.01)


class NoMemory(Case):
    """A lack of memory is answered where it shows, or ends the server; what was confirmed is there afterwards."""

    @unittest.skipIf("asan" in APP or "tsan" in APP, "sanitizers map terabytes of addresses")
    def test_a_server_without_memory_loses_nothing(self):
        def limit(process):
            with open(f"/proc/{process.pid}/statm") as file:
                now = int(file.read().split()[0]) * resource.getpagesize()
            resource.prlimit(process.pid, resource.RLIMIT_AS, (now + SPARE_MEMORY,) * 2)

        for driver in DRIVERS:
            self.fill_memory(driver, limit)

    def test_a_server_in_a_full_control_group_loses_nothing(self):
        """There the kernel takes no request back: it kills."""
        for driver in DRIVERS:
            with control_group() as group:
                self.fill_memory(driver, group)

    def fill_memory(self, driver, limit):
        with self.subTest(driver=driver), small_journal(message_bytes=8 << 20, segment_bytes=32 << 20) as config, \
                Server("--config", config, env={"WEIR_DRIVER": driver}) as server:
            client = server.client()
            self.assertEqual(client.put("/v1/queues/q", {"attempts": 0}).status, 201)
            ids = [submit(client, f"kept {i}")[1] for i in range(20)]
            limit(server.process)
            answers = []

            def submit_large():
                client = server.client()
                for _ in range(6):
                    try:
                        answer, id = submit(client, bytes(6 << 20))
                    except BROKEN:
                        continue
                    answers.append(answer)
                    if id:
                        ids.append(id)
                client.close()

            clients = [threading.Thread(target=submit_large) for _ in range(8)]
            for one in clients:
                one.start()
            for one in clients:
                one.join()
            for answer in answers:
                self.assertIn(answer.status, (202, 500, 503, 507), answer)
            if all(answer.status == 202 for answer in answers):
                try:  # its sockets close before it has ended
                    server.process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    self.fail("there was memory enough")
            server.kill()
            server.start()
            self.all_there(server.client(), ids)


if __name__ == "__main__":
    unittest.main()
