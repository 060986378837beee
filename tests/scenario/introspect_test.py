#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From alarms to looks inside the VMs that they name: what is asked, what is made of it, and what happens when one of the three
programs is killed, refuses, hangs or lies. The guests are a recorded trace; atom-vmi is stood in for (vmi_stand_in.py)."""
import json
import os
import shutil
import sys

from harness import main, make_trace, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
FLOOD = {
    "top": [{"pid": 214, "uid": 0, "command": "ab", "cpu_percent": 71.5, "read_per_sec": 0, "write_per_sec": 0, "connections": 412,
             "opened": 412, "received_per_sec": 90000, "sent_per_sec": 400000, "new": True, "start_nsec": 5000000000},
            {"pid": 101, "uid": 0, "command": "sh", "cpu_percent": 0.1, "read_per_sec": 0, "write_per_sec": 0, "connections": 0,
             "opened": 0, "received_per_sec": 0, "sent_per_sec": 0, "new": False, "start_nsec": 1000000000}],
    "peers": [{"pid": 214, "command": "ab", "direction": "out", "peer": "10.0.0.9", "port": 80, "connections": 412, "opened": 412,
               "received": 90000, "sent": 400000, "received_per_sec": 90000, "sent_per_sec": 400000}],
    "ps": [{"pid": 1, "ppid": 0, "command": "init", "command_line": "/sbin/init", "start_nsec": 1, "kernel": False},
           {"pid": 101, "ppid": 1, "command": "sh", "command_line": "sh", "start_nsec": 1000000000, "kernel": False},
           {"pid": 214, "ppid": 101, "command": "ab", "command_line": "ab -c 64 http://10.0.0.9/", "start_nsec": 5000000000,
            "kernel": False}],
}


def stand_in(world, **told):
    """The node's settings of it; may be said anew while one runs."""
    program = world.path("atom-vmi")
    shutil.copy(os.path.join(HERE, "vmi_stand_in.py"), world.path("new"))
    os.chmod(world.path("new"), 0o755)
    os.replace(world.path("new"), program)
    os.replace(world.write("new.json", json.dumps(told)), world.path("atom-vmi.json"))
    return f"introspect: {{program: {program}}}\n"


def calls(world):
    try:
        return world.log("atom-vmi.calls").splitlines()
    except FileNotFoundError:
        return []


def flood(vms):
    def change(row, vm, values):
        if vm in vms and row >= 120:
            values[2] *= 8
            values[0] += 60
        return values
    return change


def looks(world):
    alarms = world.alarms()
    return (world.get(f"/api/v1/alarms/{alarms[0]['id']}") or {}).get("introspection", []) if alarms else []


def answered(world, count=1):
    found = looks(world)
    return found if len(found) >= count and all(look["state"] != "asked" for look in found) else None


def start(world, extra, vms=("vm2",), policy=""):
    trace = make_trace(world.path("trace.csv"), 900, change=flood(vms))
    world.start_atomd(extra="introspect: {sample: 100ms}\n")
    if policy:
        extra += f"policy: {{file: {world.write('policy.yaml', policy)}}}\n"
    return world.start_node("host-a", trace, extra=extra)


def test_alarm_names_the_process(world):
    start(world, stand_in(world, tables=FLOOD))
    look = wait_for(lambda: answered(world), 40, "an answer")[0]
    assert look["state"] == "done" and look["vm"] == "vm2" and "top" in look["views"], look
    suspect = look["suspects"][0]
    assert suspect["command"] == "ab" and suspect["pid"] == 214, suspect
    assert suspect["parents"][0]["command"] == "sh", suspect
    assert any("10.0.0.9" in reason and "412" in reason for reason in suspect["reasons"]), suspect
    assert any("flood" in pattern["name"] for pattern in look["patterns"]), look["patterns"]
    assert len(calls(world)) == 1, calls(world)
    text = world.atom("alarm", "show", "1")
    assert "ab" in text and "child of sh 101" in text and "10.0.0.9" in text, text
    events = [event["event"] for event in world.get("/api/v1/alarms/1")["history"]]
    assert events[:1] == ["opened"] and "introspecting" in events and "suspect" in events, events


def test_vms_that_go_alike_are_only_checked(world):
    start(world, stand_in(world, tables=FLOOD), vms=("vm2", "vm3"))
    found = wait_for(lambda: answered(world, 2), 40, "two answers")
    assert {look["vm"] for look in found} == {"vm2", "vm3"}, found
    second = next((look for look in found if look.get("alike")), None)
    assert second, found
    assert second["views"] == ["top"], second
    assert second["suspects"][0]["command"] == "ab", second


def test_what_showed_nothing_spares_no_look(world):
    quiet = {"top": [dict(FLOOD["top"][1])], "ps": FLOOD["ps"][:2]}
    start(world, stand_in(world, tables=quiet), vms=("vm2", "vm3"))
    found = wait_for(lambda: answered(world, 2), 40, "two answers")
    assert all(look["state"] == "done" and not look["suspects"] for look in found), found
    assert not any(look.get("alike") for look in found) and found[0]["views"] == found[1]["views"] != ["top"], found


def test_no_playbook_fits(world):
    path = world.write("playbooks.yaml", "playbooks:\n  - {name: disk, metrics: [DiskReadOps], views: [top]}\n")
    trace = make_trace(world.path("trace.csv"), 900, change=flood(("vm2",)))
    world.start_atomd(extra=f"introspect: {{sample: 100ms, playbooks: {path}}}\n")
    world.start_node("host-a", trace, extra=stand_in(world, tables=FLOOD))
    look = wait_for(lambda: answered(world), 40, "an entry")[0]
    assert look["state"] == "passed over" and "no playbook fits" in look["text"], look
    assert not calls(world), calls(world)
    assert "passed over" in world.atom("alarm", "show", "1")


