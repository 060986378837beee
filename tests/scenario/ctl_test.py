#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The operator's command line for verdicts, actions, the audit log and tokens, against a stand-in for the API (api_stand_in.py)."""
import hashlib
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import threading
import time

from api_stand_in import TIME, StandIn, audit
from harness import main, wait_for

ESCAPE = "\033"


def stand_in(world):
    """The API; nothing of who runs the test counts."""
    for name in ("ATOM_TOKEN", "ATOM_SERVER", "ATOM_CA", "XDG_CONFIG_HOME"):
        os.environ.pop(name, None)
    os.environ["HOME"] = world.folder
    api = StandIn()
    world.http_port = api.port
    return api


def bearing(world, token, *arguments, status=0):
    """Runs atom with this in ATOM_TOKEN, or with nothing there. Returns what was printed."""
    env = {name: value for name, value in os.environ.items() if name != "ATOM_TOKEN"}
    done = subprocess.run([world.program("atom"), "--server", f"http://127.0.0.1:{world.http_port}", *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False,
                          env={**env, "ATOM_TOKEN": token} if token else env)
    assert done.returncode == status, f"atom {arguments}: {done.returncode}\n{done.stdout}"
    return done.stdout


def at_terminal(world, answer, *arguments):
    """Runs atom on a terminal and answers its question. Returns status and what was shown."""
    master, slave = pty.openpty()
    process = subprocess.Popen([world.program("atom"), "--server", f"http://127.0.0.1:{world.http_port}", *arguments],
                               stdin=slave, stdout=slave, stderr=slave)
    world.processes.append(process)
    os.close(slave)
    shown, asked = b"", False
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        if b"[y/N]" in shown and not asked:  # what is typed before does not count
            asked = True
            time.sleep(0.1)
            os.write(master, answer.encode())
    os.close(master)
    return process.wait(30), shown.decode()


# Alarms

def test_alarm_show_tells_verdict_notes_and_actions(world):
    api = stand_in(world)
    api.alarm["notes"] = [{"time": TIME, "by": "bert", "text": "I look into it"}]
    world.atom("alarm", "malicious", "7", "--vm", "vm2", "--yes")
    text = world.atom("alarm", "show", "7")
    for part in ("verdict: malicious, by anna", "note of bert", "I look into it", "ab -c 64", "child of sh 101 < init 1",
                 "together: possible flood"):
        assert part in text, (part, text)
    assert re.search(r"2 +10:36:41|2 +11-24 10:36", text) and "end-process" in text and "is gone" in text, text
    assert ", dry" not in text, text
    assert json.loads(world.atom("alarm", "show", "7", "--json"))["verdict"]["verdict"] == "malicious"
    assert "is no number of an alarm" in world.atom("alarm", "show", "seven", status=2)


def test_nothing_from_elsewhere_moves_the_cursor(world):
    """Each text of every answer is hostile."""
    api = stand_in(world)

    def poison(value):
        if isinstance(value, dict):
            return {key: poison(item) if key not in ("uuid", "time", "state", "kind", "made") else item
                    for key, item in value.items()}
        if isinstance(value, list):
            return [poison(item) for item in value]
        return value + ESCAPE + "[2J\x9b\u202e\r\n" if isinstance(value, str) else value

    world.atom("alarm", "malicious", "7", "--yes")
    world.atom("act", "contain", "vm1", "10.0.0.9", "--yes")
    api.alarm["introspection"][0]["alike"] = "vm3"
    api.alarm, api.actions = poison(api.alarm), {key: poison(value) for key, value in api.actions.items()}
    api.events = [poison({"id": 1, "alarm": 7, "time": TIME, "event": "opened", "text": "x"})]
    api.records = [poison(record) for record in audit(2)]
    for command in (("alarm", "show", "7"), ("alarm",), ("act",), ("act", "show", "3"), ("audit",), ("alarm", "show", "7", "--json"),
                    ("act", "--json"), ("alarm", "malicious", "7", "--dry-run")):
        text = world.atom(*command)
        assert ESCAPE not in text and "\x9b" not in text and "\u202e" not in text and "\r" not in text, (command, text)


def test_note(world):
    api = stand_in(world)
    assert "noted" in world.atom("alarm", "note", "7", "the", "new", "backup", "job")
    assert api.posted("/api/v1/alarms/7/notes") == [{"text": "the new backup job"}]
    world.atom("alarm", "note", "7", status=2)
    assert "there is no /api/v1/alarms/8" in world.atom("alarm", "note", "8", "x", status=1)


def test_normal_asks_first(world):
    api = stand_in(world)
    assert "there is no terminal" in world.atom("alarm", "normal", "7", status=1)
    status, text = at_terminal(world, "n\n", "alarm", "normal", "7")
    assert status == 3 and "become part of what is normal" in re.sub(r"\s+", " ", text) and "Nothing is done" in text, text
    assert not api.posted("/api/v1/alarms/7/verdict")
    status, text = at_terminal(world, "y\n", "alarm", "normal", "7", "--note", "backup")
    assert status == 0 and "has the verdict normal" in text, text
    assert api.posted("/api/v1/alarms/7/verdict") == [{"verdict": "normal", "note": "backup"}]
    assert "already" in world.atom("alarm", "normal", "7", "--yes", status=1)


# Malicious

def test_malicious_rehearses_asks_and_acts(world):
    api = stand_in(world)
    status, text = at_terminal(world, "y\n", "alarm", "malicious", "7", "--note", "a flood")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert status == 0, text
    for part in ("ATOM suspects ab (pid 214", "ab -c 64", "0xffff888003a41b40", "2 words of the guest's memory would be written",
                 "end process 214 (ab) of vm2 and end process 180 (ab) of vm3? [y/N]", "is gone"):
        assert part in plain, (part, plain)
    assert [order["pid"] for order in api.orders(True)] == [214, 180]
    orders = api.orders(False)
    assert [(order["pid"], order["start_nsec"], order["command"], order["vm"]) for order in orders] == [
        (214, 5000000214, "ab", "uuid-vm2"), (180, 5000000180, "ab", "uuid-vm3")], orders
    assert all(order["alarm"] == 7 for order in orders), orders
    posts = [path for method, path, body in api.asked if method == "POST" and not (body or {}).get("dry_run")]
    assert posts == ["/api/v1/alarms/7/verdict", "/api/v1/actions", "/api/v1/actions"], posts
    assert api.posted("/api/v1/alarms/7/verdict") == [{"verdict": "malicious", "note": "a flood"}]


def test_malicious_stops_where_it_must(world):
    api = stand_in(world)
    assert "there is no terminal" in world.atom("alarm", "malicious", "7", status=1)
    assert at_terminal(world, "\n", "alarm", "malicious", "7")[0] == 3
    assert "0xffff888003a41b40" in world.atom("alarm", "malicious", "7", "--dry-run")
    assert len(json.loads(world.atom("alarm", "malicious", "7", "--dry-run", "--json"))["dry_runs"]) == 2
    assert "it needs --yes or --dry-run" in world.atom("alarm", "malicious", "7", "--json", status=2)
    assert "--process needs --vm" in world.atom("alarm", "malicious", "7", "--process", "214", "--yes", status=2)
    api.outcome = lambda action: ("refused", "the policy of host-a does not allow end-process")
    text = world.atom("alarm", "malicious", "7", "--yes", status=1)
    assert "the policy of host-a" in text and "nothing of this can be done" in text, text
    for look in api.alarm["introspection"]:
        look["suspects"] = []
    assert "no process is suspected" in world.atom("alarm", "malicious", "7", "--yes", status=1)
    assert not api.orders(False) and not api.posted("/api/v1/alarms/7/verdict"), api.asked


def test_malicious_of_a_named_process(world):
    """It is not suspected: who it is comes from the dry run."""
    api = stand_in(world)
    world.atom("alarm", "malicious", "7", "--vm", "vm3", "--process", "999", "--process", "180", "--evidence", "--yes")
    assert api.orders(True)[0] == {"kind": "end-process", "vm": "uuid-vm3", "alarm": 7, "pid": 999, "dry_run": True}
    orders = api.orders(False)
    assert orders[0] == {"kind": "end-process", "vm": "uuid-vm3", "alarm": 7, "pid": 999, "start_nsec": 5000000999, "command": "ab",
                         "dry_run": False, "evidence": True}, orders
    assert orders[1]["pid"] == 180, orders


def test_malicious_contains_too(world):
    api = stand_in(world)
    world.atom("alarm", "malicious", "7", "--vm", "uuid-vm2", "--contain", "10.0.0.9,5", "--for", "2h", "--yes")
    contained = [order for order in api.orders(False) if order["kind"] == "contain"]
    assert contained == [{"kind": "contain", "vm": "uuid-vm2", "alarm": 7, "peer": "10.0.0.9", "rate": 5, "expiry_seconds": 7200,
                          "dry_run": False}], contained
    assert "--for" in world.atom("alarm", "malicious", "7", "--contain", "10.0.0.9", "--for", "8d", "--yes", status=2)
    assert "--rate" in world.atom("alarm", "malicious", "7", "--contain", "10.0.0.9,many", "--yes", status=2)


def test_malicious_says_what_did_not_work(world):
    api = stand_in(world)
    api.outcome = lambda action: (("failed", "QEMU did not answer") if action["vm"] == "vm3" and not action["dry_run"] else
                                  ("done", "fine"))
    text = world.atom("alarm", "malicious", "7", "--yes", status=1)
    assert "end process 214 (ab) of vm2: done" in text and "end process 180 (ab) of vm3: failed" in text, text
    assert "QEMU did not answer" in text, text
    api.outcome = lambda action: ("done", "fine")
    world.atom("alarm", "malicious", "7", "--yes")
    assert len(api.posted("/api/v1/alarms/7/verdict")) == 1, "the verdict is there already"


def test_malicious_only_as_a_verdict(world):
    api = stand_in(world)
    world.atom("alarm", "malicious", "7", "--only-verdict", "--yes")
    assert api.posted("/api/v1/alarms/7/verdict") == [{"verdict": "malicious"}] and not api.actions


def test_a_restart_of_the_controller_meanwhile(world):
    api = stand_in(world)

    def restart():
        wait_for(lambda: api.orders(False), 20, "an order")
        api.stop()
        time.sleep(1)
        api.start()

    thread = threading.Thread(target=restart)
    thread.start()
    assert "is gone" in world.atom("alarm", "malicious", "7", "--vm", "vm2", "--yes")
    thread.join()


# Actions

def test_act_of_each_kind(world):
    api = stand_in(world)
    world.atom("act", "end", "vm2", "214", "--yes", "--alarm", "7")
    world.atom("act", "contain", "vm2", "2001:db8::9", "--address", "2001:db8::2", "--for", "90s", "--evidence", "--note", "a flood",
               "--alarm", "7", "--yes")
    number = str(len(api.actions))
    world.atom("act", "release", number, "--yes")
    for kind in ("pause", "resume", "snapshot"):
        world.atom("act", kind, "vm2", "--yes")
    wanted = [{"kind": "end-process", "vm": "vm2", "alarm": 7, "pid": 214, "start_nsec": 5000000214, "command": "ab"},
              {"kind": "contain", "vm": "vm2", "alarm": 7, "peer": "2001:db8::9", "address": "2001:db8::2", "rate": 0, "expiry_seconds": 90,
               "evidence": True, "why": "a flood"},
              {"kind": "release", "vm": "uuid-vm2", "undoes": int(number)},
              {"kind": "pause", "vm": "vm2"}, {"kind": "resume", "vm": "vm2"}, {"kind": "snapshot", "vm": "vm2"}]
    assert api.orders(False) == [{**order, "dry_run": False} for order in wanted], api.orders(False)
    assert len(api.orders(True)) == 1, "with --yes only a process without its identity is rehearsed"
    text = world.atom("act")
    assert "2001:db8::9" in text and "214 ab" in text, text
    assert "/var/lib/atom/evidence/vm2.elf" in world.atom("act", "show", str(len(api.actions)))
    assert len(json.loads(world.atom("act", "list", "--alarm", "7", "--json"))["actions"]) == 3


def test_act_asks_and_refuses(world):
    api = stand_in(world)
    status, text = at_terminal(world, "no\n", "act", "contain", "vm2", "10.0.0.9", "--rate", "5")
    assert status == 3 and "drop" in text and "for 10 min" in text and "5 new connections a second" in text, text
    assert "there is no terminal" in world.atom("act", "pause", "vm2", status=1)
    assert "no VM is called 'vm9'" in world.atom("act", "pause", "vm9", "--yes", status=1)
    world.atom("act", "pause", "vm2", "--dry-run")
    for arguments in (("end", "vm2", "0"), ("end", "vm2", "4294967296"), ("end", "vm2"), ("contain", "vm2"),
                      ("contain", "vm2", "10.0.0.9", "--rate", "-1"), ("contain", "vm2", "10.0.0.9", "--for", "soon"),
                      ("release", "x"), ("pause", "vm2", "--for", "1h"), ("explode", "vm2")):
        world.atom("act", *arguments, "--yes", status=2)
    assert all(action["dry_run"] for action in api.actions.values()), api.actions
    world.atom("act", "pause", "vm2", "--yes")
    assert "contains nothing" in world.atom("act", "release", "4", "--yes", status=1), api.actions
    assert "only an announced one" in world.atom("act", "veto", "4", status=1)
    api.actions[4]["state"] = "announced"
    assert "vetoed" in world.atom("act", "veto", "4")
    assert "there is no action 99" in world.atom("act", "show", "99", status=1)


def test_a_sleeper_is_reported_as_one(world):
    api = stand_in(world)
    api.outcome = lambda action: ("done", "") if action["dry_run"] else ("pending", "it sleeps where nothing wakes it")
    api.verified = None

    def verify():
        wait_for(lambda: any(action["state"] == "pending" for action in api.actions.values()), 20, "it is pending")
        for action in api.actions.values():
            action["verified"] = None if action["dry_run"] else "still there"

    thread = threading.Thread(target=verify)
    thread.start()
    text = world.atom("act", "end", "vm2", "214", "--yes", status=1)
    thread.join()
    assert ": pending" in text and "nothing wakes it" in text and "still there" in text, text


# Events

def test_watch_follows_over_a_restart(world):
    api = stand_in(world)
    api.events = [{"id": number, "alarm": 7, "time": TIME, "event": "opened", "text": f"event {number}"} for number in range(1, 31)]
    with open(world.path("watch.out"), "wb") as output:
        process = subprocess.Popen([world.program("atom"), "--server", f"http://127.0.0.1:{api.port}", "alarm", "watch"],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    world.processes.append(process)
    wait_for(lambda: "event 30" in world.log("watch.out"), 10, "the newest events")
    assert "event 20\n" not in world.log("watch.out") and "event 21\n" in world.log("watch.out")
    api.stop()
    wait_for(lambda: "does not answer" in world.log("watch.out"), 10, "it says that nobody answers")
    time.sleep(1.2)
    api.events.append({"id": 31, "alarm": 8, "time": TIME, "event": "cleared", "text": "event 31"})
    api.start()
    wait_for(lambda: "event 31" in world.log("watch.out"), 10, "the event of after the restart")
    assert world.kill(process, signal.SIGINT) == 0
    text = world.log("watch.out")
    assert text.count("does not answer") == 1 and text.count("answers again") == 1 and text.count("event 30") == 1, text
    assert re.search(r"alarm 8 +cleared +event 31", text), text


def test_watch_as_json(world):
    api = stand_in(world)
    api.events = [{"id": number, "alarm": 7, "time": TIME, "event": "opened", "text": "x"} for number in range(1, 451)]
    process = subprocess.Popen([world.program("atom"), "--server", f"http://127.0.0.1:{api.port}", "alarm", "watch", "--json",
                                "--since", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    world.processes.append(process)
    assert [json.loads(process.stdout.readline())["id"] for _ in range(449)] == list(range(2, 451))
    assert world.kill(process, signal.SIGINT) == 0
    process.stdout.close()


# Audit

def test_audit_verify(world):
    api = stand_in(world)
    text = world.atom("audit", "verify")
    assert "whole: 2500 records" in text and api.records[-1]["hash"] in text, text
    assert "is number 1200" in world.atom("audit", "verify", "--expect", api.records[1199]["hash"])
    assert json.loads(world.atom("audit", "verify", "--json"))["whole"] is True
    assert "no record has the hash" in world.atom("audit", "verify", "--expect", "0" * 64, status=1)
    world.atom("audit", "verify", "--expect", "abc", status=2)
    text = world.atom("audit", "--limit", "2")
    assert "2500" in text and "2499" in text and "2498" not in text and "operator anna" in text, text
    assert "end process 214 (ab) of vm2: killed" in text, text
    whole = api.records
    api.records = [dict(record) for record in whole]
    api.records[1500]["record"] = api.records[1500]["record"].replace("anna", "nobody")
    assert "record 1501 is not what was sealed" in world.atom("audit", "verify", status=1)
    api.records = whole[:1700] + whole[1701:]
    assert "record 1701 is not there" in world.atom("audit", "verify", status=1)
    api.records = whole[1:]
    assert "record 1 is not there" in world.atom("audit", "verify", status=1)
    assert json.loads(world.atom("audit", "verify", "--json", status=1))["whole"] is False
    api.records = whole[:-1]
    assert "no record has the hash" in world.atom("audit", "verify", "--expect", whole[-1]["hash"], status=1)
    api.records = []
    assert "whole: 0 records" in world.atom("audit", "verify")
    assert "there are no records" in world.atom("audit")


# Tokens

def new_token(world, name, *arguments):
    done = subprocess.run([world.program("atom"), "token", "new", name, "--file", world.path("mine.yaml"), *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
    token = done.stdout.strip()
    assert re.fullmatch(r"atom_[0-9a-f]{64}", token) and token not in done.stderr, done
    return token


def test_tokens_are_made_and_removed(world):
    stand_in(world)
    file = ("--file", world.path("mine.yaml"))
    assert "there are no tokens" in world.atom("token", *file)
    token = new_token(world, "anna", "--role", "operator", "--project", "web shop")
    new_token(world, "grafana")
    text = world.log("mine.yaml")
    assert token not in text and hashlib.sha256(token.encode()).hexdigest() in text, text
    assert stat.S_IMODE(os.stat(world.path("mine.yaml")).st_mode) == 0o600
    listed = world.atom("token", "list", *file)
    assert re.search(r"anna +operator +web shop", listed) and re.search(r"grafana +viewer +all", listed), listed
    assert "already" in world.atom("token", "new", "anna", *file, status=1)
    assert "--role must be" in world.atom("token", "new", "bert", "--role", "king", *file, status=2)
    assert "a name has" in world.atom("token", "new", "a b", *file, status=1)
    assert "taken out" in world.atom("token", "remove", "anna", *file)
    assert "no token 'anna'" in world.atom("token", "remove", "anna", *file, status=1)
    assert [entry["name"] for entry in json.loads(world.atom("token", "list", "--json", *file))["tokens"]] == ["grafana"]
    os.chmod(world.path("mine.yaml"), 0o666)
    assert "chmod go-w" in world.atom("token", "new", "bert", *file, status=1)


def test_tokens_made_at_once_are_all_kept(world):
    stand_in(world)
    processes = [subprocess.Popen([world.program("atom"), "token", "new", f"user-{i}", "--file", world.path("mine.yaml")],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for i in range(10)]
    assert all(process.wait(20) == 0 for process in processes)
    assert world.log("mine.yaml").count("name: ") == 10


def test_requests_carry_the_token(world):
    api = stand_in(world)
    api.tokens = {"atom_eye": "viewer", "atom_hand": "operator"}
    text = bearing(world, None, "alarm", "show", "7", status=1)
    assert "no token" in text and "--token-file" in text and "ATOM_TOKEN" in text, text
    os.makedirs(world.path(".config/atom"))
    world.write(".config/atom/token", "atom_eye\n")
    assert "ab" in bearing(world, None, "alarm", "show", "7")
    text = bearing(world, None, "alarm", "note", "7", "x", status=1)
    assert "needs the role operator" in text and "--token-file" in text, text
    bearing(world, "atom_hand", "alarm", "note", "7", "x")
    world.write("eye", " atom_eye\n")
    text = bearing(world, "atom_hand", "alarm", "note", "7", "x", "--token-file", world.path("eye"), status=1)
    assert "needs the role operator" in text, text
    assert "needs the role admin" in bearing(world, "atom_hand", "audit", "verify", status=1)
    assert "no-such-file" in world.atom("--token-file", world.path("no-such-file"), "alarm", status=1)
    world.write("two", "atom_eye atom_hand\n")
    assert "holds no token" in world.atom("alarm", "--token-file=" + world.path("two"), status=1)
    assert "needs a value" in world.atom("alarm", "--token-file", status=2)


if __name__ == "__main__":
    sys.exit(main([test for name, test in sorted(globals().items()) if name.startswith("test_")]))
