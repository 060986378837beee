#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job, watched: three real guests, ordinary load, a flood, the alarm, and its end.

Called by tools/demo after the programs are built. Exits 0 when the alarm came, named the right VMs and
cleared after the flood; 1 when not; 2 when the demonstration could not be set up.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BED = os.path.join(TOP, "tools", "bed")
WINDOW_ROWS = 120
FLOOD_SECONDS = 30
FLOODERS = ("vm2", "vm3")
TARGET = "192.168.77.1"
TARGET_PORT = 8080


class DemoError(Exception):
    """The demonstration cannot go on; the text says why."""


class Screen:
    """Lines for a person: time since the start, what happens, and one line that is drawn over."""

    def __init__(self):
        self.start = time.monotonic()
        self.live = sys.stdout.isatty()
        self.open_line = False
        self.last_note = 0.0

    def stamp(self):
        seconds = int(time.monotonic() - self.start)
        return f"[{seconds // 60}:{seconds % 60:02d}]"

    def say(self, text):
        if self.open_line:
            print()
            self.open_line = False
        print(f"{self.stamp()} {text}", flush=True)

    def block(self, text):
        for line in text.rstrip("\n").splitlines():
            print(f"       {line}")
        sys.stdout.flush()

    def progress(self, text):
        """Drawn over on a terminal; a line every ten seconds elsewhere."""
        if self.live:
            print(f"\r\033[K{self.stamp()} {text}", end="", flush=True)
            self.open_line = True
        elif time.monotonic() - self.last_note >= 10:
            self.last_note = time.monotonic()
            print(f"{self.stamp()} {text}", flush=True)


