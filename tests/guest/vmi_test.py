#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""atom-vmi against real guests: what it sees from outside is what the witness inside says of its
own /proc. vmi_test.py BUILD [--all] [CHECK...]: two guests, or the whole matrix of kernels, page
tables and backends."""
import calendar
import concurrent.futures
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from guests import BACKENDS, KERNELS, Guest, GuestError, wait_for
from vmi import Paused, Program, Qmp, run_tests, save_elf, save_image, skip, skip_reason

QUICK = (("6.1", 5, "memfd", 1, False), ("6.12", 4, "anonymous", 2, False))
KERNEL_THREAD = 0x200000
UNSLID = 0xffffffff81000000
NEVER_USED_CALL = 180  # nfsservctl, which no kernel has any more
VICTIMS = ("sockets", "uid", "io", "ns", "files", "memfd", "deleted", "mt-sleep", "stopped",
           "vfork", "epoll", "pipe", "nanosleep")
HIDDEN_RUNS = 50


def full_matrix():
    for kernel in KERNELS:
        for levels in (4, 5):
            for backend in BACKENDS:
                for vcpus in (1, 2):
                    yield kernel, levels, backend, vcpus, False
    yield "6.1", 5, "memfd", 2, True


class World:
    """One guest, what is asked about it while it boots, and its victims."""

    def __init__(self, program, folder, setting):
        self.program, self.setting = program, setting
        kernel, levels, backend, vcpus, pti = setting
        self.name = f"{kernel} {levels}-level {backend} {vcpus} vCPU{' PTI' if pti else ''}"
        # the folder's name becomes the VM's, by which it is found among all of this host
        name = "-".join(map(str, (*setting[:4], int(pti), os.getpid())))
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        self.guest, self.error, self.early, self.victims = None, None, [], {}
        self.booted, self.ended = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=one) for one in (self._boot, self._look_early)]
        for thread in self.threads:
            thread.start()

    def _boot(self):
        kernel, levels, backend, vcpus, pti = self.setting
        try:
            self.guest = Guest(self.folder, kernel, levels, backend, vcpus, pti=pti)
        except (GuestError, OSError, subprocess.SubprocessError) as error:
            self.error = error
        self.booted.set()
        self.ended.wait()  # a guest ends with the thread that started it

    def _look_early(self):
        path = os.path.join(self.folder, "qmp")
        while not self.booted.wait(0.25):
            if os.path.exists(path):
                self.early.append(self.program.run("ps,net", "--qmp", path, "--json", "--no-cache"))

    def wait(self):
        self.booted.wait()
        if self.error:
            raise self.error

    def stop(self):
        self.booted.wait()
        if self.guest:
            self.guest.stop()
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def path(self, name):
        return os.path.join(self.folder, name)

    def ask(self, *words):
        return self.guest.ask(*words)

    def facts(self, *words):
        facts = self.guest.ask("facts", *words, timeout=60)
        facts["by_pid"] = {process["pid"]: process for process in facts["processes"]}
        return facts

    def look(self, views, *arguments):
        return self.program.look(views, "--qmp", self.guest.qmp, "--cache", self.path("cache"),
                                 *arguments)

    def tampered(self, *arguments):
        return Tampered(self, arguments)


class Tampered:
    """The guest's kernel is changed as long as this lasts."""

    def __init__(self, world, arguments):
        self.world, self.arguments = world, arguments

    def __enter__(self):
        self.undo = self.world.program.tamper(self.world.guest.qmp, *self.arguments)

    def __exit__(self, *_):
        self.world.program.tamper(self.world.guest.qmp, "undo", changes=self.undo)


def raw(row, column):
    """A text of the report as the bytes that the guest holds."""
    if f"{column}_hex" in row:
        return bytes.fromhex(row[f"{column}_hex"])
    return (row[column] or "").encode()


def same(what, got, *expected):
    assert got in expected, f"{what}: {got!r}, and /proc says {' or '.join(map(repr, expected))}"


