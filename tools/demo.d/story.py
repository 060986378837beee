# SPDX-License-Identifier: Apache-2.0
"""The chapters: what is normal, a flood and its end, a change of workload and its verdict."""
import json
import os
import sys
import time

from programs import TOP, epoch_seconds
from screen import DemoError, group_line

FLOODERS = ("vm2", "vm3")
SELLER = "vm2"
TARGET, TARGET_PORT = "192.168.77.1", 8080
FLOOD_SECONDS = 180     # its bound, were nobody to end it
QUIET_ROWS = 30         # between the two chapters; more than alarm.reopen
ABNORMAL_ROWS = 20      # of the change, before it is judged
LEARNED_ROWS = 45       # after the verdict, with the same load
POLICY = """\
rules:
  - vm: "vm[23]"               # the web servers
    actions: [end-process]     # all views, and this action
  # vm1, and whatever comes: may be looked into, nothing may be done to it
"""


def abnormal_columns(detail):
    return [column for column in detail["columns"] if column["abnormal"]]


def named_vms(detail):
    return {column["vm"] for column in abnormal_columns(detail)}


def judge_names(detail, wanted, screen):
    """Whether the alarm names these VMs and no other, and their traffic as going up."""
    named = named_vms(detail)
    up = {column["vm"] for column in abnormal_columns(detail)
          if column["metric"].startswith("Network") and column["direction"] == "up"}
    number = detail["id"]
    if set(wanted) - named:
        screen.wrong(f"alarm {number} does not name {', '.join(sorted(set(wanted) - named))}")
    if named - set(wanted):
        screen.wrong(f"alarm {number} also names {', '.join(sorted(named - set(wanted)))}")
    if not set(wanted) <= up:
        screen.wrong(f"alarm {number} does not show the traffic of {', '.join(wanted)} going up")


def warm_up(atom, screen, rows):
    screen.mark(f"learning what is normal: {rows} rows of 1 s, so about {rows} s ...")
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


def watch_for(atom, screen, what, seconds, found, note=lambda: ""):
    """The first true answer of `found`, while the newest row is shown."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        atom.check_running()
        group = atom.group()
        if group:
            screen.progress(f"{group_line(group)}  {note()}")
        answer = found()
        if answer:
            return answer
        time.sleep(0.25)
    raise DemoError(f"not within {seconds} s: {what}")


def new_alarm(atom, known):
    return next((alarm for alarm in atom.alarms() if alarm["id"] not in known), None)


def rows_after(atom, instant):
    """The group's rows after an instant, oldest first."""
    group = atom.group()
    body = atom.get(f"/api/v1/groups/{group['name']}?from={instant:.3f}")
    return [row for row in body["rows"] if epoch_seconds(row["time"]) > instant]


