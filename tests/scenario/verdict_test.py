#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The life of an alarm: its states, notes, verdicts, flapping, restarts in every state; and who may see and say what."""
import sys
import threading

from acts import empty_disk, fill_disk
from harness import main, make_trace, wait_for
from liar_test import flood_of
from peer import Node


def shift_from(first, last=10**9, vm="vm2"):
    """Another workload of one VM: more of everything that goes along with load."""
    def change(row, name, values):
        if name == vm and first <= row < last:
            values[0] += 40
            values[1] *= 4
            values[2] *= 3
        return values
    return change


def bursts(*times):
    def change(row, name, values):
        return shift_from(0)(row, name, values) if any(a <= row < b for a, b in times) else values
    return change


def start(world, change, rows=1500, extra="", node_extra=""):
    world.start_atomd(extra="introspect: {enabled: false}\n" + extra)
    world.start_node("host-a", make_trace(world.path("trace.csv"), rows, change=change), extra=node_extra)
    return wait_for(world.alarms, 40, "an alarm")[0]


def detail(world, number=1):
    return world.get(f"/api/v1/alarms/{number}")


def events(world, number=1):
    return [event["event"] for event in detail(world, number)["history"]]


def frames(world):
    return (world.node("host-a") or {}).get("frames", 0)


def wait_rows(world, count):
    before = frames(world)
    wait_for(lambda: frames(world) >= before + count, 40, f"{count} rows more")


def test_normal_is_learned(world):
    alarm = start(world, shift_from(120))
    assert alarm["state"] in ("open", "awaiting"), alarm
    wait_for(lambda: world.alarms()[0]["level"] >= 12, 20, "a dozen abnormal rows")
    answer = world.post("/api/v1/alarms/1/verdict", verdict="normal", note="the new release")
    assert answer["state"] == "normal" and answer["closed"], answer
    assert answer["verdict"]["by"] == "admin tester" and answer["verdict"]["note"] == "the new release"
    wait_rows(world, 100)
    assert len(world.alarms()) == 1, [alarm["summary"] for alarm in world.alarms()]
    assert world.group()["state"] == "normal", world.group()
    assert events(world)[-2:] == ["verdict", "normal"], events(world)
    status, told = world.request("POST", "/api/v1/alarms/1/verdict", {"verdict": "malicious"})
    assert status == 409 and "cannot be taken back" in told["error"], told


def test_normal_holds_across_a_restart(world):
    start(world, shift_from(120))
    wait_for(lambda: world.alarms()[0]["level"] >= 12, 20, "a dozen abnormal rows")
    world.post("/api/v1/alarms/1/verdict", verdict="normal")
    wait_rows(world, 3)
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {enabled: false}\n")
    wait_for(lambda: frames(world) > 0, 20, "frames")
    wait_rows(world, 50)
    assert len(world.alarms()) == 1 and detail(world)["state"] == "normal", world.alarms()
    assert world.group()["state"] == "normal", world.group()


def test_normal_is_learned_when_it_is_over(world):
    """What was called normal after its end does not alarm when it comes again while M remembers it, across a restart too."""
    start(world, bursts((120, 150), (200, 230)), extra="alarm: {reopen: 0}\n")
    wait_for(lambda: detail(world)["closed"], 40, "the first burst ends")
    answer = world.post("/api/v1/alarms/1/verdict", verdict="normal")
    assert answer["state"] == "normal", answer
    wait_rows(world, 2)
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {enabled: false}\nalarm: {reopen: 0}\n")
    wait_for(lambda: frames(world) > 0, 20, "frames")
    wait_rows(world, 90)
    assert len(world.alarms()) == 1, [alarm["summary"] for alarm in world.alarms()]


