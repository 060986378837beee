#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Guests to look into: stock Debian kernels under emulation, with a witness inside (witness.h) that says what they are doing.

As a module: class Guest. By hand:
  guests.py boot KERNEL LEVELS BACKEND VCPUS DIR   starts a guest and leaves it running; prints its pid and QMP socket
  guests.py ask DIR COMMAND...                     asks its witness; prints the answer
  guests.py stop DIR                               ends it
"""
import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CACHE = os.environ.get("ATOM_CACHE") or os.path.join(TOP, "build", "cache")
KERNELS = ("6.1", "6.12")
BACKENDS = ("memfd", "file", "anonymous")
SOURCES = ("witness.c", "witness_facts.c", "witness_victims.c")
SOCKET_PATH_MAX = 107


class GuestError(Exception):
    """A guest does not start, does not answer, or says that it can not."""


def wait_for(condition, seconds, what):
    """The first true answer of `condition`; fails after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise GuestError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Archive:
    """A cpio archive in the format that the kernel unpacks (newc)."""

    def __init__(self):
        self.parts = []
        self.count = 0

    def add(self, name, mode, content=b"", device=(0, 0)):
        self.count += 1
        fields = (self.count, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.parts += [head, bytes(-len(head) % 4), content, bytes(-len(content) % 4)]

    def finish(self):
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)


def read(path):
    with open(path, "rb") as stream:
        return stream.read()


def write_whole(path, content, mode=0o644):
    """Others may make the same file at the same time: it appears at once, whole."""
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as stream:
        stream.write(content)
        os.fchmod(stream.fileno(), mode)
    os.replace(stream.name, path)


def is_newer(path, sources):
    return os.path.exists(path) and all(
        os.path.getmtime(source) <= os.path.getmtime(path) for source in sources)


def make_witness():
    path = os.path.join(CACHE, "witness")
    sources = [os.path.join(HERE, name) for name in SOURCES]
    if not is_newer(path, [*sources, os.path.join(HERE, "witness.h")]):
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            built = os.path.join(folder, "witness")
            subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-static", "-s",
                            "-pthread", "-o", built, *sources], check=True, timeout=120)
            os.replace(built, path)
    return path


def make_initrd(kernel):
    """The kernel image and the initramfs of a series; whatever is missing is made first."""
    folder = os.path.join(CACHE, kernel)
    path = os.path.join(folder, "initrd.gz")
    if not os.path.exists(os.path.join(folder, "package")):
        subprocess.run([os.path.join(TOP, "tools", "guest-kernels"), CACHE], check=True,
                       timeout=600, stdout=sys.stderr)
    witness = make_witness()
    sources = [witness, os.path.join(HERE, "init"), os.path.join(folder, "package"),
               os.path.abspath(__file__)]
    if not is_newer(path, sources):
        archive = Archive()
        for name in ("bin", "lib", "dev", "proc", "sys", "tmp", "mnt"):
            archive.add(name, 0o040755)
        archive.add("dev/console", 0o020600, device=(5, 1))
        archive.add("init", 0o100755, read(os.path.join(HERE, "init")))
        archive.add("bin/busybox", 0o100755, read(shutil.which("busybox")))
        archive.add("bin/witness", 0o100755, read(witness))
        modules = os.path.join(folder, "modules")
        for name in os.listdir(modules):
            archive.add(f"lib/{name}", 0o100644, read(os.path.join(modules, name)))
        write_whole(path, gzip.compress(archive.finish(), 1))
    return os.path.join(folder, "vmlinuz"), path


def start_ticks(pid):
    """What tells a process from a later one of the same number; None where there is none."""
    try:
        fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] == b"Z" else int(fields[19])