def between(what, got, low, high, slack=0):
    good = low - slack <= got <= high + slack
    assert good, f"{what}: {got} is not from {low} to {high} +- {slack}"


# Processes

def check_command(pid, row, process, is_kernel):
    told = process["comm"].encode("latin-1")
    if is_kernel:  # /proc puts names of work and of threads behind the 15 bytes that a task has
        told = told[:len(raw(row, "command"))]
    same(f"command of {pid}", raw(row, "command"), told)
    line = process["cmdline"].encode("latin-1").rstrip(b"\0").replace(b"\0", b" ")
    same(f"command line of {pid}", raw(row, "command_line"), line)


def check_process(row, before, after, witness):
    pid = row["pid"]
    is_kernel = bool(after["flags"] & KERNEL_THREAD)
    same(f"kernel flag of {pid}", row["kernel"], is_kernel)
    same(f"ppid of {pid}", row["ppid"], before["ppid"], after["ppid"])
    same(f"uids of {pid}", [row["uid"], row["euid"]], after["uids"][:2])
    same(f"threads of {pid}", row["threads"], after["threads"])
    same(f"pid in namespaces of {pid}", [pid, row["namespace_pid"]],
         [after["nspid"][0], after["nspid"][-1]])
    same(f"namespace of {pid}", f"pid:[{row['namespace']}]", after["pid_namespace"])
    between(f"start of {pid}", row["start_nsec"] // 10000000, after["start"], after["start"], 1)
    if is_kernel or pid == witness:  # these work, also for those who look at them
        same(f"state of {pid}", row["state"], before["state"], after["state"], "R", "S", "D", "I")
    else:
        same(f"state of {pid}", row["state"], before["state"], after["state"])
    for ours, proc in (("read", "read_bytes"), ("write", "write_bytes")):
        between(f"{proc} of {pid}", row[ours], before[proc], after[proc])
    check_command(pid, row, after, is_kernel)


def check_ps(world):
    """Both ways, with every column; /proc is read before and after."""
    before, found, after = world.facts(), world.look("ps")["ps"], world.facts()
    rows = {row["pid"]: row for row in found}
    assert len(rows) == len(found), "a pid is listed twice"
    stable = [pid for pid, process in before["by_pid"].items()
              if after["by_pid"].get(pid, {}).get("start") == process["start"]]
    assert len(stable) > 40 and not set(stable) - set(rows), f"missing: {set(stable) - set(rows)}"
    extra = set(rows) - set(before["by_pid"]) - set(after["by_pid"])
    assert not extra, f"not in /proc: {[rows[pid] for pid in extra]}"
    witness = next(pid for pid in stable if before["by_pid"][pid]["comm"] == "witness")
    for pid in stable:
        check_process(rows[pid], before["by_pid"][pid], after["by_pid"][pid], witness)
    assert b"\xff\xfe\x80" in raw(rows[world.victims["uid"]["pid"]], "command_line")
    assert rows[world.victims["io"]["pid"]]["read"] >= world.victims["io"]["read"]
    now = after["time_usec"] - after["uptime_usec"]
    for row in found:
        start = calendar.timegm(time.strptime(row["start"][:19], "%Y-%m-%dT%H:%M:%S"))
        between(f"start of {row['pid']}", start, (now + row["start_nsec"] / 1000) / 1e6,
                (now + row["start_nsec"] / 1000) / 1e6, 2)
    chosen = world.victims["sockets"]["pid"]
    only = world.look("ps,net,files", "--pid", chosen)
    for view in ("ps", "net", "files"):
        assert {row["pid"] for row in only[view]} == {chosen}, only[view]
    return f"{len(stable)} processes"


def check_cpu(world):
    """In sum, which the kernel knows precisely; in how it parts it in two there is history."""
    pid = world.ask("spawn", "busy")["pid"]
    time.sleep(1)
    before, found, after = world.facts(), world.look("ps")["ps"], world.facts()
    world.ask("end", pid)
    checked = 0
    for row in found:
        low, high = before["by_pid"].get(row["pid"]), after["by_pid"].get(row["pid"])
        if not low or not high or low["start"] != high["start"]:
            continue
        between(f"CPU ticks of {row['pid']}", (row["cpu_user"] + row["cpu_system"]) / 1e7,
                low["utime"] + low["stime"], high["utime"] + high["stime"], 2)
        checked += 1
    row = next(row for row in found if row["pid"] == pid)
    assert row["cpu_user"] > 5 * row["cpu_system"] and row["cpu_user"] > 300000000, row
    return f"{checked} processes"


def check_top(world):
    """What happens between two samples: computing, reading and writing, connecting."""
    rate, busy = world.ask("spawn", "rate")["pid"], world.ask("spawn", "busy")["pid"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(world.look, "top", "--interval", 3)
        time.sleep(1.5)
        connected = world.ask("spawn", "connect", 8)["pid"]
        rows = {row["pid"]: row for row in future.result()["top"]}
    for pid in (rate, busy, connected):
        world.ask("end", pid)
    assert 25 < rows[busy]["cpu_percent"] < 110 and not rows[busy]["new"], rows[busy]
    between("bytes written per second", rows[rate]["write_per_sec"], 10000, 45000)
    ratio = rows[rate]["read_per_sec"] / rows[rate]["write_per_sec"]
    between("bytes read per byte written", ratio, 2, 2, 0.5)
    assert rows[connected]["new"] and rows[connected]["opened"] >= 8, rows[connected]


def check_tree(world):
    facts, found = world.facts(), world.look("ps,tree")
    rows = found["tree"]
    assert sorted(row["pid"] for row in rows) == sorted(row["pid"] for row in found["ps"])
    above = []
    for row in rows:
        assert row["depth"] <= len(above), f"{row}: deeper than a child can be"
        above = above[:row["depth"]]
        same(f"parent of {row['pid']}", row["ppid"], above[-1] if above else 0)
        above.append(row["pid"])
        if row["pid"] in facts["by_pid"]:
            same(f"parent of {row['pid']}", row["ppid"], facts["by_pid"][row["pid"]]["ppid"])


# Sockets and files

def endpoint(address, port):
    if address in ("0.0.0.0", "::") and port == 0:
        return None
    if ":" in address:
        return f"[{address}]:{port}"
    return f"{'*' if address == '0.0.0.0' else address}:{port}"


def proc_socket(one):
    is_unconnected = one["state"] == "CLOSE" and one["protocol"].startswith("udp")
    state = "UNCONNECTED" if is_unconnected else one["state"]
    return (one["protocol"], endpoint(one["local"], one["local_port"]),
            endpoint(one["remote"], one["remote_port"]), state)


def seen_socket(row):
    return row["protocol"], row["local"], row["remote"], row["state"]


def holders_of(facts, inode):
    return [(process["pid"], int(fd)) for process in facts["processes"]
            for fd, target in process["fds"].items() if target == f"socket:[{inode}]"]


def check_owner(row, one, facts):
    holders = holders_of(facts, one["inode"]) if one["inode"] else []
    same(f"holders of {row}", row["holders"], len(holders))
    if holders:
        assert (row["pid"], row["fd"]) in holders, (row, holders)
        same("command", row["command"], facts["by_pid"][row["pid"]]["comm"])
    else:
        assert row["pid"] is None and row["fd"] is None and row["command"] is None, row


def check_bytes(world, rows):
    victim = world.victims["sockets"]
    four, six = victim["listen4"], victim["listen6"]
    for at, one, other, sent, received in (
            ("127.0.0.1", victim["client4"], four, victim["sent4"], victim["answered4"]),
            ("127.0.0.1", four, victim["client4"], victim["answered4"], victim["sent4"]),
            ("[::1]", victim["client6"], six, victim["sent6"], 0),
            ("[::1]", six, victim["client6"], 0, victim["sent6"])):
        local, remote = f"{at}:{one}", f"{at}:{other}"
        row = next(row for row in rows if row["local"] == local and row["remote"] == remote)
        assert (row["sent"], row["received"]) == (sent, received), row


def check_net(world):
    """Both ways; 5 connections that nobody accepted wait at a listener, and others in TIME_WAIT."""
    listener = world.victims["sockets"]["listen4"]
    waiting = world.ask("spawn", "connect", 5, listener)["pid"]
    world.ask("timewait", 3)
    facts, found = world.facts(), world.look("net")["net"]
    world.ask("end", waiting)
    expected = {proc_socket(one): one for one in facts["sockets"]}
    rows = {seen_socket(row): row for row in found}
    assert len(rows) == len(found), "a socket is listed twice"
    assert set(rows) == set(expected), set(rows) ^ set(expected)
    for key, row in rows.items():
        check_owner(row, expected[key], facts)
        is_counted = row["protocol"][:3] == "tcp" and row["state"] not in ("LISTEN", "TIME_WAIT")
        assert (row["sent"] is not None) == is_counted, row
        assert (row["backlog"] is None) == (row["state"] != "LISTEN"), row
    check_bytes(world, found)
    row = rows[("tcp", f"127.0.0.1:{listener}", None, "LISTEN")]
    assert row["backlog"] == 5 and row["backlog_max"] == 4096, row
    resting = [row for row in found if row["state"] == "TIME_WAIT"]
    assert len(resting) >= 3 and all(row["holders"] == 0 for row in resting), resting
    return f"{len(rows)} sockets"


def check_links(process, rows):
    pid = process["pid"]
    links = {int(fd): target for fd, target in process["fds"].items()}
    paths = {row["fd"]: row["path"] + (" (deleted)" if row["deleted"] else "") for row in rows}
    if process["comm"] == "witness":  # with the descriptors that it reads /proc by
        links = {fd: target for fd, target in links.items() if not target.startswith("/proc")}
        paths = {fd: path for fd, path in paths.items()
                 if fd in links or not path.startswith("/proc")}
    assert links == paths, f"{pid}: {set(links.items()) ^ set(paths.items())}"
    return len(links)


def check_files(world):
    many = world.ask("spawn", "fds")
    facts, found = world.facts(), world.look("files", "--budget", 10000)
    world.ask("end", many["pid"])
    count = 0
    for pid, process in facts["by_pid"].items():
        count += check_links(process, [row for row in found["files"] if row["pid"] == pid])
    assert not {row["pid"] for row in found["files"]} - set(facts["by_pid"])
    assert sum(row["pid"] == many["pid"] for row in found["files"]) >= many["opened"]
    return f"{count} descriptors"


def check_exe(world):
    facts, found = world.facts(), world.look("exe")["exe"]
    rows = {row["pid"]: row for row in found}
    told = {pid: process["exe"] for pid, process in facts["by_pid"].items() if "exe" in process}
    assert set(rows) == set(told), set(rows) ^ set(told)
    for pid, row in rows.items():
        gone = row["deleted"] or row["in_memory"]
        same(f"executable of {pid}", row["executable"] + (" (deleted)" if gone else ""), told[pid])
    row = rows[world.victims["memfd"]["pid"]]
    assert row["in_memory"] and not row["deleted"], row
    assert rows[world.victims["deleted"]["pid"]]["deleted"]
    assert sum(row["in_memory"] or row["deleted"] for row in found) == 2


# The kernel

def check_modules(world):
    """Since 6.4 a module lies in pieces, of which the text's size is told; /proc adds them up."""
    facts, found = world.facts(), world.look("modules")["modules"]
    told = {module["name"]: module for module in facts["modules"]}
    assert len(told) >= 3 and len(found) == len(told)
    assert {row["name"] for row in found} == set(told), found
    for row in found:
        module = told[row["name"]]
        same(f"address of {row['name']}", int(row["text"], 16), module["address"])
        same(f"state of {row['name']}", row["state"], module["state"].lower())
        assert row["in_list"] and row["in_sysfs"], row
        if world.setting[0] == "6.1":
            same(f"size of {row['name']}", row["size"], module["size"])
        else:
            between(f"size of {row['name']}", row["size"], 4096, module["size"])


def check_info(world):
    before, found, after = world.facts(1), world.look("info"), world.facts(1)
    info, text = found["info"], world.ask("symbols", "_text", "init_task")["symbols"]["_text"]
    same("banner", info["kernel"], after["version"])
    between("uptime", info["uptime"] / 1e9, before["uptime_usec"] / 1e6,
            after["uptime_usec"] / 1e6, 2)
    booted = calendar.timegm(time.strptime(info["booted"][:19], "%Y-%m-%dT%H:%M:%S"))
    between("boot time", booted, (after["time_usec"] - after["uptime_usec"]) / 1e6,
            (after["time_usec"] - after["uptime_usec"]) / 1e6, 2)
    same("levels", info["page_levels"], after["levels"], world.setting[1])
    same("vCPUs", info["vcpus"], after["cpus"])
    same("text", int(info["text"], 16), text)
    same("slide", int(info["slide"], 16), text - UNSLID)
    same("PTI", after["pti"], world.setting[4])
    same("way", info["read_through"],
         "process memory" if world.setting[2] == "anonymous" else "shared memory")
    assert info["memory"] > 255 << 20, info


def check_ways(world):
    """By socket, process, name; out of the cache; and with a spoilt cache."""
    cache = ("--cache", world.path("ways"))
    reading = [world.program.look("info", *way, *cache)["reading"]["profile"]
               for way in (("--qmp", world.guest.qmp), ("--process", world.guest.pid),
                           (f"guest-{os.path.basename(world.folder)}",))]
    assert reading == ["made", "kept", "kept"], reading
    for name in os.listdir(world.path("ways")):
        with open(os.path.join(world.path("ways"), name), "r+b") as stream:
            stream.seek(64)
            stream.write(os.urandom(512))
    found = world.program.look("info,ps", "--qmp", world.guest.qmp, *cache)
    assert found["reading"]["profile"] == "made" and len(found["ps"]) > 40
    answer = world.program.run("info", "--qmp", world.guest.qmp, *cache)
    assert answer.status == 0 and b"Linux version" in answer.out


def check_pause(world):
    """A guest that runs is left running, and one that somebody stopped is left stopped."""
    def status():
        with Qmp(world.guest.qmp) as qmp:
            return qmp.ask("query-status")["status"]

    world.look("ps,net,hidden", "--pause", 200)
    assert status() == "running"
    with Paused(world.guest):
        found = world.look("ps,net,hidden,files", "--pause", 200)
        assert status() == "paused" and len(found["ps"]) > 40 and not found["hidden"]
    world.ask("alive", 1)


def check_syscalls(world):
    assert world.look("syscalls")["syscalls"] == []
    target = next(row for row in world.look("modules")["modules"] if row["name"] == "dummy")
    with world.tampered("syscall", NEVER_USED_CALL, target["text"]):
        assert world.look("syscalls")["syscalls"] == [
            {"table": "sys_call_table", "number": NEVER_USED_CALL, "leads_to": target["text"],
             "module": "dummy"}]
    assert world.look("syscalls")["syscalls"] == []


# What is hidden

def check_nothing_hidden(world):
    for _ in range(HIDDEN_RUNS):
        found = world.look("hidden")
        assert found["hidden"] == [], found


def check_storm(world):
    """While processes come and go: nothing is called hidden, nothing fails, what stays is seen."""
    stable = {process["pid"] for process in world.facts()["processes"]
              if not process["flags"] & KERNEL_THREAD}
    retried = compared = 0
    world.ask("storm", "on")
    try:
        for number in range(HIDDEN_RUNS):
            found = world.look("hidden,ps" if number % 5 else "hidden,ps,tree,net,files,exe")
            assert found["hidden"] == [], found["hidden"]
            missing = stable - {row["pid"] for row in found["ps"]}
            assert not missing, missing
            retried += found["reading"]["retries"]
            compared += any("samples" in note for note in found["notes"])
    finally:
        world.ask("storm", "off")
    return f"{retried} retries, views differed in {compared} of {HIDDEN_RUNS}"


def check_hidden_task(world):
    victim = world.victims["sockets"]
    pid, ports = victim["pid"], {victim["listen4"], victim["listen6"]}
    for views, seen, missing in ((("list",), "pids,children", "list"),
                                 (("list", "children"), "pids", "list,children"),
                                 (("pids",), "list,children", "pids")):
        with world.tampered("hide", pid, *views):
            found = world.look("hidden,ps,net")
        assert len(found["hidden"]) == 1, (views, found["hidden"])
        row = found["hidden"][0]
        assert (row["pid"], row["command"]) == (pid, "v-sockets"), (views, row)
        assert (row["seen_in"], row["missing_from"]) == (seen, missing), (views, row)
        assert (pid in {one["pid"] for one in found["ps"]}) == ("list" not in views)
        listening = [one for one in found["net"] if one["state"] == "LISTEN"
                     and int(one["local"].rpartition(":")[2]) in ports]
        assert len(listening) == 2, found["net"]
        owner = None if "list" in views else pid
        assert {one["pid"] for one in listening} == {owner}, listening
    found = world.look("hidden,ps")
    assert found["hidden"] == [] and pid in {one["pid"] for one in found["ps"]}


def check_hidden_busy(world):
    """One that is on no list at all, but uses the CPU."""
    pid = world.ask("spawn", "busy")["pid"]
    with world.tampered("hide", pid, "list", "children", "pids"):
        found = world.look("hidden,ps")
    row = next((row for row in found["hidden"] if row["pid"] == pid), None)
    assert row and row["seen_in"] == "running" and row["command"] == "v-busy", found["hidden"]
    assert len(found["hidden"]) == 1 and pid not in {one["pid"] for one in found["ps"]}
    world.ask("end", pid)
    assert not world.ask("alive", pid)["exists"]


def check_hidden_module(world):
    with world.tampered("module", "brd"):
        found = world.look("modules")
    row = next(row for row in found["modules"] if row["name"] == "brd")
    assert not row["in_list"] and row["in_sysfs"], row
    assert any("'brd'" in note for note in found["notes"]), found["notes"]
    assert all(row["in_list"] for row in world.look("modules")["modules"])


# Dumps

def check_dumps(world):
    """All formats give what the live guest gave that stood still."""
    views, kinds = "ps,tree,net,files,exe,modules,syscalls,hidden", ["elf"]
    if world.setting[2] != "anonymous":
        kinds += ["raw", "lime"]
    with Paused(world.guest):
        live = world.look(views)
        for kind in kinds:
            path = world.path(f"image.{kind}")
            if kind == "elf":
                save_elf(world.guest, path)
            else:
                save_image(world.guest, path, kind == "lime")
            found = world.program.look(views, "--dump", path, "--budget", 20000)
            for view in views.split(","):
                assert found[view] == live[view], f"{kind}: {view} differs"
    return " ".join(kinds)


def spoilt(path, offset, content, size=None):
    """A dump with other bytes, or cut off; given back as it was."""
    with open(path, "r+b") as stream:
        stream.seek(offset)
        before = stream.read(len(content))
        stream.seek(offset)
        stream.write(content)
        if size is not None:
            os.truncate(path, size)
    return before


def check_bad_dumps(world):
    path = world.path("image.elf")
    save_elf(world.guest, path)
    size = os.path.getsize(path)

    def refused(text):
        reason = world.program.run("ps", "--dump", path, "--json").reason()
        assert text in reason and path in reason, reason

    for offset, content, text in ((4, b"\x01", "64-bit"), (5, b"\x02", "no core dump"),
                                  (18, b"\xb7", "x86-64"), (54, b"\x20", "program headers"),
                                  (32, b"\xff" * 7, "ends within its headers")):
        before = spoilt(path, offset, content)
        refused(text)
        spoilt(path, offset, before)
    os.truncate(path, size - 4096)
    refused("cut off")
    os.truncate(path, 100)
    refused("ends within its headers")
    os.truncate(path, 0)
    refused("ends within its headers")
    if world.setting[2] != "anonymous":
        path = world.path("image.lime")
        save_image(world.guest, path, True)
        os.truncate(path, os.path.getsize(path) - 1)
        refused("cut off")
        spoilt(path, 16, b"\0" * 8)
        refused("no LiME header")
        spoilt(path, 0, b"\0")
        assert "Linux" in world.program.run("ps", "--dump", path, "--json").reason()


# Reasons

def check_boot(world):
    """Asked all the time while it booted: an answer, or a reason that is true then."""
    assert world.early, "nobody looked"
    reasons = set()
    for answer in world.early:
        if answer.status != 0:
            reasons.add(answer.reason())
    assert world.early[0].status == 1, "it cannot be ready at once"
    for reason in reasons:
        assert "still booting" in reason or "greeting" in reason, reasons
    return f"{len(world.early)} times, {len(reasons)} reasons"


def check_log(world):
    """Nobody inside took notice of all this."""
    facts = world.facts()
    assert facts["log_bad"] == 0 and facts["tainted"] == 0, facts["log_bad_lines"]


CHECKS = (check_boot, check_ps, check_cpu, check_top, check_tree, check_net, check_files, check_exe,
          check_modules, check_info, check_ways, check_pause, check_syscalls, check_nothing_hidden,
          check_storm, check_hidden_task, check_hidden_busy, check_hidden_module, check_dumps,
          check_bad_dumps, check_log)


class Bare:
    """A QEMU without a kernel."""

    def __init__(self, folder, *options):
        self.qmp = os.path.join(folder, "bare.qmp")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg", "-m", "64",
             "-nodefaults", "-display", "none", "-name", "bare",
             "-qmp", f"unix:{self.qmp},server=on,wait=off", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        wait_for(lambda: os.path.exists(self.qmp), 10, "the monitor's socket")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.unlink(self.qmp)


def reason_firmware(program, folder):
    for options in (("-S",), ()):
        with Bare(folder, *options) as bare:
            time.sleep(0 if options else 2)
            reason = program.run("ps", "--qmp", bare.qmp).reason()
            assert "still booting" in reason and "64-bit" in reason, reason


def reason_no_vm(program, folder):
    for where, text in ((("--qmp", f"{folder}/none"), f"{folder}/none"),
                        (("no-such-vm",), "'no-such-vm'"),
                        (("--process", os.getpid()), f"process {os.getpid()} is no QEMU"),
                        (("--process", 4194304), "process 4194304 is no QEMU"),
                        (("--dump", f"{folder}/none"), f"{folder}/none"),
                        (("--dump", folder), folder),
                        (("--dump", __file__), "Linux")):
        reason = program.run("ps", *where).reason()
        assert text in reason, reason


def reason_monitor_taken(program, folder):
    with Bare(folder, "-S") as bare, Qmp(bare.qmp):
        answer = program.run("ps", "--qmp", bare.qmp)
        assert "another is connected" in answer.reason() and answer.seconds < 10, answer.reason()


def reason_no_greeting(program, folder):
    path = os.path.join(folder, "mute")
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(path)
        mute.listen()
        answer = program.run("ps", "--qmp", path)
        assert path in answer.reason() and answer.seconds < 10, answer.reason()


def reason_not_root(program, folder):
    copy = os.path.join(folder, "atom-vmi")
    shutil.copy(program.path, copy)
    os.chmod(folder, 0o755)
    other = Program.__new__(Program)
    other.path, other.is_sanitized = copy, program.is_sanitized
    prefix = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    with Bare(folder, "-S") as bare:
        for where, text in ((("--qmp", bare.qmp), "Permission denied"),
                            (("--process", bare.process.pid), "only root"),
                            (("bare",), "only root")):
            reason = other.run("ps", *where, prefix=prefix).reason()
            assert text in reason, reason


def reason_bad_usage(program, _folder):
    for arguments in ((), ("ps",), ("ps", "a", "b"), ("nothing", "vm"), ("ps,nothing", "vm"),
                      ("ps,", "vm"), ("ps", "--qmp", "a", "--dump", "b"),
                      ("ps", "vm", "--qmp", "a"),
                      ("ps", "--process", "x"), ("ps", "--process", "0"),
                      ("ps", "vm", "--pid", "-1"), ("ps", "vm", "--budget", "5"),
                      ("ps", "vm", "--interval", "nan"), ("ps", "vm", "--what"), ("ps", "--qmp")):
        answer = program.run(*arguments)
        assert answer.status == 2 and answer.err and not answer.out, (arguments, answer.err)
    for arguments in (("--help",), ("help",), ("--version",)):
        answer = program.run(*arguments)
        assert answer.status == 0 and b"atom-vmi" in answer.out and not answer.err, arguments


REASONS = (reason_firmware, reason_no_vm, reason_monitor_taken, reason_no_greeting, reason_not_root,
           reason_bad_usage)


def check_victims(world):
    """The guest has booted, and its victims run."""
    world.wait()
    for kind in VICTIMS:
        world.victims[kind] = world.ask("spawn", kind)
    return f"booted in {world.guest.boot_seconds:.1f} s"


class Matrix:
    """The worlds, two at a time at most, in the order of their tests."""

    def __init__(self, program, folder, settings):
        self.program, self.folder, self.settings = program, folder, settings
        self.worlds = {}

    def start(self, setting):
        if setting not in self.worlds:
            self.worlds[setting] = World(self.program, self.folder, setting)
        return self.worlds[setting]

    def test(self, setting, check):
        def run():
            world = self.start(setting)
            if check is check_victims:
                for later in self.settings[self.settings.index(setting) + 1:][:1]:
                    world.wait()
                    self.start(later)
            try:
                assert world.victims or check is check_victims, "its victims do not run"
                return check(world)
            finally:
                if check is CHECKS[-1]:
                    world.stop()
                    shutil.rmtree(world.folder)
        kernel, levels, backend, vcpus, pti = setting
        return (f"{kernel} {levels} levels {backend} {vcpus} vCPUs{' PTI' if pti else ''}: "
                f"{check.__name__.partition('_')[2]}", run)

    def tests(self, wanted):
        chosen = [check for check in CHECKS if not wanted or check.__name__ in wanted]
        return [self.test(setting, check) for setting in self.settings
                for check in (check_victims, *chosen)]

    def close(self):
        for world in self.worlds.values():
            world.stop()


def main(arguments):
    if skip_reason():
        skip(skip_reason())
    program = Program(arguments[0])
    wanted = [name for name in arguments[1:] if name != "--all"]
    settings = tuple(full_matrix()) if "--all" in arguments else QUICK
    folder = tempfile.mkdtemp(prefix="atom-vmi-")
    matrix = Matrix(program, folder, settings)
    reasons = [reason for reason in REASONS if not wanted or reason.__name__ in wanted]
    tests = [(f"reason: {reason.__name__.partition('_')[2]}",
              lambda reason=reason: reason(program, folder)) for reason in reasons]
    try:
        failures = run_tests(matrix.tests(wanted) + tests)
    finally:
        matrix.close()
        shutil.rmtree(folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
