#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ends processes of real guests with atom-vmi kill, as TAP: kill_test.py BUILD [--all] [--count N]

Victims that run, sleep in each of the usual ways, have threads, are stopped; ways of refusing; a row of N kills while the guest forks
as fast as it can; what becomes of a paused VM whose atom-vmi is killed. Whether a victim died, and that nothing else did, the
witness inside says; its kernel's log must stay clean. Two guests, or with --all the whole matrix of kernels and memories."""
import argparse
import glob
import os
import signal
import subprocess
import sys
import tempfile
import time

from guests import wait_for
from vmi import Program, Qmp, run_tests, skip, skip_reason
from vmi_test import World, full_matrix

QUICK = (("6.1", 5, "memfd", 1, False), ("6.12", 4, "anonymous", 2, False))
MORTAL = ("busy", "nanosleep", "pause", "poll", "epoll", "futex", "pipe", "recv", "recv-tcp", "vfork", "mt-busy", "mt-sleep",
          "stopped", "uid", "fds")
REFUSED, ARMED = 3, 4


def kill(world, pid, *arguments):
    """How the program ended, and the report that it gave."""
    answer = world.program.run("kill", "--qmp", world.guest.qmp, "--cache", world.path("cache"), "--pid", pid, "--json", *arguments)
    assert answer.status in (0, REFUSED, ARMED), answer.err.decode()
    return answer.status, answer.json()


def spawn(world, kind):
    return world.ask("spawn", kind)


def expect_dead(world, victim, status, report):
    assert status == 0 and report["end"]["outcome"] == "dead", (status, report["end"])
    wait_for(lambda: not world.ask("alive", victim["pid"])["exists"], 10, f"{victim['comm']} is gone")
    end = world.ask("alive", victim["pid"])
    assert end.get("signal") == signal.SIGKILL, end


def expect_refused(world, pid, text, *arguments):
    status, report = kill(world, pid, *arguments)
    assert status == REFUSED and text in report["end"]["reason"], (status, report["end"])
    assert not report["writes"] and report["reading"]["paused"] == 0, report


def check_kinds(world):
    pauses, times = [], []
    for kind in MORTAL:
        victim = spawn(world, kind)
        status, report = kill(world, victim["pid"], "--command", victim["comm"][:15])
        expect_dead(world, victim, status, report)
        threads = {"mt-sleep": 4, "mt-busy": 2}.get(kind, 1)
        assert report["end"]["threads"] == threads, (kind, report["end"])
        pauses.append(report["reading"]["paused"])
        times.append(report["end"]["took"])
    return f"{len(MORTAL)} kinds, pauses up to {max(pauses) / 1e6:.1f} ms, deaths within {max(times) / 1e9:.2f} s"


def check_call(world):
    """The guest's own kill_pid(), called through the gdb stub."""
    for kind in ("nanosleep", "mt-sleep", "stopped", "busy"):
        victim = spawn(world, kind)
        status, report = kill(world, victim["pid"], "--method", "call")
        expect_dead(world, victim, status, report)
        assert {row["what"] for row in report["writes"]} == {"pid: references"}, report["writes"]
    with Qmp(world.guest.qmp) as qmp:
        assert qmp.ask("query-status")["status"] == "running"


def check_container(world):
    """The first process of a namespace: only on demand, and its namespace ends with it."""
    victim = spawn(world, "ns")
    expect_refused(world, victim["pid"], "namespace")
    status, report = kill(world, victim["pid"], "--container-init")
    expect_dead(world, victim, status, report)


def check_refused(world):
    facts = world.facts()
    kernel = next(process["pid"] for process in facts["processes"] if process["comm"].startswith("kthreadd"))
    expect_refused(world, 1, "the guest's first")
    expect_refused(world, kernel, "thread of the kernel")
    expect_refused(world, 4194304, "there is no process")
    victim = spawn(world, "mt-sleep")
    start = world.look("ps", "--pid", victim["pid"])["ps"][0]["start_nsec"]
    expect_refused(world, victim["pid"], "another one by now", "--start", start + 1)
    expect_refused(world, victim["pid"], "not the expected one", "--command", "something")
    thread = next(pid for pid in range(victim["pid"] + 1, victim["pid"] + 5))
    expect_refused(world, thread, "is a thread of process")
    status, report = kill(world, victim["pid"], "--start", start, "--command", victim["comm"])
    expect_dead(world, victim, status, report)


def check_migration(world):
    """Pages that were sent already would be sent without the write."""
    victim = spawn(world, "nanosleep")
    with Qmp(world.guest.qmp) as qmp:
        qmp.ask("migrate-set-parameters", **{"max-bandwidth": 4096})
        qmp.ask("migrate", uri="exec:cat >/dev/null")
    try:
        answer = world.program.run("kill", "--qmp", world.guest.qmp, "--pid", victim["pid"])
        assert "migrated" in answer.reason(), answer.reason()
    finally:
        with Qmp(world.guest.qmp) as qmp:
            qmp.ask("migrate_cancel")
            wait_for(lambda: qmp.ask("query-migrate").get("status") == "cancelled", 30, "the migration is given up")
    assert world.ask("alive", victim["pid"])["exists"]
    status, report = kill(world, victim["pid"])
    expect_dead(world, victim, status, report)