class Handle:
    """A running guest, by the folder that it was started with."""

    def __init__(self, workdir):
        self.workdir = os.path.abspath(workdir)
        self.qmp = self.path("qmp")
        self.process = None
        with open(self.path("guest.json"), encoding="utf-8") as stream:
            self.facts = json.load(stream)
        self.pid = self.facts["pid"]

    def path(self, name):
        return os.path.join(self.workdir, name)

    @property
    def running(self):
        if self.process:
            return self.process.poll() is None
        return start_ticks(self.pid) == self.facts["start"]

    def console(self):
        with open(self.path("console.log"), encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def ask(self, command, *arguments, timeout=30):
        """One command of the witness; returns its answer as a dict, raises GuestError where it is not ok."""
        number = time.monotonic_ns() & 0x7fffffff
        line = " ".join([str(number), command, *(str(argument) for argument in arguments)])
        end = time.monotonic() + timeout
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(timeout)
            link.connect(self.path("witness"))
            link.sendall(line.encode() + b"\n")
            have = b""
            while True:
                link.settimeout(max(end - time.monotonic(), 0.001))
                try:
                    part = link.recv(65536)
                except socket.timeout:
                    raise GuestError(f"no answer within {timeout} s to: {line}") from None
                if not part:
                    raise GuestError(f"the guest ended while asked: {line}")
                have += part
                while b"\n" in have:  # an answer to one who has gone may come first
                    text, have = have.split(b"\n", 1)
                    answer = self._parse(text, number)
                    if answer and answer.get("ok"):
                        return answer
                    if answer:
                        raise GuestError(f"{command}: {answer.get('error')}")

    @staticmethod
    def _parse(text, number):
        try:
            answer = json.loads(text)
        except ValueError:
            return None
        return answer if answer.get("id") == number else None

    def stop(self):
        """Ends this guest's process, and removes its memory file."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.running:
                break
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, number)
            try:
                wait_for(lambda: not self.running, 5, "the guest ends")
            except GuestError:
                continue
        if self.facts["memory"]:
            try:
                os.unlink(self.facts["memory"])
            except FileNotFoundError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Guest(Handle):
    """Starts a guest and waits until its witness answers. Ends with this process unless `keep`."""

    def __init__(self, workdir, kernel="6.1", levels=5, backend="memfd", vcpus=1, memory_mib=256,
                 pti=False, machine="q35", arguments="", timeout=180, keep=False):
        # pylint: disable=super-init-not-called # it reads what this one writes
        if kernel not in KERNELS or levels not in (4, 5) or backend not in BACKENDS:
            raise ValueError(f"no such guest: {kernel} {levels} {backend}")
        os.makedirs(workdir, exist_ok=True)
        self.workdir = os.path.abspath(workdir)
        self.qmp = self.path("qmp")
        if len(self.path("witness")) > SOCKET_PATH_MAX:
            raise GuestError(f"too long for a socket's path: {self.path('witness')}")
        vmlinuz, initrd = make_initrd(kernel)
        begin = time.monotonic()
        memory, options = self._memory(backend, memory_mib, machine)
        options += [
            "-accel", "tcg", "-cpu", "max" if levels == 5 else "max,la57=off", "-smp", str(vcpus),
            "-m", str(memory_mib), "-kernel", vmlinuz, "-initrd", initrd, "-append",
            "console=ttyS0 quiet panic=-1 log_buf_len=1M random.trust_cpu=on"
            f" {'pti=on' if pti else 'nopti'} {arguments}"]
        self._launch(options, keep)
        self.facts = {"pid": self.pid, "start": start_ticks(self.pid), "memory": memory,
                      "kernel": kernel, "levels": levels, "backend": backend, "vcpus": vcpus}
        write_whole(self.path("guest.json"), json.dumps(self.facts).encode())
        try:
            self._wait_ready(timeout)
        except BaseException:
            self.stop()
            raise
        self.boot_seconds = time.monotonic() - begin

    def _memory(self, backend, mib, machine):
        """The memory's file if it has a name, and QEMU's options."""
        if backend == "anonymous":
            return None, ["-machine", machine]
        if backend == "memfd":
            kind, path = "memory-backend-memfd", None
        else:
            handle, path = tempfile.mkstemp(prefix="atom-guest-", dir="/dev/shm")
            os.close(handle)
            kind = f"memory-backend-file,mem-path={path}"
        return path, ["-object", f"{kind},id=m,size={mib}M,share=on",
                      "-machine", f"{machine},memory-backend=m"]

    def _launch(self, options, keep):
        for name in ("console.log", "qmp", "witness", "guest.json"):
            if os.path.lexists(self.path(name)):
                os.unlink(self.path(name))
        command = [
            "qemu-system-x86_64", "-name", f"guest-{os.path.basename(self.workdir)}", *options,
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-chardev", f"file,id=c0,path={self.path('console.log')}", "-serial", "chardev:c0",
            "-chardev", f"socket,id=c1,path={self.path('witness')},server=on,wait=off",
            "-serial", "chardev:c1", "-qmp", f"unix:{self.qmp},server=on,wait=off"]
        if not keep:
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with open(self.path("qemu.log"), "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        self.pid = self.process.pid

    def _is_ready(self):
        if not self.running:
            text = read(self.path("qemu.log")).decode(errors="replace").strip()
            raise GuestError(f"QEMU ended with {self.process.returncode}: {text}")
        try:
            return "WITNESS-READY" in self.console()
        except FileNotFoundError:
            return False

    def _wait_ready(self, timeout):
        try:
            wait_for(self._is_ready, timeout, "the guest boots")
        except GuestError as error:
            try:
                tail = self.console()[-2000:]
            except FileNotFoundError:
                tail = ""
            raise GuestError(f"{error}\n{tail}") from None
        self.ask("alive", 1)


def main(arguments):
    verb, *rest = arguments or ["help"]
    if verb == "boot" and len(rest) == 5:
        kernel, levels, backend, vcpus, folder = rest
        guest = Guest(folder, kernel, int(levels), backend, int(vcpus), keep=True)
        print(f"pid {guest.pid}\nqmp {guest.qmp}\nbooted in {guest.boot_seconds:.1f} s")
    elif verb == "ask" and len(rest) >= 2:
        print(json.dumps(Handle(rest[0]).ask(*rest[1:]), indent=1))
    elif verb == "stop" and len(rest) == 1:
        Handle(rest[0]).stop()
    else:
        print(re.sub(r"^.*?(?=  guests)", "", __doc__, flags=re.S), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (GuestError, OSError, ValueError) as problem:
        print(f"guests.py: {problem}", file=sys.stderr)
        sys.exit(1)
