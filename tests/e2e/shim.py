"""The other half of tests/shim/fault_shim.cpp: moves a server's wall clock, makes its file calls fail, and
rebuilds its data folder as a power cut would have left it.
"""

import errno
import mmap
import os
import random
import struct
import tempfile

SHIM = os.environ.get("WEIR_SHIM_LIBRARY", "build/dev/libweir_fault_shim.so")
OPEN, WRITE, SYNC, PREALLOCATE, TRUNCATE, RENAME, REMOVE, READ, MAKE_DIR, SYNC_DIR = range(1, 11)
PAGE_BYTES, RULES_AT, RULE_BYTES, RULES = 4096, 128, 128, 8
ENTRY = struct.Struct("<IBBBBQQQQQQ")
BLOCK = 4096  # of the files' model
SECTOR = 512  # the least that a disk writes whole
FOR_EVER = -1


class Shim:
    """The shared page of one server; `env` loads the shim into it."""

    def __init__(self, folder, writes_log=False):
        self.place = tempfile.TemporaryDirectory(prefix="weir-shim-")
        path = os.path.join(self.place.name, "page")
        with open(path, "wb") as file:
            file.truncate(PAGE_BYTES)
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), PAGE_BYTES)
        self.env = {"WEIR_SHIM": path, "WEIR_SHIM_FOLDER": os.path.realpath(folder), "LD_PRELOAD": SHIM}
        self.log = os.path.join(self.place.name, "log") if writes_log else None
        if writes_log:
            self.env["WEIR_SHIM_LOG"] = self.log

    def set_clock(self, seconds):
        """The server's wall clock is so far ahead of (or behind) ours from now on."""
        struct.pack_into("<q", self.page, 0, int(seconds * 1e9))

    @property
    def position(self):
        return struct.unpack_from("<Q", self.page, 8)[0]

    @property
    def failed(self):
        """How many calls were made to fail."""
        return struct.unpack_from("<Q", self.page, 16)[0]

    def fail(self, kind, path, error=errno.EIO, after=0, count=FOR_EVER, slot=0):
        at = RULES_AT + slot * RULE_BYTES
        struct.pack_into("<q", self.page, at + 16, 0)  # off while it is written
        struct.pack_into("<Iiq", self.page, at, kind, error, after)
        struct.pack_into("<104s", self.page, at + 24, path.encode())
        struct.pack_into("<q", self.page, at + 16, count)

    def heal(self):
        for slot in range(RULES):
            struct.pack_into("<q", self.page, RULES_AT + slot * RULE_BYTES + 16, 0)

    def close(self):
        self.page.close()
        self.place.cleanup()


def read_log(path):
    """(kind, is_done, is_zeros, is_new, position, file, offset, size, begun, path, data) each, in order."""
    with open(path, "rb") as file:
        text = file.read()
    at = 0
    while at + ENTRY.size <= len(text):
        path_bytes, kind, done, zeros, new, position, number, offset, size, begun, data_bytes = ENTRY.unpack_from(text, at)
        at += ENTRY.size
        name = text[at:at + path_bytes].decode()
        at += path_bytes
        if at + data_bytes > len(text):
            return
        yield kind, done, zeros, new, position, number, offset, size, begun, name, text[at:at + data_bytes]
        at += data_bytes


