# SPDX-License-Identifier: Apache-2.0
"""What the tests of atom-vmi share: the program, QEMU's monitor, images of memory, and TAP."""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import traceback

PAGE = 4096
ELF_LOAD, ELF_NOTE = 1, 4


class Answer:
    """How one run of the program ended."""

    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds

    def json(self):
        return json.loads(self.out)

    def reason(self):
        """The one sentence of a failure."""
        text = self.err.decode(errors="replace")
        assert self.status == 1 and not self.out, (self.status, text)
        assert re.fullmatch(r"atom-vmi: [^\n]{10,}\n", text), text
        return text[len("atom-vmi: "):-1]


class Program:
    """atom-vmi and its test helper out of a build folder."""

    def __init__(self, build):
        self.path = os.path.join(os.path.abspath(build), "src", "vmi", "atom-vmi")
        self.helper = os.path.join(os.path.abspath(build), "tests", "guest", "tamper")
        with open(self.path, "rb") as stream:
            self.is_sanitized = b"__asan_init" in stream.read()

    def run(self, *arguments, prefix=(), timeout=60):
        extra = ["--unconfined"] if self.is_sanitized else []
        begin = time.monotonic()
        done = subprocess.run([*prefix, self.path, *map(str, arguments), *extra],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, check=False)
        return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)

    def look(self, views, *arguments):
        """The views as a dict of tables; fails where the program does."""
        answer = self.run(views, *arguments, "--json")
        assert answer.status == 0, f"{views}: {answer.status}, {answer.err.decode()}"
        return answer.json()

    def tamper(self, qmp, *arguments, changes=""):
        """Changes the guest's kernel; returns the lines that undo it."""
        done = subprocess.run([self.helper, qmp, *map(str, arguments)], input=changes, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              check=False)
        assert done.returncode == 0, f"tamper {arguments}: {done.stderr}"
        return "".join(reversed(done.stdout.splitlines(keepends=True)))


class Qmp:
    """QEMU's monitor; one client at a time, so nobody else may ask meanwhile."""

    def __init__(self, path):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(60)
        self.link.connect(path)
        self.stream = self.link.makefile("rb")
        self.stream.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.link.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.stream.readline())
            if "error" in answer:
                raise AssertionError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def human(self, line):
        return self.ask("human-monitor-command", **{"command-line": line})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.link.close()


class Paused:
    """The guest stands still; its monitor is free for others."""

    def __init__(self, guest):
        self.guest = guest

    def __enter__(self):
        with Qmp(self.guest.qmp) as qmp:
            qmp.ask("stop")

    def __exit__(self, *_):
        with Qmp(self.guest.qmp) as qmp:
            qmp.ask("cont")


def save_elf(guest, path):
    """As virsh dump --memory-only does."""
    with Qmp(guest.qmp) as qmp:
        qmp.ask("dump-guest-memory", paging=False, protocol=f"file:{path}", format="elf")


def memory_ranges(guest):
    """Guest-physical ranges (first, size, offset in the memory's file), by QEMU."""
    with Qmp(guest.qmp) as qmp:
        text = qmp.human("info mtree -f")
    view = next(part for part in text.split("FlatView #") if re.search(r'AS "memory"', part))
    pattern = r"([0-9a-f]{16})-([0-9a-f]{16}) \(prio \d+, (?:ram|rom)\): (\S+)(?: @([0-9a-f]+))?"
    found = re.findall(pattern, view)
    block = next(name for first, last, name, _ in found
                 if int(first, 16) <= 0x100000 <= int(last, 16))
    return [(int(first, 16), int(last, 16) - int(first, 16) + 1, int(offset or "0", 16))
            for first, last, name, offset in found if name == block]


def save_image(guest, path, lime):
    """Raw (offset is guest-physical address) or LiME, out of the shared memory's file."""
    source = guest.facts["memory"]
    folder = f"/proc/{guest.pid}/fd"
    if not source:
        source = next(f"{folder}/{fd}" for fd in os.listdir(folder)
                      if os.readlink(f"{folder}/{fd}").startswith("/memfd:"))
    with open(source, "rb") as memory, open(path, "wb") as image:
        for first, size, offset in memory_ranges(guest):
            memory.seek(offset)
            if lime:
                image.write(struct.pack("<IIQQQ", 0x4c694d45, 1, first, first + size - 1, 0))
            else:
                image.seek(first)
            left = size
            while left:
                part = memory.read(min(left, 1 << 20))
                image.write(part)
                left -= len(part)


class Elf:
    """What an ELF dump holds: ranges of memory (first, size, offset), and the first vCPU's CR3."""

    CR3 = 8 + 18 * 8 + 10 * 24 + 3 * 8  # in QEMU's note of a vCPU (target/i386/arch_dump.c)

    def __init__(self, path):
        self.ranges, self.cr3 = [], None
        with open(path, "rb") as stream:
            head = stream.read(64)
            start, = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            stream.seek(start)
            table = stream.read(size * count)
            for at in range(0, len(table), size):
                kind, _, offset, _, first, length = struct.unpack_from("<IIQQQQ", table, at)
                if kind == ELF_LOAD:
                    self.ranges.append((first, length, offset))
                elif kind == ELF_NOTE:
                    stream.seek(offset)
                    self._read_notes(stream.read(length))

    def _read_notes(self, notes):
        at = 0
        while at + 12 <= len(notes):
            name_size, size, _ = struct.unpack_from("<III", notes, at)
            body = at + 12 + (name_size + 3) // 4 * 4
            if notes[at + 12:at + 17] == b"QEMU\0" and self.cr3 is None:
                self.cr3 = struct.unpack_from("<Q", notes, body + self.CR3)[0]
            at = body + (size + 3) // 4 * 4

    def offset(self, address):
        """In the file, of a guest-physical address; None where there is no memory."""
        for first, size, offset in self.ranges:
            if first <= address < first + size:
                return offset + address - first
        return None


def skip_reason():
    if os.geteuid() != 0:
        return "guests can be looked into by root only"
    for name in ("qemu-system-x86_64", "busybox", "gcc"):
        if not shutil.which(name):
            return f"there is no {name} here"
    return None


def run_tests(tests):
    """Pairs of a name and a function, as TAP; returns how many failed."""
    failures = 0
    print(f"1..{len(tests)}", flush=True)
    for number, (name, test) in enumerate(tests, 1):
        begin = time.monotonic()
        try:
            note = test()
            good = True
        except Exception:  # pylint: disable=broad-except # a test may fail in any way
            good, note = False, None
            failures += 1
            for line in traceback.format_exc(limit=-3).splitlines():
                print(f"# {line[:2000]}")
        print(f"{'' if good else 'not '}ok {number} - {name}")
        print(f"#   {time.monotonic() - begin:.1f} s{', ' + note if note else ''}", flush=True)
    return failures


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)