def busy(row, vm, values):
    if vm == "vm2" and row >= 120:
        values[0] += 85
    return values


def account_of(look, metric):
    return next((line for line in look.get("account", []) if line["metric"] == metric), {})


def settled(world):
    found = answered(world)
    return found[0] if found and "account_due" not in found[0] else None


def start_busy(world, cpu_percent):
    shown = {"top": [dict(row, cpu_percent=cpu_percent if row["pid"] == 101 else 0.0, opened=0, connections=0) for row in FLOOD["top"]],
             "ps": FLOOD["ps"]}
    world.start_atomd(extra="introspect: {sample: 100ms}\n")
    world.start_node("host-a", make_trace(world.path("trace.csv"), 900, change=busy), extra=stand_in(world, tables=shown))
    return wait_for(lambda: settled(world), 40, "an account")


def test_a_guest_that_forges_its_processes(world):
    look = start_busy(world, 0.5)
    line = account_of(look, "CPUUtilization")
    assert look["state"] == "done" and line["agrees"] is False and line["guest"] == 0.5, look
    assert 80 < line["hypervisor"] <= 120 and line["within"] == 3 and line["unit"] == "% of a CPU", line
    pattern = next(pattern for pattern in look["patterns"] if pattern["name"] == "possible hidden process")
    assert "of a CPU for vm2, the processes that its kernel shows account for" in pattern["text"], pattern
    assert "hidden from the process table" in pattern["text"], pattern
    told = [event["text"] for event in world.get("/api/v1/alarms/1")["history"] if event["event"] == "pattern"]
    assert any(text.startswith("possible hidden process: the hypervisor counts") for text in told), told
    text = world.atom("alarm", "show", "1")
    assert "possible hidden process: the hypervisor counts" in text, text


def test_an_honest_guest_accounts_for_itself(world):
    look = start_busy(world, 90.0)
    assert account_of(look, "CPUUtilization")["agrees"] is True, look
    assert not any(pattern["name"] == "possible hidden process" for pattern in look["patterns"]), look


def test_policy_refuses(world):
    start(world, stand_in(world, tables=FLOOD), policy="rules:\n  - {vm: 'vm*', views: [none]}\n")
    look = wait_for(lambda: answered(world), 40, "an answer")[0]
    assert look["state"] == "refused" and "policy" in look["text"], look
    assert not calls(world), calls(world)


def test_a_failing_look_says_why(world):
    start(world, stand_in(world, error="the guest's memory is encrypted (SEV)", exit=1))
    look = wait_for(lambda: answered(world), 40, "an answer")[0]
    assert look["state"] == "failed" and "encrypted" in look["text"], look


def test_a_killed_node_is_asked_again(world):
    extra = stand_in(world, tables=FLOOD, sleep=3)
    node = start(world, extra)
    wait_for(lambda: calls(world), 40, "the node looks")
    world.kill(node)
    stand_in(world, tables=FLOOD)
    world.start_node("host-a", make_trace(world.path("again.csv"), 600, change=flood(("vm2",))), extra=extra)
    look = wait_for(lambda: answered(world), 40, "an answer")[0]
    assert look["state"] == "done", look
    assert len(calls(world)) >= 2, calls(world)


def test_a_killed_controller_asks_again(world):
    start(world, stand_in(world, tables=FLOOD, sleep=2))
    wait_for(looks_asked(world), 40, "it asks")
    world.kill(world.atomd)
    stand_in(world, tables=FLOOD)
    world.start_atomd(extra="introspect: {sample: 100ms}\n")
    look = wait_for(lambda: answered(world), 40, "an answer")[0]
    assert look["state"] == "done" and look["suspects"][0]["command"] == "ab", look
    assert len(world.alarms()) == 1, world.alarms()


def test_a_reopened_alarm_is_looked_into_again(world):
    def bursts(row, vm, values):
        return flood(("vm2",))(200, vm, values) if 120 <= row < 140 or 160 <= row < 400 else values
    trace = make_trace(world.path("trace.csv"), 900, change=bursts)
    world.start_atomd(extra="introspect: {sample: 100ms}\nalarm: {reopen: 20s}\n")
    world.start_node("host-a", trace, extra=stand_in(world, tables=FLOOD))
    wait_for(lambda: answered(world), 40, "the first look")
    wait_for(lambda: world.get("/api/v1/alarms/1").get("reopened"), 40, "the same again")
    wait_for(lambda: len(calls(world)) == 2 and answered(world), 20, "a second look")
    assert len(world.get("/api/v1/alarms/1")["earlier_introspection"]) == 1
    assert len(world.alarms()) == 1, world.alarms()


def looks_asked(world):
    return lambda: any(look["state"] == "asked" for look in looks(world))


if __name__ == "__main__":
    sys.exit(main([test_a_reopened_alarm_is_looked_into_again, test_alarm_names_the_process, test_vms_that_go_alike_are_only_checked,
                   test_what_showed_nothing_spares_no_look, test_no_playbook_fits, test_a_guest_that_forges_its_processes,
                   test_an_honest_guest_accounts_for_itself, test_policy_refuses,
                   test_a_failing_look_says_why, test_a_killed_node_is_asked_again, test_a_killed_controller_asks_again]))
