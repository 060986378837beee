#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Actions that a person orders: from the alarm to the second look, and all that can speak against one. The real atomd and atom-node;
the guests are a trace, atom-vmi is stood in for (vmi_stand_in.py). act_loss_test.py: who is killed, and what is lost, when."""
import os
import sys

from acts import (PIDS, action, actions, audit, audited, called, empty_disk, end, ended, fill_disk, history, journal, kills,
                  opened, order, refused, start, start_node, tell)
from harness import main, make_trace, wait_for
from introspect_test import answered, calls, flood


def test_from_the_alarm_to_the_second_look(world):
    start(world, change=flood(("vm2",)), speed=5)
    suspect = wait_for(lambda: answered(world), 40, "a look")[0]["suspects"][0]
    assert suspect["pid"] == 214, suspect
    first = order(world, "end-process", alarm=1, pid=214, command="ab", dry_run=True)
    dry = ended(world, first)
    assert dry["state"] == "done" and dry["report"]["end"][0]["outcome"] == "dry run", dry
    assert [write["what"] for write in dry["report"]["writes"]] == ["pending signal", "thread flags"], dry
    assert not kills(world) and not journal(world), "a dry run changes nothing, and is no deed"
    assert world.post("/api/v1/alarms/1/verdict", verdict="malicious", note="n")["state"] == "malicious"
    second = order(world, "end-process", alarm=1, why="it floods", **{key: suspect[key] for key in ("pid", "start_nsec", "command")})
    done = ended(world, second)
    assert done["state"] == "done" and done["verified"] == "a second look shows no process 214 any more", done
    assert done["by"] == "admin tester" and done["why"] == "it floods" and done["sent"] and done["ended"], done
    assert done["report"]["end"][0]["outcome"] == "dead" and len(done["report"]["writes"]) == 2, done
    assert len(kills(world)) == 1 and "--pid=214 --start=5000000000 --encoded" in kills(world)[0], calls(world)
    events = [event for event in history(world) if "214" in event["text"] and event["event"] in ("ordered", "done", "verified")]
    assert [event["event"] for event in events] == ["ordered", "done", "verified"], events
    assert events[0]["text"] == "end process 214 (ab) of vm2: admin tester", events[0]
    assert sorted(world.get("/api/v1/alarms/1")["actions"]) == [first, second]
    assert audited(world, first) == [("ordered", "ordered"), ("ended", "done")], audit(world)
    assert audited(world, second) == [("ordered", "ordered"), ("answered", "verifying"), ("ended", "done")], audit(world)
    assert journal(world, second) == ["begun", "ended"]
    assert {(record["who"], record["controller"]) for record in journal(world)} == {("admin tester", "controller")}, journal(world)


def test_what_is_not_done_is_told(world):
    start(world, kill={"stays": True})
    stays = ended(world, end(world))
    assert stays["state"] == "done" and stays["verified"] == "a second look STILL shows process 214", stays
    tell(world, kill={"exit": 4, "outcome": "armed", "error": "it sleeps in nfs_wait"})
    pending = ended(world, end(world))
    assert pending["state"] == "pending" and pending["reason"].endswith("it sleeps in nfs_wait"), pending
    assert "STILL" in pending["verified"] and pending["report"]["end"][0]["outcome"] == "armed", pending
    tell(world, kill={"exit": 3, "outcome": "refused", "error": "it is another process by now"})
    no = ended(world, end(world))
    assert no["state"] == "refused" and "another process" in no["reason"] and no["verified"] is None, no
    tell(world, kill={"exit": 1, "error": "the guest's memory is encrypted (SEV)", "tables": {}})
    failed = ended(world, end(world))
    assert failed["state"] == "failed" and "encrypted" in failed["reason"] and failed["verified"] is None, failed
    tell(world, tables={}, exit=1, error="no symbols")
    blind = ended(world, end(world))
    assert blind["state"] == "done" and blind["verified"].startswith("could not be verified: ") and "no symbols" in blind["verified"], blind
    tell(world, exit=1, error="a list of tasks is broken")
    half = ended(world, end(world))["verified"]
    assert half == "a second look shows no process 214 any more; but atom-vmi: a list of tasks is broken", half
    assert len(kills(world)) == 6, "each was tried once"
    states = [action["state"] for action in world.get("/api/v1/actions?state=pending")["actions"]]
    assert states == ["pending"], states
    assert audited(world, no["id"]) == [("ordered", "ordered"), ("ended", "refused")]
    assert journal(world, failed["id"]) == ["begun", "ended"]


def test_the_node_has_its_own_policy(world):
    start(world, policy="")
    no = ended(world, end(world))
    assert no["state"] == "refused" and no["reason"] == "this node's policy does not allow 'end-process' of VM vm2", no
    assert ended(world, order(world, "pause"))["state"] == "refused"
    other = world.write("other.yaml", "rules: [{vm: far1, controllers: [controller], actions: [pause]}, "
                                      "{controllers: [backup], actions: [pause]}]\n")
    world.start_node("host-b", make_trace(world.path("b.csv"), 900, vms=("far1", "far2")),
                     extra=f"introspect: {{program: {world.path('atom-vmi')}}}\npolicy: {{file: {other}}}\n")
    wait_for(lambda: world.get("/api/v1/vms/far2"), 20, "the other node's VMs")
    assert ended(world, order(world, "pause", "far1"))["state"] == "done"
    assert ended(world, order(world, "pause", "far2"))["state"] == "refused", "that is for another controller"
    assert ended(world, order(world, "snapshot", "far1"))["state"] == "refused"
    assert [call.split(" ")[0] for call in calls(world)] == ["pause"], calls(world)


def test_orders_that_make_no_sense(world):
    world.add_token("vera", "viewer")
    world.add_token("olga", "operator")
    start(world)
    good = {"kind": "end-process", "vm": "vm2", "pid": 214, "start_nsec": 5, "command": "ab"}
    for wrong, text in (({"kind": "reboot"}, "kind must be"), ({"kind": None}, "kind must be"), ({"vm": None}, "vm must name a VM"),
                        ({"pid": None}, "pid must be"), ({"pid": 0}, "pid must be"), ({"pid": "214"}, "pid must be"),
                        ({"start_nsec": -1}, "start_nsec must be"), ({"command": "x" * 300}, "command must be"),
                        ({"command": "a\nb"}, "command must be"), ({"rate": 1}, "end-process takes no argument 'rate'"),
                        ({"dryrun": True}, "takes no argument 'dryrun'"), ({"dry_run": "yes"}, "dry_run must be true or false"),
                        ({"evidence": 1}, "evidence must be true or false"), ({"why": 7}, "why must be"),
                        ({"alarm": "1"}, "alarm must be"), ({"alarm": 9}, "alarm 9 is not open"),
                        ({"undoes_number": 5}, "takes no argument")):
        told = refused(world, 400, {**good, **wrong})
        assert text in told, (wrong, told)
    for missing in ("kind", "vm", "pid", "start_nsec"):
        told = refused(world, 400, {key: value for key, value in good.items() if key != missing})
        assert missing in told, (missing, told)
    for wrong, text in (({"peer": "web"}, "peer must be"), ({"expiry_seconds": 0}, "expiry_seconds must be"),
                        ({"address": "10.0.0"}, "address must be"), ({"expiry_seconds": None}, "expiry_seconds must be")):
        told = refused(world, 400, {"kind": "contain", "vm": "vm2", "peer": "10.0.0.9", "expiry_seconds": 60, **wrong})
        assert text in told, (wrong, told)
    assert "undoes" in refused(world, 400, {"kind": "release"})
    assert refused(world, 404, {"kind": "release", "undoes": 99}) == "there is no action 99"
    assert "nobody" in refused(world, 404, {**good, "vm": "nobody"})
    for long in ("\u00e9" * 80, "x" + "\u00e9" * 80):  # one of them is cut within a character
        assert "\u00e9" * 40 in refused(world, 404, {**good, "vm": long})
        assert "\u00e9" * 15 in refused(world, 400, {**good, long: 1})
    assert world.request("GET", "/api/v1/vms/%ff%c3")[0] == 404
    for number in ("9223372036854775808", "-1", "+1", "1x", "", "%20", "1e3", "%e9"):
        for path in ("actions?alarm=", "actions?limit=", "audit?after=", "events?after=", "alarms?limit="):
            status, told = world.request("GET", f"/api/v1/{path}{number}")
            assert status == 400 and "must be a number from" in told["error"], (path, number, told)
        for path in ("actions/", "alarms/"):
            assert world.request("GET", f"/api/v1/{path}{number}")[0] == (400 if number else 404), (path, number)
    assert world.get("/api/v1/events?after=9223372036854775807")["last"] == 2 ** 63 - 1
    refused(world, 413, {**good, "why": "x" * 3000})
    refused(world, 401, good, token="")
    refused(world, 401, good, token="wrong")
    refused(world, 403, good, token=world.token("vera"))
    assert not actions(world) and not audit(world) and not calls(world), "nothing of all this is an order"
    assert world.request("GET", "/api/v1/actions/1")[0] == 404 and world.request("GET", "/api/v1/actions/x")[0] == 400
    assert world.request("POST", "/api/v1/actions/1/veto", {})[0] == 404
    status, answer = world.request("POST", "/api/v1/actions", good, token=world.token("olga"))
    assert status == 202 and answer["by"] == "operator olga", answer
    assert world.request("POST", f"/api/v1/actions/{answer['id']}/veto", {})[0] == 409, "it was not announced"
    assert ended(world, answer["id"])["state"] == "done"
    assert world.request("POST", f"/api/v1/actions/{answer['id']}/veto", {})[0] == 409


def test_evidence_comes_first(world):
    start(world, snapshot={"gate": "go"})
    second = end(world, evidence=True)
    first = action(world, second)["after"]
    called(world, "snapshot")
    assert action(world, second)["state"] == "waiting" and not kills(world), action(world, second)
    opened(world, "go")
    done = ended(world, second)
    saved = action(world, first)
    assert done["state"] == "done" and saved["state"] == "done" and saved["ended"] <= done["sent"], (saved, done)
    file = saved["report"]["file"][0]
    assert file["path"].startswith(world.path("evidence/evidence-vm2-")) and os.path.getsize(file["path"]) == file["size"], saved
    assert [call.split(" ")[0] for call in calls(world)] == ["snapshot", "kill", "ps"], calls(world)
    tell(world, snapshot={"exit": 1, "error": "the disk is full"})
    not_done = ended(world, end(world, PIDS[1], evidence=True))
    assert not_done["state"] == "failed" and not_done["sent"] is None, not_done
    assert "the evidence could not be saved first" in not_done["reason"] and "the disk is full" in not_done["reason"], not_done
    assert len(kills(world)) == 1, "without evidence it is not done"
    dry = ended(world, end(world, PIDS[1], evidence=True, dry_run=True))
    assert dry["state"] == "done" and dry["after"] is None, "a dry run takes no evidence"


def test_an_action_ends_whatever_is_said_of_its_evidence(world):
    """A reason that is cut, one of them within a character."""
    start(world)
    for number, error in enumerate(("\u00e9" * 300, "x" + "\u00e9" * 300)):
        tell(world, snapshot={"exit": 1, "error": error})
        not_done = ended(world, end(world, PIDS[number], evidence=True))
        assert not_done["state"] == "failed" and "\u00e9" * 80 in not_done["reason"], not_done


def test_the_other_kinds(world):
    start(world)
    assert ended(world, order(world, "pause", dry_run=True))["reason"] == "VM vm2 would be paused"
    assert not calls(world)
    paused = ended(world, order(world, "pause"))
    assert paused["state"] == "done" and paused["verified"] is None and paused["reason"] is None, paused
    tell(world, pause={"exit": 3})
    assert ended(world, order(world, "pause"))["reason"] == "VM vm2 was paused already"
    assert ended(world, order(world, "resume"))["state"] == "done"
    saved = ended(world, order(world, "snapshot"))
    assert saved["state"] == "done" and saved["report"]["file"][0]["size"] == 6000, saved
    assert [call.split(" ")[0] for call in calls(world)] == ["pause", "pause", "resume", "snapshot"], calls(world)
    cut = ended(world, order(world, "contain", peer="10.0.0.9", expiry_seconds=60))
    assert cut["state"] == "failed" and "no tap" in cut["reason"], cut
    undone = ended(world, world.post("/api/v1/actions", kind="release", undoes=cut["id"])["id"])
    assert undone["vm"] == "vm2" and undone["state"] == "done" and "was over already" in undone["reason"], undone
    assert "only a contain action" in refused(world, 400, {"kind": "release", "undoes": paused["id"]})


def test_one_vm_at_a_time(world):
    start(world, snapshot={"gate": "go"})
    first = order(world, "snapshot")
    called(world, "snapshot")
    second, other = order(world, "pause"), order(world, "pause", "vm3")
    assert ended(world, other)["state"] == "done", "another VM does not wait"
    assert action(world, second)["state"] == "ordered", "its time does not run while the node is at something else"
    opened(world, "go")
    assert ended(world, first)["state"] == "done" and ended(world, second)["state"] == "done"


def test_what_cannot_be_recorded_is_not_done(world):
    start(world)
    fill_disk(world)
    told = refused(world, 503, {"kind": "pause", "vm": "vm2"})
    assert "what cannot be recorded is not done" in told, told
    told = refused(world, 503, {"kind": "end-process", "vm": "vm2", "pid": 214, "start_nsec": 5, "evidence": True})
    assert "what cannot be recorded is not done" in told, told
    empty_disk(world)
    assert ended(world, order(world, "resume"))["state"] == "done"
    assert [call.split(" ")[0] for call in calls(world)] == ["resume"], "nothing of the bad time was done"
    assert [record["event"] for record in audit(world)] == ["ordered", "ended"], audit(world)


def test_orders_keep_their_order_across_a_restart(world):
    node = start(world)
    world.kill(node)
    wait_for(lambda: world.node("host-a")["state"] != "connected", 20, "the node is away")
    first, second = order(world, "pause"), order(world, "resume")
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {sample: 100ms}\n")
    start_node(world)
    assert ended(world, first)["state"] == "done" and ended(world, second)["state"] == "done"
    assert [call.split(" ")[0] for call in calls(world)] == ["pause", "resume"], calls(world)


def test_what_was_done_meanwhile_is_recorded_later(world):
    start(world, kill={"gate": "go"})
    number = end(world)
    called(world, "kill")
    fill_disk(world)
    opened(world, "go")
    wait_for(lambda: f"action {number} cannot be recorded now" in world.log("atomd.log"), 20, "the outcome is there")
    assert action(world, number)["state"] == "sent", "nobody is told what is not recorded"
    empty_disk(world)
    assert ended(world, number)["state"] == "done"
    assert audited(world, number) == [("ordered", "ordered"), ("answered", "verifying"), ("ended", "done")], audit(world)


def test_what_the_journal_cannot_record_is_not_done(world):
    os.mkdir(world.path("host-a.journal"))
    start(world)
    no = ended(world, end(world))
    assert no["state"] == "unknown" and "whether it was done before cannot be read; it is not done now" in no["reason"], no
    assert not kills(world)


if __name__ == "__main__":
    sys.exit(main([test_from_the_alarm_to_the_second_look, test_what_is_not_done_is_told, test_the_node_has_its_own_policy,
                   test_orders_that_make_no_sense, test_evidence_comes_first, test_an_action_ends_whatever_is_said_of_its_evidence,
                   test_the_other_kinds, test_one_vm_at_a_time, test_what_cannot_be_recorded_is_not_done,
                   test_orders_keep_their_order_across_a_restart, test_what_was_done_meanwhile_is_recorded_later,
                   test_what_the_journal_cannot_record_is_not_done]))