def test_normal_is_known_when_window_and_process_have_gone(world):
    """The reference remembers a load that M has forgotten, and what it was told of it, across a restart too."""
    other = threading.Event()
    calm, loaded = flood_of(), flood_of("vm2", row=0)

    def observe(time_usec=0):
        return Node(world, "host-a", {"vm1": "", "vm2": ""}, lambda row, vm: (loaded if other.is_set() else calm)(row, vm),
                    time_usec=time_usec)

    def wait_node(node, rows):
        wait_for(lambda: node.row >= rows, 40, f"row {rows}")

    world.start_atomd(extra="introspect: {enabled: false}\n")
    node = observe()
    wait_node(node, 100)
    other.set()
    wait_for(lambda: world.alarms() and world.alarms()[0]["level"] >= 25, 20, "an alarm of 25 rows")
    world.post("/api/v1/alarms/1/verdict", verdict="normal")
    other.clear()
    wait_node(node, node.row + 200)  # three windows: a restart restores two
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {enabled: false}\n")
    node = observe(node.watermark)
    wait_node(node, 10)
    other.set()
    wait_node(node, 50)
    wait_for(lambda: world.group()["state"] != "learning", 10, "a verdict")
    assert len(world.alarms()) == 1, [alarm["summary"] for alarm in world.alarms()]


def test_slow_drift_is_told_as_one(world):
    """Of what M has followed all the time no SPE is over Q; the alarm does not pretend so."""
    steady = flood_of()

    def creeping(row, vm):
        told = steady(row, vm)
        told[0] += max(0, row - 300) * 0.6 * (vm == "vm2")
        return told

    world.start_atomd(extra="introspect: {enabled: false}\n")
    Node(world, "host-a", {"vm1": "", "vm2": "", "vm3": ""}, creeping)
    wait_for(world.alarms, 40, "an alarm")
    alarm = detail(world)
    assert alarm["drift"] and alarm["state"] == "shifted" and events(world)[0] == "opened", alarm
    assert "shifted" not in events(world) and "a slow drift that M has followed, SPE " in alarm["summary"], alarm
    assert alarm["summary"].startswith("vm2: CPUUtilization up ("), alarm["summary"]
    shown = world.atom("alarm", "show", "1")
    assert "a slow drift that M has followed" in shown and "shifted" in shown, shown


def test_malicious_is_resolved_when_spe_is_back(world):
    start(world, shift_from(120, 220))
    answer = world.post("/api/v1/alarms/1/verdict", verdict="malicious")
    assert answer["state"] == "malicious" and answer["closed"] is None, answer
    assert world.request("POST", "/api/v1/alarms/1/verdict", {"verdict": "malicious"})[0] == 409
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {enabled: false}\n")
    assert detail(world)["state"] == "malicious", detail(world)
    wait_for(lambda: detail(world)["closed"], 40, "SPE is back under Q")
    assert detail(world)["state"] == "malicious" and events(world)[-1] == "resolved", events(world)


def test_notes(world):
    start(world, shift_from(120))
    world.post("/api/v1/alarms/1/notes", text="asked the shop's people")
    assert world.request("POST", "/api/v1/alarms/1/notes", {"text": ""})[0] == 400
    assert world.request("POST", "/api/v1/alarms/1/notes", {"text": "x" * 3000})[0] == 413
    assert world.request("POST", "/api/v1/alarms/9/notes", {"text": "x"})[0] == 404
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {enabled: false}\n")
    notes = detail(world)["notes"]
    assert [(note["by"], note["text"]) for note in notes] == [("admin tester", "asked the shop's people")], notes


def test_what_cannot_be_recorded_is_not_said(world):
    start(world, shift_from(120))
    fill_disk(world)
    assert world.request("POST", "/api/v1/alarms/1/notes", {"text": "lost"})[0] == 503
    assert world.request("POST", "/api/v1/alarms/1/verdict", {"verdict": "normal"})[0] == 503
    empty_disk(world)
    wait_rows(world, 5)
    assert "notes" not in detail(world) and "verdict" not in detail(world) and not detail(world)["closed"], detail(world)
    assert world.get("/api/v1/audit")["records"] == [] and "note" not in events(world), events(world)
    world.post("/api/v1/alarms/1/notes", text="kept")
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {enabled: false}\n")
    assert detail(world)["notes"][0]["text"] == "kept" and len(world.get("/api/v1/audit")["records"]) == 1