class Flood:
    """Two web servers flood; they are named, looked into, judged, ended."""

    def __init__(self, atom, bed, screen, folder):
        self.atom, self.bed, self.screen, self.folder = atom, bed, screen, folder
        self.times = {}
        self.target_file = os.path.join(folder, "target.json")
        self.earlier = set()
        self.detail = None

    def target(self):
        """What the target has seen, or None."""
        try:
            with open(self.target_file, encoding="ascii") as stream:
                return json.load(stream)
        except (OSError, ValueError):
            return None

    def play(self):
        self.begin()
        number = self.alarm_comes()
        self.look(number)
        self.judge(number)
        self.check_dead()
        self.resolved(number)

    def begin(self):
        self.earlier = {alarm["id"] for alarm in self.atom.alarms()}
        self.screen.mark(f"vm2 and vm3 are turned into flooders: a script `nightly-job` runs ab, "
                         f"an ordinary load tool, against {TARGET}:{TARGET_PORT}")
        for name in FLOODERS:
            self.bed.in_guest(name, f"nightly-job http://{TARGET}:{TARGET_PORT}/ "
                                    f"{FLOOD_SECONDS} &")
        self.times["first"] = watch_for(self.atom, self.screen, "a packet at the flood's target",
                                        20, self.target)["first"]

    def alarm_comes(self):
        alarm = watch_for(self.atom, self.screen, "an alarm", 30,
                          lambda: new_alarm(self.atom, self.earlier))
        self.times["seen"] = time.time()
        self.times["onset"] = epoch_seconds(alarm["opened"])
        self.screen.say(f"ALARM {alarm['id']}: {alarm['summary']}")
        return alarm["id"]

    def look(self, number):
        def all_answered():
            detail = self.atom.alarm(number)
            looks = detail.get("introspection", [])
            done = {look["vm"] for look in looks if look["state"] != "asked"}
            return detail if set(FLOODERS) <= done else None

        detail = watch_for(self.atom, self.screen, "looks into the flooders", 20, all_answered,
                           lambda: "looking into the VMs")
        self.times["named"] = max(epoch_seconds(look["answered"])
                                  for look in detail["introspection"]
                                  if look["vm"] in FLOODERS and look["answered"])
        self.atom.type(self.screen, "alarm", "show", str(number))
        looks = [look for look in detail["introspection"] if look["vm"] in FLOODERS]
        for look in looks:
            self.judge_look(look["vm"], look)
        if all(look.get("alike") for look in looks):
            self.screen.wrong("no flooder was looked into as a whole")

    def judge_look(self, name, look):
        """Whether it names the load tool, and, unless the VM was only checked for what another
        one showed, the script that started it and where it sends."""
        suspects = look.get("suspects") or [{"command": "nobody", "parents": []}]
        parents = [parent["command"] for parent in suspects[0].get("parents", [])]
        if suspects[0]["command"] != "ab":
            self.screen.wrong(f"the first suspect in {name} is {suspects[0]['command']}, not ab")
        if look.get("alike"):
            return
        if parents[:1] != ["nightly-job"]:
            self.screen.wrong(f"ab in {name} is not shown as a child of nightly-job")
        if not any(pattern["name"] == "possible flood" and pattern.get("peer") == TARGET
                   and pattern.get("port") == TARGET_PORT for pattern in look["patterns"]):
            self.screen.wrong(f"the look into {name} does not name the target of a flood")

    def judge(self, number):
        """The dry run, then the verdict, as an operator types them."""
        if self.atom.type(self.screen, "alarm", "malicious", str(number), "--dry-run") != 0:
            self.screen.wrong("the dry run did not succeed")
        before = self.target()["requests"]
        time.sleep(1)
        if self.target()["requests"] == before:
            self.screen.wrong("the flood ended with the dry run")
        self.times["verdict"] = time.time()
        self.screen.mark("the operator judges: malicious")
        if self.atom.type(self.screen, "alarm", "malicious", str(number), "--yes", "--note",
                          "nobody of us made this job", show_from=f"alarm {number} has") != 0:
            self.screen.wrong("the verdict was not carried out")

    def check_dead(self):
        ends = {}
        for action in self.atom.get("/api/v1/actions")["actions"]:
            if action["dry_run"] or action["kind"] != "end-process":
                continue
            ends[action["vm"]] = action
            if action["state"] != "done":
                self.screen.wrong(f"action {action['id']} on {action['vm']} is {action['state']}: "
                                  f"{action['reason']}")
            elif not action["effective"]:
                self.screen.wrong(f"action {action['id']} is not verified: "
                                  f"{action['verified'] or 'no second look'}")
        for name in FLOODERS:
            if name not in ends:
                self.screen.wrong(f"nothing was ended in {name}")
        if ends and all(action["ended"] for action in ends.values()):
            self.times["dead"] = max(epoch_seconds(action["ended"]) for action in ends.values())

    def resolved(self, number):
        def closed():
            detail = self.atom.alarm(number)
            return detail if detail["closed"] else None

        self.detail = watch_for(self.atom, self.screen, f"alarm {number} closes", 60, closed,
                                lambda: "waiting for normal rows")
        seen = self.target()
        self.times["closed"] = epoch_seconds(self.detail["closed"])
        self.times["last"], self.times["requests"] = seen["newest"], seen["requests"]
        self.screen.say(f"alarm {number} is resolved as {self.detail['state']}: level "
                        f"{self.detail['level']}, peak SPE {self.detail['spe_peak']:.0f}")
        if self.detail["state"] != "malicious":
            self.screen.wrong(f"alarm {number} is {self.detail['state']}, not malicious")
        if seen["newest"] > self.times.get("dead", 0) + 1:
            self.screen.wrong("the target saw requests after the end of the flooders")
        judge_names(self.detail, FLOODERS, self.screen)


