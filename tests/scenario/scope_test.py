#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which VM is meant, and who may know of it: VMs that moved, UUIDs that several have, names that look like one, and what is told to a
project of alarms that others are in too. Nodes of a few lines (peer.py) against the real atomd."""
import json
import sys

from acts import LOOK, ended, order, refused
from harness import main, wait_for
from introspect_test import looks
from liar_test import flood_of
from notify_test import Receiver
from peer import ACT, INTROSPECT, Node, fixed
from project_test import get, post
from project_test import start as start_shared


def entries(world, vm):
    """{node: state} of the VMs of that UUID."""
    vms = (world.get("/api/v1/vms") or {"vms": []})["vms"]
    return {each["node"]: each["state"] for each in vms if each["uuid"] == str(vm)}


def test_a_vm_that_moved_is_looked_into_and_acted_on(world):
    """Its host dies, it is started on another one: the first never says that it has it no more."""
    world.start_atomd(extra="introspect: {sample: 100ms}\n")
    old = Node(world, "host-a", {"vm1": "", "vm2": ""}, flood_of())
    wait_for(lambda: entries(world, old.uuids["vm2"]) == {"host-a": "good"}, 20, "it runs")
    old.close()
    wait_for(lambda: world.node("host-a")["state"] == "disconnected", 20, "its host is away")
    new = Node(world, "host-b", {"vm2": "", "vm3": ""}, flood_of("vm2"), uuids={"vm2": old.uuids["vm2"]})
    request = fixed(new.receive(INTROSPECT, 40), 1)
    assert entries(world, old.uuids["vm2"]) == {"host-a": "gone", "host-b": "good"}, entries(world, old.uuids["vm2"])
    assert entries(world, old.uuids["vm1"]) == {"host-a": "stale"}, "the other one is only not heard of"
    new.findings(request, LOOK)
    wait_for(lambda: looks(world)[0]["state"] == "done", 20, "the look")
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {sample: 100ms}\n")
    assert world.get("/api/v1/vms/vm2")["node"] == "host-b", "of two in the store it is the newer one"
    new = Node(world, "host-b", {"vm2": "", "vm3": ""}, flood_of("vm2", row=0), uuids=new.uuids, time_usec=new.watermark)
    wait_for(lambda: entries(world, new.uuids["vm2"]) == {"host-a": "gone", "host-b": "good"}, 20, "after a restart too")
    for name in ("vm2", str(new.uuids["vm2"])):
        number = order(world, "pause", name)
        new.outcome(fixed(new.receive(ACT), 1))
        assert ended(world, number)["state"] == "done"


def test_a_vm_that_moves_before_its_host_is_missed(world):
    """The host is believed to be there for three intervals more."""
    world.start_atomd(extra="introspect: {enabled: false}\n")
    old = Node(world, "host-a", {"vm1": "", "vm2": ""}, flood_of())
    wait_for(lambda: entries(world, old.uuids["vm2"]) == {"host-a": "good"}, 20, "it runs")
    old.pace = 1000  # it hangs
    Node(world, "host-b", {"vm2": ""}, flood_of(), uuids={"vm2": old.uuids["vm2"]})
    wait_for(lambda: entries(world, old.uuids["vm2"]) == {"host-a": "gone", "host-b": "good"}, 20, "it has come over")
    assert world.get("/api/v1/vms/vm2")["node"] == "host-b"


def test_two_nodes_that_claim_a_vm(world):
    """A person must not guess; what follows from an alarm stays with the node that it names."""
    world.start_atomd(extra="introspect: {sample: 100ms}\n")
    honest = Node(world, "host-b", {"vm1": "", "vm2": ""}, flood_of("vm2"))
    liar = Node(world, "host-a", {"evil": "", "vm3": ""}, flood_of(), uuids={"evil": honest.uuids["vm2"]})
    request = fixed(honest.receive(INTROSPECT, 40), 1)
    told = refused(world, 400, {"kind": "pause", "vm": str(honest.uuids["vm2"])})
    assert "both host-" in told and "say that they run the VM" in told, told
    number = order(world, "contain", "vm2", peer="10.0.0.9", expiry_seconds=60)  # a name that one has alone
    honest.outcome(fixed(honest.receive(ACT), 1))
    honest.findings(fixed(honest.receive(INTROSPECT), 1), LOOK)
    assert ended(world, number)["state"] == "done"
    world.post("/api/v1/actions", kind="release", undoes=number)
    honest.receive(ACT)
    honest.findings(request, LOOK)
    look = wait_for(lambda: looks(world)[0]["state"] == "done" and looks(world)[0], 20, "the look")
    assert look["vm"] == "vm2" and look["node"] == "host-b" and look["text"].startswith("vm2: "), look
    assert liar.next(0.5) is None, "the other one is asked nothing"


def test_a_name_that_is_the_uuid_of_another_vm(world):
    world.add_token("sam", "operator", "shop")
    world.start_atomd(extra="introspect: {enabled: false}\n")
    bank = Node(world, "host-b", {"vm2": "bank"}, flood_of())
    uuid = str(bank.uuids["vm2"])
    shop = Node(world, "host-a", {uuid: "shop"}, flood_of())
    wait_for(lambda: len(world.get("/api/v1/vms")["vms"]) == 2, 20, "both VMs")
    assert world.get(f"/api/v1/vms/{uuid}")["name"] == "vm2"
    number = order(world, "pause", uuid, why="bank business")
    bank.outcome(fixed(bank.receive(ACT), 1))
    action = ended(world, number)
    assert action["state"] == "done" and action["node"] == "host-b" and action["project"] == "bank", action
    assert get(world, "sam", f"/api/v1/actions/{number}")[0] == 404 and shop.next(0.2) is None
    assert get(world, "sam", "/api/v1/actions")[1]["actions"] == []
    assert get(world, "sam", f"/api/v1/vms/{uuid}")[1]["uuid"] == str(shop.uuids[uuid]), "its own it may call so"


def test_an_action_stays_its_projects(world):
    """Whoever the VM belongs to later, and when it is gone."""
    world.add_token("sam", "operator", "shop")
    world.add_token("bea", "operator", "bank")
    world.start_atomd(extra="introspect: {enabled: false}\n")
    node = Node(world, "host-a", {"vm1": "shop", "vm2": "shop"}, flood_of())
    wait_for(lambda: len(world.get("/api/v1/vms")["vms"]) == 2, 20, "both VMs")
    numbers = []
    for vm in ("vm1", "vm2"):
        numbers.append(order(world, "pause", vm))
        node.outcome(fixed(node.receive(ACT), 1))
        ended(world, numbers[-1])
    node.close()
    Node(world, "host-a", {"vm2": "bank"}, flood_of(), time_usec=node.watermark)
    wait_for(lambda: entries(world, node.uuids["vm1"]) == {"host-a": "gone"}, 20, "another epoch")
    for number in numbers:
        assert get(world, "sam", f"/api/v1/actions/{number}")[0] == 200
        assert get(world, "bea", f"/api/v1/actions/{number}")[0] == 404
    assert [action["id"] for action in get(world, "sam", "/api/v1/actions")[1]["actions"]] == numbers[::-1]


def test_a_verdict_of_others_is_no_more_than_that(world):
    """Alarm 1 is of the shop and the bank."""
    start_shared(world)
    given = world.post("/api/v1/alarms/1/verdict", verdict="malicious", note="bankvm did it")["verdict"]
    assert given["note"] == "bankvm did it" and given["project"] == "", given
    seen = get(world, "sam", "/api/v1/alarms/1")[1]["verdict"]
    assert seen["verdict"] == "malicious" and seen["time"] and not {"by", "note"} & set(seen), seen
    assert post(world, "bea", "/api/v1/alarms/2/verdict", verdict="malicious", note="ours")[0] == 200
    own = get(world, "bea", "/api/v1/alarms/2")[1]["verdict"]
    assert own["note"] == "ours" and own["by"] == "operator bea" and own["project"] == "bank", own


def bursts(vm, *times):
    """Values of a node of which that VM floods within these rows."""
    flooding, calm = flood_of(vm, row=0), flood_of()
    return lambda row, name: (flooding if any(first <= row < last for first, last in times) else calm)(row, name)


def start_apart(world):
    """An alarm of the shop's, which is over, and after it four of the bank's, in a group that both are in; the last one is open."""
    world.add_token("sam", "operator", "shop")
    world.add_token("bea", "operator", "bank")
    world.start_atomd(extra="introspect: {enabled: false}\nalarm: {reopen: 0}\n")
    Node(world, "host-shop", {"web": "shop", "web2": "shop"}, bursts("web", (80, 100)))
    wait_for(lambda: world.alarms() and world.alarms()[0]["closed"], 40, "the shop's alarm is over")
    both = Node(world, "host-a", {"shopvm": "shop", "shopvm2": "shop", "bankvm": "bank"},
                bursts("bankvm", (80, 100), (140, 160), (200, 220), (260, 10**9)))
    wait_for(lambda: len(world.alarms()) == 5, 60, "the bank's alarms")
    return both


def test_what_is_not_yours_is_not_there(world):
    start_apart(world)
    for number in (3, 5, 99):  # one that was followed by another one, one that is open, one that is none
        for path, body in (("notes", {"text": "x"}), ("verdict", {"verdict": "malicious"})):
            status, answer = post(world, "sam", f"/api/v1/alarms/{number}/{path}", **body)
            assert (status, answer["error"]) == (404, f"there is no alarm {number}"), (status, answer)
        assert refused(world, 400, {"kind": "pause", "vm": "shopvm", "alarm": number}, world.token("sam")) == \
            f"alarm {number} is not open and not the last one"
    assert post(world, "bea", "/api/v1/alarms/3/notes", text="x")[0] == 409
    assert [group["alarm"] for group in get(world, "sam", "/api/v1/groups")[1]["groups"]] == [None, None]
    assert [group["alarm"] for group in get(world, "bea", "/api/v1/groups")[1]["groups"]] == [5]
    count = {name: [(node["name"], node["vms"]) for node in get(world, name, "/api/v1/nodes")[1]["nodes"]] for name in ("sam", "bea", "tester")}
    assert count == {"sam": [("host-shop", 2), ("host-a", 2)], "bea": [("host-a", 1)], "tester": [("host-shop", 2), ("host-a", 3)]}, count


def test_a_limit_counts_what_is_seen(world):
    start_apart(world)
    shop = order(world, "pause", "shopvm")
    for _ in range(3):
        order(world, "pause", "bankvm")
    assert [alarm["id"] for alarm in get(world, "sam", "/api/v1/alarms?limit=1")[1]["alarms"]] == [1]
    assert [alarm["id"] for alarm in get(world, "bea", "/api/v1/alarms?limit=2")[1]["alarms"]] == [5, 4]
    assert [action["id"] for action in get(world, "sam", "/api/v1/actions?limit=1")[1]["actions"]] == [shop]
    assert [alarm["id"] for alarm in world.get("/api/v1/alarms?limit=2")["alarms"]] == [5, 4]
    assert len(world.get("/api/v1/actions?limit=3")["actions"]) == 3


def test_events_that_name_no_vm_are_told_without_their_text(world):
    start_apart(world)
    world.post("/api/v1/alarms/5/verdict", verdict="malicious", note="bankvm did it")
    for name, alarms in (("sam", [1]), ("bea", [2, 3, 4, 5])):
        told = get(world, name, "/api/v1/events?after=0&limit=1000")[1]
        assert sorted({event["alarm"] for event in told["events"]}) == alarms, told
        assert all(event["text"] == "" for event in told["events"]), "they may name others"
        detail = [(event["id"], event["event"]) for alarm in alarms for event in get(world, name, f"/api/v1/alarms/{alarm}")[1]["history"]]
        assert [(event["id"], event["event"]) for event in told["events"]] == detail, (told, detail)
        newest = get(world, name, "/api/v1/events?limit=2")[1]
        assert newest == {"events": told["events"][-2:], "last": told["last"]}, newest
        seen, last = [], 0  # bit by bit
        for _ in told["events"]:
            some = get(world, name, f"/api/v1/events?after={last}&limit=1")[1]
            seen, last = seen + some["events"], some["last"]
        assert seen == told["events"], (seen, told)
    kinds = [event["event"] for event in get(world, "bea", "/api/v1/events?after=0&limit=1000")[1]["events"]]
    assert kinds.count("opened") == 4 and kinds.count("cleared") == 3 and kinds.count("verdict") == 1, kinds


def test_what_is_kept_for_a_restart_is_not_shown(world):
    start_apart(world)
    world.post("/api/v1/alarms/5/verdict", verdict="normal")
    world.post("/api/v1/alarms/1/verdict", verdict="normal")
    for number in (1, 5):
        shown = world.get(f"/api/v1/alarms/{number}")
        assert shown["state"] == "normal" and not {"accepted_usec", "accepted_late", "earlier_level"} & set(shown), shown


def test_a_projects_receiver_hears_of_its_own_alone(world):
    """An order about a VM of the bank's that cites an alarm of the shop's."""
    shop, every = Receiver(), Receiver()
    world.start_atomd(extra=f"""introspect: {{sample: 100ms}}