class DiskFile:
    """One file as the platter has it, and the writes that may or may not have reached it."""

    def __init__(self):
        self.blocks = {}  # number -> bytes; absent: zeros
        self.size = 0
        self.pending = []  # [begun at, done at or None, offset, data or None for a size, size]

    def copy(self):
        other = DiskFile()
        other.blocks, other.size = dict(self.blocks), self.size
        return other

    def put(self, offset, data):
        self.size = max(self.size, offset + len(data))
        while data:
            number, inside = divmod(offset, BLOCK)
            piece = data[:BLOCK - inside]
            block = bytearray(self.blocks.get(number, bytes(BLOCK)))
            block[inside:inside + len(piece)] = piece
            self.blocks[number] = bytes(block)
            offset, data = offset + len(piece), data[len(piece):]

    def put_zeros(self, offset, size):
        """Blocks that were never written need none: files are filled before they are used."""
        self.size = max(self.size, offset + size)
        for number in range(offset // BLOCK, (offset + size + BLOCK - 1) // BLOCK):
            if number in self.blocks:
                begin = max(offset, number * BLOCK)
                end = min(offset + size, (number + 1) * BLOCK)
                self.put(begin, bytes(end - begin))

    def apply(self, change):
        _, _, offset, data, size = change
        if data is None:
            self.put_zeros(offset, size)
        else:
            self.put(offset, data)

    def sync(self, begun, begin=0, size=0):
        """All that was written before the sync is durable, or only that of a range: a size of 0 is all."""
        end = begin + size if size else None
        kept = []
        for change in self.pending:
            if change[1] is None or change[1] >= begun:
                kept.append(change)
                continue
            before, inside, behind = split(change, begin, end)
            if inside:
                self.apply(inside)
            kept += [part for part in (before, behind) if part]
        self.pending = kept

    def tear(self, rng, mode):
        """What was not synced: all of it, none, a prefix, or sector by sector as the disk liked."""
        kept = len(self.pending) if mode != "prefix" else rng.randrange(len(self.pending) + 1)
        for change in self.pending[:0 if mode == "none" else kept]:
            _, _, offset, data, size = change
            if mode != "sectors" or data is None:
                if mode != "sectors" or rng.random() < 0.5:
                    self.apply(change)
                continue
            end = offset + size
            at = offset
            while at < end:
                stop = min(end, (at // SECTOR + 1) * SECTOR)
                if rng.random() < 0.5:
                    self.put(at, data[at - offset:stop - offset])
                at = stop


def split(change, begin, end):
    """The parts of a change before, in and behind a range of the file; None for those that are empty."""
    began, done, offset, data, size = change
    stop = offset + size
    end = stop if end is None else end

    def part(low, high):
        if low >= high:
            return None
        return [began, done, low, data if data is None else data[low - offset:high - offset], high - low]

    return part(offset, min(stop, begin)), part(max(offset, begin), min(stop, end)), part(max(offset, end), stop)


class Disk:
    """A folder as a power cut finds it. Names are kept in order: a cut keeps the first of those changes of
    the folder that were not synced, as journalling file systems do."""

    def __init__(self, folder):
        self.folder = os.path.realpath(folder)
        self.names = {}  # durable: path -> DiskFile
        self.now = {}  # as the server sees it
        self.changes = []  # (done at, path, DiskFile or None) of names, not durable yet
        self.files = {}  # by number
        self.begun = {}  # position -> change, while it is not done

    def start_from(self, image):
        """The folder's content when the server began: all of it durable."""
        for name in os.listdir(image):
            path = os.path.join(self.folder, name)
            file = DiskFile()
            with open(os.path.join(image, name), "rb") as source:
                number, size = os.fstat(source.fileno()).st_ino, os.fstat(source.fileno()).st_size
                for at, block in blocks_of(source):
                    file.blocks[at // BLOCK] = block.ljust(BLOCK, b"\0")
            file.size = size
            self.names[path] = self.now[path] = self.files[number] = file

    def take(self, entry):
        kind, done, zeros, new, position, number, offset, size, begun, path, data = entry
        if kind == OPEN:
            if new or number not in self.files:
                self.files[number] = self.now[path] = DiskFile()
                self.changes.append((position, path, self.files[number]))
            if size:  # emptied: only unfinished files are, which nobody reads after a cut
                file = self.files[number]
                file.blocks, file.size, file.pending = {}, 0, []
        elif kind in (WRITE, PREALLOCATE) and not done:
            change = [position, None, offset, None if zeros or kind == PREALLOCATE else data, size]
            self.files[number].pending.append(change)
            self.begun[position] = change
        elif kind in (WRITE, PREALLOCATE):
            self.begun.pop(begun)[1] = position
        elif kind == SYNC and done:
            self.files[number].sync(begun, offset, size)
        elif kind == SYNC_DIR and done:
            kept = []
            for change in self.changes:
                if change[0] < begun:
                    self.rename_durably(change)
                else:
                    kept.append(change)
            self.changes = kept
        elif kind == RENAME and not done:
            self.begun[position] = (path, data.decode())
        elif kind == RENAME:
            source, target = self.begun.pop(begun)
            self.now[target] = self.now.pop(source)
            self.changes.append((position, source, target))
        elif kind == REMOVE and done:
            self.now.pop(path)
            self.changes.append((position, path, None))

    def rename_durably(self, change):
        _, path, what = change
        if isinstance(what, str):
            if path in self.names:
                self.names[what] = self.names.pop(path)
        elif what is None:
            self.names.pop(path, None)
        else:
            self.names[path] = what

    def cut(self, image, rng):
        """Writes the folder as it is after a cut right now into `image`; says how it was torn."""
        mode = rng.choice(("none", "all", "prefix", "sectors", "sectors"))
        kept = {"none": 0, "all": len(self.changes)}.get(mode, rng.randrange(len(self.changes) + 1))
        after = Disk(self.folder)
        after.names = dict(self.names)
        for change in self.changes[:kept]:
            after.rename_durably(change)
        for path, file in after.names.items():
            torn = file.copy()
            torn.pending = file.pending
            torn.tear(rng, mode)
            write_file(os.path.join(image, os.path.basename(path)), torn)
        return f"{mode}, {kept} of {len(self.changes)} names"


def blocks_of(source):
    """(offset, bytes) of what is not a hole, in blocks."""
    size = os.fstat(source.fileno()).st_size
    at = 0
    while at < size:
        try:
            at = os.lseek(source.fileno(), at, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(source.fileno(), at, os.SEEK_HOLE)
        at -= at % BLOCK
        while at < end:
            block = os.pread(source.fileno(), BLOCK, at)
            if block.strip(b"\0"):
                yield at, block
            at += BLOCK


def write_file(path, file):
    with open(path, "wb") as target:
        target.truncate(file.size)
        for number, block in sorted(file.blocks.items()):
            at = number * BLOCK
            if at < file.size:
                os.pwrite(target.fileno(), block[:file.size - at], at)


def cuts(log, disk, positions, rng, make_image):
    """Plays the log into the disk and cuts the power at each of the positions: yields (position, image, how)."""
    wanted = sorted(positions, reverse=True)
    last = 0
    for entry in read_log(log):
        while wanted and entry[4] > wanted[-1]:
            at = wanted.pop()
            image = make_image()
            yield at, image, disk.cut(image, rng)
        disk.take(entry)
        last = entry[4]
    while wanted:
        at = wanted.pop()
        image = make_image()
        yield min(at, last), image, disk.cut(image, rng)


def seed_of(name):
    """A seed that a test prints, and that a variable of the environment replays."""
    return int(os.environ.get(name, random.SystemRandom().randrange(1 << 32)))