class Sale:
    """A legitimate change of workload: alarmed, judged normal, alarmed no more."""

    def __init__(self, atom, bed, screen, load):
        self.atom, self.bed, self.screen, self.load = atom, bed, screen, load
        self.times = {}
        self.after = {}
        self.detail = None

    def play(self):
        self.wait_quiet()
        number = self.begin()
        self.judge(number)
        self.stay()
        self.detail = self.atom.alarm(number)
        judge_names(self.detail, (SELLER,), self.screen)
        if self.detail["state"] != "normal":
            self.screen.wrong(f"alarm {number} is {self.detail['state']}, not normal")

    def wait_quiet(self):
        begin = time.time()
        self.screen.mark(f"ordinary load alone again, for {QUIET_ROWS} rows")
        watch_for(self.atom, self.screen, "quiet rows", QUIET_ROWS + 60,
                  lambda: len(rows_after(self.atom, begin)) >= QUIET_ROWS
                  and not self.atom.group()["alarm"])

    def begin(self):
        known = {alarm["id"] for alarm in self.atom.alarms()}
        self.screen.mark(f"a sale begins on {SELLER}: three times as many requests, for larger "
                         "pages, and orders that are written to disk")
        self.load.sell()
        self.times["begin"] = time.time()
        alarm = watch_for(self.atom, self.screen, "an alarm of the change", 40,
                          lambda: new_alarm(self.atom, known))
        self.times["seen"] = time.time()
        self.screen.say(f"ALARM {alarm['id']}: {alarm['summary']}")
        watch_for(self.atom, self.screen, f"{ABNORMAL_ROWS} abnormal rows", 90,
                  lambda: self.atom.alarm(alarm["id"])["level"] >= ABNORMAL_ROWS,
                  lambda: f"of {ABNORMAL_ROWS} rows to learn: "
                          f"{self.atom.alarm(alarm['id'])['level']}")
        return alarm["id"]

    def judge(self, number):
        self.atom.type(self.screen, "alarm", "show", str(number))
        self.after["level"] = self.atom.alarm(number)["level"]
        self.screen.mark("the operator judges: normal")
        if self.atom.type(self.screen, "alarm", "normal", str(number), "--yes", "--note",
                          "the sale that marketing announced") != 0:
            self.screen.wrong("the verdict was not taken")
        self.times["verdict"] = time.time()

    def stay(self):
        """The same load, and no alarm."""
        rows = watch_for(self.atom, self.screen, "rows after the verdict", LEARNED_ROWS + 60,
                         self.enough, lambda: f"the same load, {LEARNED_ROWS} rows")
        abnormal = [row for row in rows if row["state"] in ("abnormal", "shifted")]
        ratios = sorted(row["spe"] / row["q"] for row in rows if row["spe"] is not None)
        self.after.update(rows=len(rows), abnormal=len(abnormal), highest=ratios[-1],
                          median=ratios[len(ratios) // 2])
        self.screen.say(f"{len(rows)} rows of the same load: {len(abnormal)} abnormal, "
                        f"SPE/Q median {self.after['median']:.2f}, highest {ratios[-1]:.2f}")
        if self.atom.group()["alarm"] or \
                any(epoch_seconds(alarm["opened"]) > self.times["verdict"]
                    for alarm in self.atom.alarms()):
            self.screen.wrong("the load that was judged normal is alarmed again")

    def enough(self):
        rows = rows_after(self.atom, self.times["verdict"])
        return rows if len(rows) >= LEARNED_ROWS else None


class Load:
    """Ordinary web load on vm2 and vm3 from the namespace, and small disk work inside them."""

    def __init__(self, bed):
        self.bed = bed
        self.children = {}

    def web(self, number, rate, pages, in_flight):
        urls = ",".join(f"http://192.168.77.{10 + number}/{page}" for page in pages)
        self.children[number] = self.bed.start(
            sys.executable, os.path.join(TOP, "tools", "bed.d", "webload"), "1200", str(rate),
            urls, str(in_flight), str(number), log=f"webload-vm{number}-{rate}.log")

    def start(self):
        for number, name in ((2, "vm2"), (3, "vm3")):
            self.web(number, 6, ("8k", "64k"), 8)
            self.bed.in_guest(name, "atom-disk-work 1200 &")

    def sell(self):
        """Three times the rate, larger pages, and orders that must be on the disk."""
        self.bed.end(self.children[2])
        self.web(2, 18, ("64k", "160k"), 24)
        self.bed.in_guest(SELLER, "shop-orders 1200 &")
