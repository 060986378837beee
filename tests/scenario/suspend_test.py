#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""atom-vmi pause, resume and snapshot on a real QEMU without a guest: firmware that finds nothing to boot is VM enough."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness import main, wait_for

DONE, FAILED, USAGE, NOTHING = 0, 1, 2, 3


class Machine:
    """A QEMU that was started paused, with a QMP socket."""

    def __init__(self, build):
        self.program = os.path.join(build, "src", "vmi", "atom-vmi")
        self.folder = tempfile.mkdtemp(prefix="atom-suspend-")
        self.socket = os.path.join(self.folder, "qmp")
        self.name = os.path.basename(self.folder)
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-name", self.name, "-accel", "tcg", "-m", "16", "-display", "none", "-nodefaults",
             "-no-user-config", "-S", "-qmp", f"unix:{self.socket},server=on,wait=off"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: os.path.exists(self.socket), 20, "QEMU's socket")
        except BaseException:
            self.close(False)
            raise

    def run(self, command, *options, by=None):
        """The exit status, the facts, the notes."""
        done = subprocess.run([self.program, command, *(by or [self.name]), *options, "--json"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
        if done.returncode not in (DONE, NOTHING):
            return done.returncode, done.stderr, None
        report = json.loads(done.stdout)
        return done.returncode, report["suspend"], report["notes"]

    def close(self, keep):  # pylint: disable=unused-argument # there are no logs
        self.process.kill()
        self.process.wait(15)
        shutil.rmtree(self.folder, ignore_errors=True)


def say(machine, command):
    """A command of QMP, in its turn."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(machine.socket)
        stream = line.makefile("rw")
        for word in (None, "qmp_capabilities", command):
            if word:
                stream.write(json.dumps({"execute": word, "id": word}) + "\n")
                stream.flush()
            while json.loads(stream.readline()).get("id") != word:
                pass


def facts(outcome, before, after):
    return {"outcome": outcome, "before": before, "after": after}


def test_pause_and_resume(machine):
    assert machine.run("resume") == (DONE, facts("resumed", "prelaunch", "running"), [])
    assert machine.run("resume") == (NOTHING, facts("already", "running", "running"), [])
    assert machine.run("pause") == (DONE, facts("paused", "running", "paused"), [])
    assert machine.run("pause", by=["--process", str(machine.process.pid)]) == (
        NOTHING, facts("already", "paused", "paused"), [])
    assert machine.run("resume", by=["--qmp", machine.socket]) == (DONE, facts("resumed", "paused", "running"), [])


def test_dry_run_changes_nothing(machine):
    would_run = (DONE, facts("dry run", "prelaunch", "prelaunch"), ["the VM would be resumed"])
    assert machine.run("resume", "--dry-run") == would_run
    assert machine.run("resume", "--dry-run") == would_run
    assert machine.run("resume")[0] == DONE
    for _ in range(2):
        assert machine.run("pause", "--dry-run") == (DONE, facts("dry run", "running", "running"),
                                                     ["the VM would be paused"])


def test_vm_that_stands_for_another_reason_is_not_paused(machine):
    for options in ([], ["--dry-run"]):
        status, said, _ = machine.run("pause", *options)
        assert status == FAILED and "not running: prelaunch" in said, said


def test_pause_waits_until_the_vm_runs(machine):
    def start():
        time.sleep(1)
        say(machine, "cont")

    other = threading.Thread(target=start)
    other.start()
    assert machine.run("pause") == (DONE, facts("paused", "running", "paused"), [])
    other.join()
    assert machine.run("pause") == (NOTHING, facts("already", "paused", "paused"), [])


def test_monitor_that_another_holds_is_a_failure(machine):
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(machine.socket)
        status, said, _ = machine.run("pause")
    assert status == FAILED and "one client" in said, said


def test_snapshot_leaves_room_and_no_part_of_itself(machine):
    path = os.path.join(machine.folder, "image")
    words = [machine.program, "snapshot", machine.name, "--output", path]
    refused = subprocess.run([*words, "--keep-free", str(1 << 60)], stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert refused.returncode == FAILED and "are to stay free" in refused.stderr, refused.stderr
    assert os.listdir(machine.folder) == ["qmp"]
    subprocess.run([*words, "--keep-free", "0"], stdout=subprocess.DEVNULL, timeout=30, check=True)
    assert os.path.getsize(path) > 12 << 20  # there are holes
    assert subprocess.run([*words, "--keep-free", "1G"], stderr=subprocess.DEVNULL, check=False).returncode == USAGE


def test_bad_usage(machine):
    for words in (["--dump", "x"], [], ["--qmp", machine.socket, "--process", "1"]):
        done = subprocess.run([machine.program, "pause", *words], stderr=subprocess.DEVNULL, timeout=30, check=False)
        assert done.returncode == USAGE, words
    assert machine.run("pause", "--budget", "100")[0] == USAGE
    assert machine.run("resume", by=["nobody-has-this-name"])[0] == FAILED


if __name__ == "__main__":
    if not shutil.which("qemu-system-x86_64"):
        print("1..0 # SKIP there is no qemu-system-x86_64")
        sys.exit(0)
    sys.exit(main([test_pause_and_resume, test_dry_run_changes_nothing,
                   test_vm_that_stands_for_another_reason_is_not_paused, test_pause_waits_until_the_vm_runs,
                   test_monitor_that_another_holds_is_a_failure,
                   test_snapshot_leaves_room_and_no_part_of_itself, test_bad_usage], Machine))