def check_dry_run(world):
    """Says each word, writes none, and pauses nothing."""
    victim = spawn(world, "mt-sleep")
    status, report = kill(world, victim["pid"], "--dry-run")
    assert status == 0 and report["end"]["outcome"] == "dry run", report["end"]
    assert report["reading"]["paused"] == 0
    written = [row["what"] for row in report["writes"]]
    assert written.count("thread: pending signals") == 4 and "timer wheel: slot" in written, written
    again = kill(world, victim["pid"], "--dry-run")[1]["writes"]
    for first, second in zip(report["writes"], again):
        if first["what"].startswith("thread"):
            assert first == second, "a dry run changed something"
    time.sleep(0.5)
    assert world.ask("alive", victim["pid"])["exists"]
    status, report = kill(world, victim["pid"])
    expect_dead(world, victim, status, report)


def check_armed(world):
    """It sleeps where no signal reaches it: said so, and it dies when it wakes."""
    victim = spawn(world, "dstate")
    status, report = kill(world, victim["pid"], "--wait", 300)
    assert status == ARMED and "(D)" in report["end"]["reason"], report["end"]
    assert world.ask("alive", victim["pid"])["exists"]
    world.ask("thaw")
    wait_for(lambda: not world.ask("alive", victim["pid"])["exists"], 10, "it dies when it wakes")
    sleeper = spawn(world, "nanosleep")
    status, report = kill(world, sleeper["pid"], "--no-wake", "--wait", 300)
    assert status == ARMED, report["end"]
    assert world.ask("alive", sleeper["pid"])["exists"]
    status, report = kill(world, sleeper["pid"])
    expect_dead(world, sleeper, status, report)


def check_row(world, count):
    """One after the other, while the guest forks and exits all the time."""
    kinds = ("nanosleep", "poll", "futex", "mt-sleep", "busy")
    pauses, kept = [], 0
    world.ask("storm", "on")
    try:
        for number in range(count):
            victim = spawn(world, kinds[number % len(kinds)])
            status, report = kill(world, victim["pid"])
            expect_dead(world, victim, status, report)
            pauses.append(report["reading"]["paused"])
            kept += report["end"]["keeps_reference"]
    finally:
        world.ask("storm", "off")
    return f"{count} in a row, median pause {sorted(pauses)[count // 2] / 1e6:.2f} ms, {kept} references kept"


def saved_bytes(pid, image):
    """Of the image that the process is writing: it has no name yet, or one of its own."""
    sizes = [os.path.getsize(path) for path in glob.glob(image + ".*")]
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            if os.readlink(path).startswith(os.path.dirname(image) + "/#"):
                sizes.append(os.stat(path).st_size)
        except OSError:
            pass  # closed meanwhile
    return max(sizes, default=0)


def check_guard(world):
    """atom-vmi is killed while it holds the VM paused: the VM goes on."""
    def status():
        with Qmp(world.guest.qmp) as qmp:
            return qmp.ask("query-status")["status"]

    image = world.path("image")
    paused = 0
    for _ in range(5):
        saving = subprocess.Popen([world.program.path, "snapshot", "--qmp", world.guest.qmp, "--output", image, "--pause"],
                                  stdout=subprocess.DEVNULL)
        wait_for(lambda: saved_bytes(saving.pid, image) > 1 << 20, 20, "the saving begins")
        saving.kill()
        paused += saving.wait() != 0
        wait_for(lambda: status() == "running", 20, "the guard resumes it")
        for path in glob.glob(image + "*"):
            os.unlink(path)
    assert paused > 0, "it was never caught while it paused the VM"
    assert world.ask("alive", 1)["exists"]
    return f"{paused} of 5 caught in the pause"


def check_health(world):
    facts = world.facts()
    assert facts["log_bad"] == 0 and facts["tainted"] == 0, facts["log_bad_lines"]
    names = [process["comm"] for process in facts["processes"]]
    assert not any(name.startswith("v-") for name in names), names
    assert world.look("hidden")["hidden"] == []


CHECKS = (("each kind of victim dies", check_kinds), ("by a call of kill_pid()", check_call),
          ("the first of a namespace", check_container), ("what is refused", check_refused),
          ("not while it migrates", check_migration), ("a dry run", check_dry_run), ("pending until it wakes", check_armed),
          ("many in a row under fork load", check_row), ("a pause ends with the one that made it", check_guard),
          ("the guest is well", check_health))


class Worlds:
    """One guest at a time, the next one booting meanwhile."""

    def __init__(self, program, folder, settings):
        self.program, self.folder, self.settings = program, folder, list(settings)
        self.started = {}

    def start(self, place):
        if place < len(self.settings) and place not in self.started:
            self.started[place] = World(self.program, self.folder, self.settings[place])
        return self.started.get(place)

    def run(self, place, check, count):
        world = self.start(place)
        world.wait()
        self.start(place + 1)
        try:
            return check(world, count) if check is check_row else check(world)
        finally:
            if check is CHECKS[-1][1]:
                world.stop()

    def tests(self, count):
        for place, setting in enumerate(self.settings):
            kernel, levels, backend, vcpus, pti = setting
            name = f"{kernel} {levels}-level {backend} {vcpus} vCPU{' PTI' if pti else ''}"
            for what, check in CHECKS:
                yield f"{name}: {what}", lambda place=place, check=check: self.run(place, check, count)

    def close(self):
        for world in self.started.values():
            world.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--count", type=int, default=50)
    options = parser.parse_args()
    if skip_reason():
        skip(skip_reason())
    program = Program(options.build)
    with tempfile.TemporaryDirectory() as folder:
        worlds = Worlds(program, folder, full_matrix() if options.all else QUICK)
        try:
            failures = run_tests(list(worlds.tests(options.count)))
        finally:
            worlds.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
