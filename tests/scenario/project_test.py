#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tokens of two projects whose VMs are in one group, and in one alarm: each sees and acts on its own alone. Everything that names
something of the bank, its VMs, processes, notes and nodes, has "bank" in it, and so for the shop: what an answer must not hold is
looked for in the whole of it."""
import json
import sys

from acts import LOOK, ended, order, refused
from harness import main, wait_for
from introspect_test import looks
from liar_test import flood_of
from peer import ACT, INTROSPECT, Node, fixed

RULE = "respond: [{name: freeze, action: pause, vm: bankvm, grace: 60s}]\n"


def look_of(project):
    """What is found in a VM of it: a flood by a process of that name."""
    def named(row):
        return {key: f"{project}-ab" if value == "ab" else value for key, value in row.items()}
    return {name: [named(row) for row in rows] for name, rows in LOOK.items()}


def start(world):
    """A node with a VM of each, and in each a 'web'; another one of the bank's alone. Two alarms: of both, and of the bank's."""
    world.add_token("sam", "operator", "shop")
    world.add_token("bea", "operator", "bank")
    world.add_token("ada", "admin", "shop")
    world.start_atomd(extra=f"introspect: {{sample: 100ms}}\n{RULE}")
    both = Node(world, "host-a", {"shopvm": "shop", "bankvm": "bank", "web": "shop"}, flood_of("shopvm", "bankvm"))
    for _ in range(2):
        told = both.receive(INTROSPECT, 40)
        project = "shop" if told[3][0] == both.uuids["shopvm"].bytes else "bank"
        both.findings(fixed(told, 1), look_of(project))
    wait_for(lambda: [look["state"] for look in looks(world)] == ["done", "done"], 20, "both looks")
    own = Node(world, "host-bank", {"bankvm2": "bank", "web": "bank"}, flood_of("bankvm2"))
    own.findings(fixed(own.receive(INTROSPECT, 40), 1), look_of("bank"))
    wait_for(lambda: len(world.alarms()) == 2 and looks(world)[0]["state"] == "done", 20, "the bank's own alarm")
    return both, own


def get(world, name, path):
    return world.request("GET", path, token=world.token(name))


def post(world, name, path, **body):
    return world.request("POST", path, body, token=world.token(name))


def all_paths(world):
    """Every answer of the API about VMs, groups, alarms and actions, as the admin knows them."""
    paths = ["/api/v1/" + name for name in ("status", "nodes", "vms", "groups", "alarms", "events?after=0&limit=1000", "actions")]
    paths += [f"/api/v1/vms/{vm['uuid']}{tail}" for vm in world.get("/api/v1/vms")["vms"] for tail in ("", "/metrics/NetworkOut")]
    paths += [f"/api/v1/vms/{name}" for name in ("web", "shopvm", "bankvm", "bankvm2", "bankvm/metrics/NetworkOut")]
    paths += [f"/api/v1/groups/{group['name']}" for group in world.get("/api/v1/groups")["groups"]]
    paths += [f"/api/v1/alarms/{alarm['id']}" for alarm in world.alarms()]
    paths += [f"/api/v1/actions?alarm={alarm['id']}" for alarm in world.alarms()]
    return paths + [f"/api/v1/actions/{action['id']}" for action in world.get("/api/v1/actions")["actions"]]


def test_each_sees_its_own(world):
    start(world)
    bank = order(world, "pause", "bankvm", alarm=1, why="bank business")
    shop = order(world, "pause", "shopvm", alarm=1, why="shop business")
    assert post(world, "sam", "/api/v1/alarms/1/notes", text="a shop's note")[0] == 200
    assert post(world, "bea", "/api/v1/alarms/1/notes", text="a bank's note")[0] == 200
    assert [world.get("/api/v1/alarms/1")["notes"][i]["text"] for i in (0, 1)] == ["a shop's note", "a bank's note"]
    for path in all_paths(world):
        status, answer = get(world, "sam", path)
        if "bank" in path:
            assert status == 404, (path, status, answer)
            answer["error"] = answer["error"].replace(path.split("/")[4], "")
        assert "bank" not in json.dumps(answer), (path, answer)
        status, answer = get(world, "bea", path)
        assert "shop" not in json.dumps(answer).replace("no VM is called 'shopvm'", ""), (path, answer)
    for name, vm, own in (("sam", "shopvm", shop), ("bea", "bankvm", bank)):
        alarm = get(world, name, "/api/v1/alarms/1")[1]
        assert {column["vm"] for column in alarm["columns"] if column["abnormal"]} == {vm}, alarm["columns"]
        assert [look["vm"] for look in alarm["introspection"]] == [vm] and alarm["introspection"][0]["suspects"], alarm
        assert vm in alarm["summary"] and len(alarm["notes"]) == 1, alarm
        assert own in alarm["actions"] and own in [each["id"] for each in get(world, name, "/api/v1/actions")[1]["actions"]], alarm
        events = get(world, name, "/api/v1/events?after=0&limit=1000")[1]["events"]
        assert {"introspecting", "suspect", "ordered"} <= {event["event"] for event in events}, events
    assert [alarm["id"] for alarm in get(world, "sam", "/api/v1/alarms")[1]["alarms"]] == [1]
    assert [alarm["id"] for alarm in get(world, "bea", "/api/v1/alarms")[1]["alarms"]] == [2, 1]
    assert get(world, "sam", "/api/v1/alarms/2")[0] == 404 and get(world, "sam", f"/api/v1/actions/{bank}")[0] == 404
    for path in ("/metrics", "/api/v1/audit"):
        assert get(world, "ada", path)[0] == 403, path


def test_each_acts_on_its_own(world):
    both, own = start(world)
    frozen = wait_for(lambda: world.get("/api/v1/actions")["actions"], 20, "the rule's action")[0]
    assert frozen["vm"] == "bankvm" and frozen["state"] == "announced", frozen
    assert post(world, "sam", f"/api/v1/actions/{frozen['id']}/veto")[0] == 404
    for name in ("sam", "bea"):
        assert post(world, name, "/api/v1/alarms/1/verdict", verdict="normal")[0] == 403, "it names VMs of the other too"
    assert post(world, "sam", "/api/v1/alarms/2/verdict", verdict="normal")[0] == 404
    assert post(world, "sam", "/api/v1/alarms/2/notes", text="hello")[0] == 404
    sam = world.token("sam")
    for vm in ("bankvm", "bankvm2", str(both.uuids["bankvm"]), "nobody"):
        assert refused(world, 404, {"kind": "pause", "vm": vm}, sam) == f"no VM is called '{vm}'"
    assert str(own.uuids["web"]) in refused(world, 400, {"kind": "pause", "vm": "web"}), "the admin must say which"
    told = refused(world, 400, {"kind": "pause", "vm": "shopvm", "alarm": 2}, sam)
    assert told == "alarm 2 is not open and not the last one", told
    status, contained = post(world, "bea", "/api/v1/actions", kind="contain", vm="bankvm", peer="10.0.0.9", expiry_seconds=60)
    assert status == 202 and contained["by"] == "operator bea", contained
    both.outcome(fixed(both.receive(ACT), 1))
    refused(world, 404, {"kind": "release", "undoes": contained["id"]}, sam)
    both.findings(fixed(both.receive(INTROSPECT), 1), look_of("bank"))
    assert ended(world, contained["id"])["state"] == "done"
    status, paused = post(world, "sam", "/api/v1/actions", kind="pause", vm="web", alarm=1)
    assert status == 202 and both.receive(ACT)[3][0] == both.uuids["web"].bytes, paused
    assert post(world, "bea", f"/api/v1/actions/{frozen['id']}/veto")[1]["reason"] == "vetoed by operator bea"
    status, alarm = post(world, "bea", "/api/v1/alarms/2/verdict", verdict="malicious")
    assert status == 200 and alarm["verdict"]["by"] == "operator bea", alarm


if __name__ == "__main__":
    sys.exit(main([test_each_sees_its_own, test_each_acts_on_its_own]))