def test_flapping_is_one_alarm(world):
    start(world, bursts((120, 140), (160, 180), (200, 220)), extra="alarm: {reopen: 10s}\n")
    wait_for(lambda: detail(world).get("reopened") == 2 and detail(world)["closed"], 60, "two times more")
    assert len(world.alarms()) == 1, world.alarms()
    assert events(world).count("reopened") == 2 and events(world).count("opened") == 1, events(world)
    assert detail(world)["level"] >= 50, "the level counts the rows of all"


def test_flapping_goes_on_across_a_restart(world):
    start(world, bursts((120, 140), (190, 210)), extra="alarm: {reopen: 30s}\n")
    wait_for(lambda: detail(world)["closed"], 30, "the first burst ends")
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {enabled: false}\nalarm: {reopen: 30s}\n")
    wait_for(lambda: detail(world).get("reopened"), 40, "the second is the same")
    assert len(world.alarms()) == 1, world.alarms()


def test_without_reopening_each_is_an_alarm(world):
    start(world, bursts((120, 140), (160, 180)), extra="alarm: {reopen: 0}\n")
    wait_for(lambda: len(world.alarms()) == 2, 40, "a second alarm")
    assert world.request("POST", "/api/v1/alarms/1/notes", {"text": "late"})[0] in (200, 409)


def test_events_of_all_alarms(world):
    start(world, bursts((120, 140), (160, 180)), extra="alarm: {reopen: 0}\n")
    wait_for(lambda: len(world.alarms()) == 2, 40, "a second alarm")
    newest = world.get("/api/v1/events")
    assert newest["events"][0]["event"] == "opened" and newest["last"] == newest["events"][-1]["id"], newest
    assert {event["alarm"] for event in newest["events"]} == {1, 2}, newest
    assert world.get(f"/api/v1/events?after={newest['last']}")["events"] == []
    some = world.get(f"/api/v1/events?after={newest['events'][0]['id']}&limit=1")["events"]
    assert [event["id"] for event in some] == [newest["events"][1]["id"]], some


def test_roles(world):
    world.add_token("vera", "viewer")
    world.add_token("olga", "operator")
    start(world, shift_from(120))
    note = {"text": "x"}
    assert world.request("GET", "/api/v1/alarms", token="")[0] == 200, "loopback may look"
    assert world.request("POST", "/api/v1/alarms/1/notes", note, token="")[0] == 401
    assert world.request("GET", "/api/v1/alarms", token="wrong")[0] == 401
    assert world.request("POST", "/api/v1/alarms/1/notes", note, token=world.token("vera"))[0] == 403
    assert world.request("POST", "/api/v1/alarms/1/notes", note, token=world.token("olga"))[0] == 200
    assert world.request("GET", "/api/v1/audit", token=world.token("olga"))[0] == 403
    assert world.request("GET", "/api/v1/audit")[0] == 200
    world.add_token("otto", "operator")
    wait_for(lambda: world.request("POST", "/api/v1/alarms/1/notes", note, token=world.token("otto"))[0] == 200, 5,
             "a new token is known without a restart")


def test_verdicts_are_in_the_audit(world):
    start(world, shift_from(120))
    world.post("/api/v1/alarms/1/verdict", verdict="malicious", note="n")
    records = world.get("/api/v1/audit")
    assert len(records["records"]) == 1 and records["last"]["number"] == 1, records
    assert '"verdict":"malicious"' in records["records"][0]["record"], records
    assert records["last"]["hash"] == records["records"][0]["hash"]


if __name__ == "__main__":
    sys.exit(main([test_normal_is_learned, test_normal_holds_across_a_restart,
                   test_normal_is_learned_when_it_is_over, test_normal_is_known_when_window_and_process_have_gone,
                   test_slow_drift_is_told_as_one, test_malicious_is_resolved_when_spe_is_back,
                   test_notes, test_what_cannot_be_recorded_is_not_said, test_flapping_is_one_alarm, test_flapping_goes_on_across_a_restart,
                   test_without_reopening_each_is_an_alarm, test_events_of_all_alarms, test_roles,
                   test_verdicts_are_in_the_audit]))
