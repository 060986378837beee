#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damaged images of real guests' memory: whatever they hold, atom-vmi ends in time, with an answer
or a reason. damage_test.py BUILD [--count N] [--seed N]; what fails is kept, and then [--image FILE
--only N] repeats it. The same seed does the same to the same image; another boot's differs."""
import argparse
import collections
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

from guests import KERNELS, Guest
from vmi import PAGE, Elf, Program, run_tests, save_elf, skip, skip_reason

VIEWS = "ps,net,files,exe,hidden,modules,syscalls,tree,info"
BUDGET_MSEC, GRACE_SEC = 2000, 2
VICTIMS = ("sockets", "uid", "io", "ns", "files", "memfd", "deleted", "mt-sleep", "epoll", "pipe",
           "stopped")
TABLE_ENTRIES, ADDRESS_MASK = 512, 0x000ffffffffff000
HUGE = (0x7fffffff, 0xffffffff, 0x80000000, 0x10000, 0xfffff)
BTF_HEAD = struct.pack("<HBBI", 0xeb9f, 1, 0, 24)


class Image:
    """An ELF dump that is damaged and made whole again."""

    def __init__(self, program, path):
        self.elf = Elf(path)
        self.stream = open(path, "r+b", buffering=0)  # pylint: disable=consider-using-with
        self.log = []
        found = program.look("ps,info", "--dump", path, "--budget", 20000)
        info = found["info"]
        self.direct, self.size = int(info["direct_map"], 16), info["memory"]
        self.text, self.text_size = int(info["text_physical"], 16), info["image_size"]
        self.levels = info["page_levels"]
        self.tasks = [int(row["task"], 16) - self.direct for row in found["ps"]]
        self.places = self._find_places()

    def close(self):
        self.stream.close()

    def read(self, address, size=PAGE):
        offset = self.elf.offset(address)
        if offset is None:
            return b""
        self.stream.seek(offset)
        return self.stream.read(size)

    def write(self, address, content):
        offset = self.elf.offset(address)
        if offset is None or self.elf.offset(address + len(content) - 1) is None:
            return
        self.stream.seek(offset)
        self.log.append((offset, self.stream.read(len(content))))
        self.stream.seek(offset)
        self.stream.write(content)

    def undo(self):
        while self.log:
            offset, content = self.log.pop()
            self.stream.seek(offset)
            self.stream.write(content)

    def words(self, page):
        content = self.read(page)
        return struct.unpack(f"<{len(content) // 8}Q", content[:len(content) // 8 * 8])

    def is_pointer(self, word):
        return self.direct <= word < self.direct + self.size

    def _reachable(self, pages):
        """Pages of what the words of these pages point to."""
        return {(word - self.direct) // PAGE * PAGE for page in pages for word in self.words(page)
                if self.is_pointer(word)}

    def _tables(self, table, level, found):
        """The upper half of the page tables."""
        found.add(table)
        start = TABLE_ENTRIES // 2 if level == self.levels else 0
        for entry in self.words(table)[start:]:
            if level > 1 and entry & 1 and not entry & 0x80 and len(found) < 4000:
                child = entry & ADDRESS_MASK
                if self.elf.offset(child) is not None and child not in found:
                    self._tables(child, level - 1, found)
        return found

    def _find_places(self):
        tasks = {task // PAGE * PAGE + n * PAGE for task in self.tasks for n in range(3)}
        objects = self._reachable(tasks)
        image = range(self.text, self.text + self.text_size, PAGE)
        content = self.read(self.text, self.text_size)
        data = {page for page in image if sum(map(self.is_pointer, self.words(page))) >= 4}
        digits = b"".join(b"%d\0" % n for n in range(10))
        symbols = {self.text + match.start() // PAGE * PAGE
                   for match in re.finditer(re.escape(digits), content)}
        self.types = [self.text + match.start()
                      for match in re.finditer(re.escape(BTF_HEAD), content)]
        places = {
            "tasks": tasks,
            "objects": objects,
            "far objects": self._reachable(objects) - tasks - objects,
            "tables": self._tables(self.elf.cr3 & ADDRESS_MASK, self.levels, set()),
            "data": data,
            "symbols": {page + n * PAGE for page in symbols for n in range(-400, 200)},
            "types": {start // PAGE * PAGE + n * PAGE for start in self.types for n in range(1000)},
            "image": set(image)}
        return {name: sorted(page for page in pages if self.elf.offset(page) is not None)
                for name, pages in places.items()}

    def pick(self, source, *names):
        return source.choice(self.places[source.choice(names)])


# Each damages the image in its own way. Slabs, tables and lists are hit far more often than blind
# chance would.

LISTS = ("tasks", "objects", "far objects", "data")


def flip_bits(image, source):
    name = source.choice(list(image.places))
    for _ in range(source.randint(1, 200)):
        address = image.pick(source, name) + source.randrange(PAGE)
        before = image.read(address, 1)
        if before:
            image.write(address, bytes([before[0] ^ 1 << source.randrange(8)]))


def some_pointers(image, source, limit):
    """Addresses of words that hold pointers."""
    for _ in range(source.randint(1, limit)):
        page = image.pick(source, *LISTS)
        found = [page + 8 * n for n, word in enumerate(image.words(page)) if image.is_pointer(word)]
        if found:
            yield source.choice(found)


def close_circles(image, source):
    """Pointers lead back to where they stand, or into the same place of another task."""
    for address in some_pointers(image, source, 40):
        target = address
        if source.random() < 0.5:
            target = source.choice(image.tasks) + address % PAGE
        image.write(address, struct.pack("<Q", image.direct + target))


def wild_pointers(image, source):
    for address in some_pointers(image, source, 60):
        image.write(address, struct.pack("<Q", source.choice((
            0, 8, 0xdead, 0x7fffffff0000, 1 << 63, 0xffffffffffffffff, 0xfffffffffffff000,
            image.direct + image.size - 8, image.direct + image.size, image.direct + 0xa0000,
            image.direct + 0xfee00000, image.direct + source.randrange(image.size),
            image.direct + source.randrange(image.size) // 8 * 8,
            0xffffffff81000000 + source.randrange(1 << 30), source.getrandbits(64)))))


def spoil_nodes(image, source):
    """Entries of xarrays (the low bits are 10) lead to their own node, and shifts are large."""
    for _ in range(200):
        page = image.pick(source, "objects", "far objects", "tasks")
        for place, word in enumerate(image.words(page)):
            if word & 3 == 2 and image.is_pointer(word):
                node = page + 8 * place // 576 * 576
                image.write(page + 8 * place, struct.pack("<Q", source.choice((
                    word, image.direct + page + 2, image.direct + node + 2, word ^ 0x40))))
                if source.random() < 0.5:
                    shift = source.choice((0, 6, 12, 18, 63, 64, 255))
                    image.write(word - 2 - image.direct, bytes([shift]))


def fill_pages(image, source):
    name, filler = source.choice(list(image.places)), source.choice((b"\0", b"\xff", b"A", b"/"))
    for _ in range(source.randint(1, 8)):
        image.write(image.pick(source, name), filler * PAGE)


def swap_pages(image, source):
    name = source.choice(list(image.places))
    for _ in range(source.randint(1, 8)):
        one, other = image.pick(source, name), image.pick(source, name)
        first, second = image.read(one), image.read(other)
        if len(first) == len(second) == PAGE:
            image.write(one, second)
            image.write(other, first)


def forge_types(image, source):
    """Second headers of type information, and lies in the real one."""
    def head():
        sizes = [source.choice((0, 8, 1 << 20, *HUGE)) for _ in range(4)]
        return BTF_HEAD[:4] + struct.pack("<5I", source.choice((24, 24, 24, 0, 0xfffffff0)), *sizes)

    for _ in range(source.randint(1, 20)):
        image.write(image.pick(source, "image") + source.choice((0, 8, 0xba4)), head())
    if source.random() < 0.5:
        image.write(source.choice(image.types), head()[:source.choice((8, 16, 24))])
    for _ in range(source.randint(0, 50)):  # a kind with many members, or of a size that cannot be
        image.write(image.pick(source, "types") + 4 * source.randrange(1024),
                    struct.pack("<I", source.choice((0x0400ffff, 0x8400ffff, 0x08000000, *HUGE))))


def raise_counts(image, source):
    """Words that look like numbers become large."""
    for _ in range(source.randint(1, 60)):
        page = image.pick(source, *LISTS)
        content = image.read(page)
        numbers = [at for at in range(0, len(content), 4)
                   if 0 < struct.unpack_from("<I", content, at)[0] < 1 << 16]
        if numbers:
            image.write(page + source.choice(numbers), struct.pack("<I", source.choice(HUGE)))


def bend_tables(image, source):
    """Page tables that lead to themselves, to huge pages, and out of memory."""
    for _ in range(source.randint(1, 30)):
        page = image.pick(source, "tables")
        place = source.randrange(TABLE_ENTRIES)
        entry = image.words(page)[place]
        image.write(page + 8 * place, struct.pack("<Q", source.choice((
            page | 0x63, entry ^ 0x80, entry ^ 1, entry | ADDRESS_MASK,
            image.pick(source, "tables") | 0x63, source.getrandbits(64)))))


DAMAGES = (flip_bits, close_circles, wild_pointers, spoil_nodes, fill_pages, swap_pages,
           forge_types, raise_counts, bend_tables)


def damage(image, key):
    """Returns what was done."""
    source = random.Random(key)
    chosen = [source.choice(DAMAGES) for _ in range(source.choice((1, 1, 1, 2, 4)))]
    for one in chosen:
        one(image, source)
    return ", ".join(one.__name__ for one in chosen)


def judge(answer):
    """How it ended, in a word or a few; fails where it may not end so."""
    text = answer.err.decode(errors="replace")
    assert "Sanitizer" not in text and "runtime error" not in text, text[-4000:]
    assert answer.seconds < BUDGET_MSEC / 1000 + GRACE_SEC, f"{answer.seconds:.1f} s"
    if answer.status == 1 and not answer.out:
        reason = answer.reason()
        assert not re.search(r"signal|sandbox|without an answer|report of the|out of turn", reason)
        return "refused: " + re.sub(r"0x[0-9a-f]+|\d+", "N", reason)[:90]
    found = answer.json()
    failed = found["reading"]["failed_views"]
    assert answer.status == (failed > 0) and len(found["notes"]) >= failed, (answer.status, failed)
    if failed:
        return f"part of an answer: {'all' if failed == VIEWS.count(',') + 1 else 'some'} views fail"
    return "answer with notes" if found["notes"] else "answer"


def try_one(program, image, path, key, ends):
    what = damage(image, key)
    try:
        answer = program.run(VIEWS, "--dump", path, "--json", "--budget", BUDGET_MSEC, timeout=30)
        ends[judge(answer)] += 1
        return answer.seconds
    except (AssertionError, ValueError, subprocess.TimeoutExpired) as error:
        raise AssertionError(f"{key}: {what}: {error}") from None
    finally:
        image.undo()


def try_all(program, path, seed, numbers):
    image, ends, failures, slowest = Image(program, path), collections.Counter(), [], 0
    try:
        for number in numbers:
            try:
                slowest = max(slowest, try_one(program, image, path, f"{seed} {number}", ends))
            except AssertionError as error:
                failures.append(error)
                print(f"# {error}", flush=True)
    finally:
        image.close()
    for end, count in ends.most_common():
        print(f"#   {count} {end}")
    assert not failures, f"{len(failures)} of {len(numbers)}, of the image {path}"
    assert len(numbers) < 30 or any("answer" in end for end in ends), "no image was read"
    return f"{len(numbers)} images, the slowest in {slowest:.1f} s"


def make_image(kernel, folder):
    path = os.path.join(folder, f"{kernel}.elf")
    levels = 5 if kernel == KERNELS[0] else 4
    with Guest(os.path.join(folder, f"guest-{kernel}"), kernel, levels, memory_mib=128) as guest:
        for kind in VICTIMS:
            guest.ask("spawn", kind)
        guest.ask("timewait", 3)
        save_elf(guest, path)
    return path


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--image")
    parser.add_argument("--only", type=int)
    options = parser.parse_args(arguments)
    if not options.image and skip_reason():
        skip(skip_reason())
    program = Program(options.build)
    numbers = [options.only] if options.only is not None else range(options.count)
    if options.image:
        return run_tests([
            ("the image", lambda: try_all(program, options.image, options.seed, numbers))])
    folder = tempfile.mkdtemp(prefix="atom-damage-")

    def test(kernel):
        return lambda: try_all(program, make_image(kernel, folder), options.seed, numbers)

    failures = run_tests([(f"{kernel}: damaged images", test(kernel)) for kernel in KERNELS])
    if not failures:
        shutil.rmtree(folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