class Atom:
    """`atom up` in a folder of its own, and its HTTP API."""

    def __init__(self, build, folder, hypervisor, settings):
        self.program = os.path.join(build, "src", "ctl", "atom")
        self.folder = folder
        self.log = os.path.join(folder, "atom.log")
        self.port = free_port()
        arguments = [self.program, "up", "--dir", folder, "--hypervisor", hypervisor,
                     "--http-port", str(self.port), "--bus-port", str(free_port()),
                     "--interval", "1s", "--log-file", self.log]
        for setting in settings:
            arguments += ["--set", setting]
        with open(os.path.join(folder, "up.log"), "wb") as output:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT)

    def get(self, path):
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def try_get(self, path):
        try:
            return self.get(path)
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def command(self, *arguments):
        """What the command line prints: shown to the person as it is."""
        url = f"http://127.0.0.1:{self.port}"
        done = subprocess.run([self.program, "--server", url, *arguments], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20,
                              check=False)
        return done.stdout

    def check_running(self):
        if self.process.poll() is not None:
            raise DemoError(f"atom up ended with status {self.process.returncode}; see "
                            f"{self.folder}/up.log and {self.log}")

    def wait_ready(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check_running()
            status = self.try_get("/api/v1/status")
            if status and status["nodes_connected"] > 0:
                return
            time.sleep(0.2)
        raise DemoError(f"the node did not connect within {seconds} s; see {self.log}")

    def group(self):
        groups = (self.try_get("/api/v1/groups") or {}).get("groups", [])
        return groups[0] if groups else None

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Bed:
    """Three guests under a libvirt of their own in a network namespace of their own (tools/bed)."""

    def __init__(self, folder, screen):
        self.folder = folder
        self.screen = screen
        self.children = []

    def run(self, *arguments, timeout=300):
        done = subprocess.run([BED, *arguments], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                              check=False)
        if done.returncode != 0:
            raise DemoError(f"tools/bed {arguments[0]} failed:\n{done.stdout}")
        return done.stdout.strip()

    def start(self, *command, log):
        """A program inside the namespace, ended with the demonstration."""
        with open(os.path.join(self.folder, log), "wb") as output:
            child = subprocess.Popen([BED, "exec", self.folder, *command],
                                     stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=subprocess.STDOUT, start_new_session=True)
        self.children.append(child)
        return child

    def up(self, accelerator):
        self.screen.say("making a network namespace, a bridge and a libvirt of our own "
                        "(about 10 s) ...")
        self.run("up", self.folder)
        for number in (1, 2, 3):
            self.screen.say(f"starting guest vm{number} ...")
            text = self.run("vm-start", self.folder, f"vm{number}", str(number), *accelerator)
            self.screen.block(text)
        for number in (1, 2, 3):
            self.screen.progress(f"waiting for vm{number} to boot (10 to 60 s in all) ...")
            self.run("vm-wait", self.folder, f"vm{number}")
        self.screen.say("all three guests run")

    def in_guest(self, name, command):
        self.run("vm-cmd", self.folder, name, command)

    def uri(self):
        return self.run("uri", self.folder)

    def stop(self):
        for child in self.children:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        subprocess.run([BED, "down", self.folder], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
                       check=False)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def epoch_seconds(text):
    """Seconds since 1970 of an API time."""
    head, _, fraction = text.rstrip("Z").partition(".")
    whole = time.strptime(head, "%Y-%m-%dT%H:%M:%S")
    import calendar
    return calendar.timegm(whole) + float(f"0.{fraction or 0}")


def spe_bar(spe, q, width=24):
    """SPE against Q as a bar: a full half is Q."""
    if spe is None or not q:
        return ""
    filled = min(width, round(width / 2 * spe / q))
    bar = "#" * filled + "." * (width - filled)
    return f"[{bar[:width // 2]}|{bar[width // 2:]}]"


def group_line(group):
    spe, q = group.get("spe"), group.get("q")
    if spe is None or q is None:
        return f"learning: {group['window_rows']} rows"
    return f"SPE {spe:8.1f}  Q {q:7.1f}  {spe_bar(spe, q)} {group['state']}"


def newest_alarm(atom, since):
    """The newest alarm opened at or after `since` (seconds since 1970), or None."""
    alarms = (atom.try_get("/api/v1/alarms") or {}).get("alarms", [])
    for alarm in alarms:
        if epoch_seconds(alarm["opened"]) >= since:
            return alarm
    return None


def abnormal_columns(detail):
    return [column for column in detail["columns"] if column["abnormal"]]


def judge(detail, screen):
    """Whether the alarm names the flooding VMs and no other; says what is wrong."""
    columns = abnormal_columns(detail)
    named = {column["vm"] for column in columns}
    missing = set(FLOODERS) - named
    wrong = named - set(FLOODERS)
    up = {column["vm"] for column in columns
          if column["metric"].startswith("Network") and column["direction"] == "up"}
    if missing:
        screen.say(f"WRONG: the alarm does not name {', '.join(sorted(missing))}")
    if wrong:
        screen.say(f"WRONG: the alarm also names {', '.join(sorted(wrong))}")
    if not set(FLOODERS) <= up:
        screen.say("WRONG: the flooders' network traffic is not shown as going up")
    return not missing and not wrong and set(FLOODERS) <= up


def warm_up(atom, screen, rows):
    screen.say(f"learning what is normal: {rows} rows of 1 s, so about {rows} s ...")
    while True:
        atom.check_running()
        group = atom.group()
        if group:
            status = atom.get("/api/v1/status")
            screen.progress(f"row {group['window_rows']:3d}/{rows}  values saved "
                            f"{status['values_saved_percent'] or 0:4.1f} %  {group_line(group)}")
            if group["window_rows"] >= rows and not group["alarm"] and group["state"] == "normal":
                return
        time.sleep(1)


def watch_for_alarm(atom, screen, since, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        atom.check_running()
        group = atom.group()
        if group:
            screen.progress(group_line(group))
        alarm = newest_alarm(atom, since)
        if alarm:
            return alarm
        time.sleep(0.25)
    raise DemoError(f"no alarm within {seconds} s of the flood")


def watch_for_clear(atom, screen, number, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        atom.check_running()
        detail = atom.get(f"/api/v1/alarms/{number}")
        group = atom.group()
        if group:
            screen.progress(f"{group_line(group)}  alarm level {detail['level']}")
        if detail["closed"]:
            return detail
        time.sleep(0.5)
    raise DemoError(f"alarm {number} did not clear within {seconds} s")


def first_packet(folder, seconds):
    """When the target saw the first flood connection (it writes the instant to a file)."""
    deadline = time.monotonic() + seconds
    path = os.path.join(folder, "first-packet")
    while time.monotonic() < deadline:
        try:
            with open(path, encoding="ascii") as stream:
                return float(stream.read())
        except (OSError, ValueError):
            time.sleep(0.1)
    raise DemoError("the flood did not reach its target")


def wait_for_looks(atom, screen, number, seconds):
    """Until the VMs that the alarm names were looked into; returns the alarm, and the instant of the first suspect."""
    deadline = time.monotonic() + seconds
    while True:
        detail = atom.get(f"/api/v1/alarms/{number}")
        looks = detail.get("introspection", [])
        if time.monotonic() > deadline or (len(looks) >= len(FLOODERS) and all(look["state"] != "asked" for look in looks)):
            break
        group = atom.group()
        if group:
            screen.progress(f"{group_line(group)}  looking into {', '.join(look['vm'] for look in looks)}")
        time.sleep(0.25)
    named = [epoch_seconds(look["answered"]) for look in looks if look.get("suspects")]
    return detail, min(named, default=None)


def judge_looks(detail, screen):
    """Whether the flooding script was named inside a flooding VM."""
    for look in detail.get("introspection", []):
        commands = [suspect["command"] for suspect in look.get("suspects", [])[:5]]
        if look["vm"] in FLOODERS and "atom-flood" in commands:
            return True
    screen.say("WRONG: the flooding process is not among the first suspects")
    return False


def show_alarm(atom, screen, alarm):
    screen.say(f"ALARM {alarm['id']}: {alarm['summary']}")
    screen.block(atom.command("alarm", "show", str(alarm["id"])))


def closing(atom, screen, folder, facts):
    status = atom.get("/api/v1/status")
    screen.say("what ATOM knew, and what it cost:")
    screen.block(atom.command("metric", "vm2"))
    screen.say(f"samples {status['samples']}, values sent {status['values_received']}, saved "
               f"{status['values_saved_percent']:.1f} %, "
               f"{status['bytes_received']} bytes in all, looks included")
    for name, value in facts.items():
        screen.say(f"{name}: {value}")
    screen.say(f"logs: {atom.log}; store: {os.path.join(folder, 'atom.db')}")


def start_ordinary_load(bed):
    """Web load on vm2 and vm3 from the namespace, and small disk work inside them."""
    for number, name in ((2, "vm2"), (3, "vm3")):
        urls = ",".join(f"http://192.168.77.{10 + number}/{page}" for page in ("8k", "64k"))
        bed.start(sys.executable, os.path.join(TOP, "tools", "bed.d", "webload"), "900", "6", urls,
                  "8", str(number), log=f"webload-{name}.log")
        bed.in_guest(name, "atom-disk-work 900 &")


def run_guests(options, folder, screen):
    bed = Bed(folder, screen)
    atom = None
    try:
        bed.up([options.accelerator] if options.accelerator else [])
        bed.start(sys.executable, os.path.join(HERE, "target.py"), TARGET, str(TARGET_PORT),
                  os.path.join(folder, "first-packet"), log="target.log")
        start_ordinary_load(bed)
        screen.say("ordinary web load on vm2 and vm3; vm1 is idle")
        atom = Atom(options.build, folder, bed.uri(), [
            f"atomd.detect.window_rows={WINDOW_ROWS}", "atomd.detect.unlock_rows=90"])
        atom.wait_ready(30)
        screen.say(f"atomd and atom-node run; API on http://127.0.0.1:{atom.port}")
        warm_up(atom, screen, WINDOW_ROWS)
        screen.block(atom.command("vm", "list"))
        since = time.time()
        screen.say(f"vm2 and vm3 now flood {TARGET}:{TARGET_PORT} for {FLOOD_SECONDS} s ...")
        for name in FLOODERS:
            bed.in_guest(name, f"atom-flood http://{TARGET}:{TARGET_PORT}/ {FLOOD_SECONDS} 4 &")
        first = first_packet(folder, 20)
        alarm = watch_for_alarm(atom, screen, since, 30)
        seen = time.time()
        time.sleep(3)  # a few more rows make the names firm
        detail, named = wait_for_looks(atom, screen, alarm["id"], 15)
        show_alarm(atom, screen, detail)
        good = judge(detail, screen)
        good = judge_looks(detail, screen) and good
        screen.say("waiting for the flood to stop and the alarm to clear "
                   f"(about {FLOOD_SECONDS + 5} s) ...")
        cleared = watch_for_clear(atom, screen, alarm["id"], FLOOD_SECONDS + 60)
        screen.say(f"alarm {alarm['id']} is {cleared['state']}: level {cleared['level']}, "
                   f"peak SPE {cleared['spe_peak']:.0f}")
        closing(atom, screen, folder, {
            "first flood packet to onset row":
                f"{epoch_seconds(alarm['opened']) - first:.1f} s",
            "first flood packet to the alarm seen here": f"{seen - first:.1f} s",
            "first flood packet to the first suspect": f"{named - first:.1f} s" if named else "-",
            "named": "; ".join(f"{c['vm']} {c['metric']} {c['direction']}"
                               for c in abnormal_columns(detail))})
        return good and cleared["state"] == "cleared"
    finally:
        if atom:
            atom.stop()
        bed.stop()


def run_trace(options, folder, screen):
    """The same on a recording, where no network namespace can be made."""
    trace = os.path.join(TOP, "tests", "data", "ci2min.csv")
    screen.say(f"replaying a recording of the same three guests: {os.path.relpath(trace, TOP)}")
    atom = Atom(options.build, folder, f"trace:{trace}", [
        "atomd.detect.window_rows=60", "atomd.detect.unlock_rows=40", "node.hypervisor.speed=4",
        "node.hypervisor.start=now"])
    try:
        atom.wait_ready(30)
        screen.say("105 rows at four times the recorded speed: about 30 s ...")
        since = time.time() - 1
        alarm = watch_for_alarm(atom, screen, since, 60)
        time.sleep(2)
        detail = atom.get(f"/api/v1/alarms/{alarm['id']}")
        show_alarm(atom, screen, detail)
        good = judge(detail, screen)
        cleared = watch_for_clear(atom, screen, alarm["id"], 60)
        screen.say(f"alarm {alarm['id']} is {cleared['state']}")
        closing(atom, screen, folder, {})
        return good and cleared["state"] == "cleared"
    finally:
        atom.stop()


def namespaces_work():
    name = f"atom-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False)
    if made.returncode != 0:
        return False
    subprocess.run(["ip", "netns", "del", name], check=False)
    return os.path.exists("/dev/net/tun")


def main():
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__)
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--dir", help="where logs and store go")
    parser.add_argument("--recorded", action="store_true", help="replay a recording, no guests")
    parser.add_argument("--kvm", dest="accelerator", action="store_const", const="--kvm")
    parser.add_argument("--tcg", dest="accelerator", action="store_const", const="--tcg")
    options = parser.parse_args()
    screen = Screen()
    folder = options.dir or os.path.join(options.build, "demo")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    try:
        if options.recorded:
            good = run_trace(options, folder, screen)
        elif not namespaces_work():
            screen.say("no network namespace with taps can be made here (needs root and "
                       "/dev/net/tun), so no guests")
            good = run_trace(options, folder, screen)
        else:
            good = run_guests(options, folder, screen)
    except (DemoError, subprocess.SubprocessError, OSError) as problem:
        screen.say(f"the demonstration failed: {problem}")
        screen.say(f"logs are in {folder}")
        return 1
    except KeyboardInterrupt:
        screen.say("stopped")
        return 2
    screen.say("the alarm came, named the right VMs, and cleared" if good
               else "FAILED: see the lines marked WRONG above")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