notify:
- {{name: shop, kind: webhook, url: '{shop.url}', project: shop}}
- {{name: every, kind: webhook, url: '{every.url}'}}
""")
    node = Node(world, "host-a", {"shopvm": "shop", "bankvm": "bank"}, flood_of("shopvm"))
    node.findings(fixed(node.receive(INTROSPECT, 40), 1), LOOK)
    wait_for(lambda: looks(world)[0]["state"] == "done", 20, "the look")
    for vm in ("bankvm", "shopvm"):
        number = order(world, "pause", vm, alarm=1)
        node.outcome(fixed(node.receive(ACT), 1))
        ended(world, number)
    wait_for(lambda: [event for _, event in every.events()].count("action") == 4, 20, "two were ordered and done")
    wait_for(lambda: [event for _, event in shop.events()].count("action") == 2, 20, "one is the shop's")
    assert {"opened", "suspect"} <= {event for _, event in shop.events()}, shop.events()
    assert "bankvm" in json.dumps(every.accepted) and "bankvm" not in json.dumps(shop.accepted), shop.accepted
    shop.close()
    every.close()


if __name__ == "__main__":
    sys.exit(main([test_a_vm_that_moved_is_looked_into_and_acted_on, test_a_vm_that_moves_before_its_host_is_missed,
                   test_two_nodes_that_claim_a_vm, test_a_name_that_is_the_uuid_of_another_vm, test_an_action_stays_its_projects,
                   test_a_verdict_of_others_is_no_more_than_that,
                   test_what_is_not_yours_is_not_there, test_a_limit_counts_what_is_seen,
                   test_events_that_name_no_vm_are_told_without_their_text, test_what_is_kept_for_a_restart_is_not_shown,
                   test_a_projects_receiver_hears_of_its_own_alone]))
