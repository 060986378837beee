#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node that lies, or says things twice or unasked: nodes of a few lines (peer.py) against the real atomd."""
import random
import sys

from acts import LOOK, action, actions, end, ended, order
from harness import main, wait_for
from introspect_test import looks
from peer import ACT, DONE, FAILED, INTROSPECT, REFUSED, Node, fixed

CALM = {"top": [dict(LOOK["top"][1])], "ps": LOOK["ps"][:2]}


def flood_of(*vms, row=80):
    """Values of a node: those VMs flood from that row on."""
    def values(now, vm):
        source = random.Random(f"{vm} {now}")
        load = 10 + 3 * source.gauss(0, 1)
        told = [load + source.gauss(0, 1), 5000 + 300 * load + source.gauss(0, 500), 90000 + 5000 * load + source.gauss(0, 5000),
                5 + source.random(), 2 + source.random(), 250000 + source.gauss(0, 9000), 40000 + source.gauss(0, 9000)]
        if vm in vms and now >= row:
            told[0] += 60
            told[2] *= 8
        return told
    return values


def start(world, *vms):
    """atomd and an honest node of which these VMs flood."""
    world.start_atomd(extra="introspect: {sample: 100ms}\n")
    return Node(world, "host-a", {"vm1": "", "vm2": ""}, flood_of(*vms))


def liar(world):
    return Node(world, "host-b", {"evil": ""}, flood_of(), pace=0.1)


def is_shut_out(world, node):
    wait_for(lambda: node.ended, 20, "the connection of the liar is ended")
    assert "answers for" in node.farewell and "another" in node.farewell, node.farewell
    wait_for(lambda: world.node("host-b")["state"] == "disconnected", 20, "and known to be")


def test_findings_about_a_vm_of_another_node(world):
    honest = start(world, "vm2")
    request = fixed(honest.receive(INTROSPECT, 40), 1)
    false = liar(world)
    false.findings(request, CALM)
    is_shut_out(world, false)
    assert looks(world)[0]["state"] == "asked", looks(world)
    honest.findings(request, LOOK)
    look = wait_for(lambda: looks(world)[0]["state"] == "done" and looks(world)[0], 20, "the true answer")
    assert look["suspects"][0]["pid"] == 214 and not honest.ended, look


def test_outcome_of_an_action_at_another_node(world):
    honest = start(world)
    wait_for(lambda: world.get("/api/v1/vms/vm2"), 20, "the VM")
    number = end(world)
    told = honest.receive(ACT)
    wire = action(world, number)["number"]
    assert fixed(told, 1) == wire and told[3][0] == honest.uuids["vm2"].bytes and told[8] == [214], told
    false = liar(world)
    false.outcome(wire, FAILED, "no")
    is_shut_out(world, false)
    assert action(world, number)["state"] == "sent", action(world, number)
    honest.outcome(wire, DONE)
    request = fixed(honest.receive(INTROSPECT), 1)
    false = liar(world)
    false.findings(request, LOOK)
    is_shut_out(world, false)
    assert action(world, number)["state"] == "verifying", action(world, number)
    honest.findings(request, CALM)
    done = ended(world, number)
    assert done["state"] == "done" and done["verified"] == "a second look shows no process 214 any more", done
    assert not honest.ended


def test_the_first_answer_counts(world):
    honest = start(world, "vm2")
    request = fixed(honest.receive(INTROSPECT, 40), 1)
    honest.findings(request, LOOK)
    honest.findings(request, CALM)
    honest.findings(request, status=REFUSED, reason="on second thoughts")
    wait_for(lambda: looks(world)[0]["state"] == "done", 20, "an answer")
    number = order(world, "pause")
    wire = fixed(honest.receive(ACT), 1)
    honest.outcome(wire, REFUSED, "no")
    honest.outcome(wire, DONE)
    refused = ended(world, number)
    wait_for(lambda: f"an answer about action {wire} that nobody waits for" in world.log("atomd.log"), 20, "the second is passed over")
    assert action(world, number) == refused and refused["state"] == "refused", action(world, number)
    number = end(world)
    wire = fixed(honest.receive(ACT), 1)
    honest.outcome(wire, DONE)
    honest.outcome(wire, FAILED, "no")  # while it is verified
    request = fixed(honest.receive(INTROSPECT), 1)
    honest.findings(request, CALM)
    honest.findings(request, LOOK)
    assert ended(world, number)["state"] == "done", action(world, number)
    look = looks(world)[0]
    assert look["state"] == "done" and look["suspects"][0]["pid"] == 214, look
    assert not honest.ended and len(world.alarms()) == 1


def test_answers_that_nobody_asked_for(world):
    honest = start(world)
    wait_for(lambda: world.get("/api/v1/vms/vm2"), 20, "the VM")
    honest.outcome(12345, DONE)
    honest.findings(12345, LOOK)
    wait_for(lambda: "an answer about action 12345 that nobody waits for" in world.log("atomd.log"), 20, "it is logged")
    assert not actions(world)
    number = end(world, evidence=True)
    first = action(world, number)["after"]
    wire = fixed(honest.receive(ACT), 1)
    assert wire == action(world, first)["number"], "the evidence comes first"
    honest.outcome(action(world, number)["number"], DONE)  # which was never sent
    honest.outcome(wire, DONE)
    wire = fixed(honest.receive(ACT), 1)
    assert wire == action(world, number)["number"] and action(world, number)["state"] == "sent", action(world, number)
    honest.outcome(wire, REFUSED, "it is another process")
    assert ended(world, number)["state"] == "refused" and not honest.ended


def test_nothing_is_asked_before_the_vms_are_told(world):
    """A node that has just begun would answer that it has no such VM."""
    honest = start(world, "vm2")
    honest.receive(INTROSPECT, 40)
    honest.close()
    wait_for(lambda: world.node("host-a")["state"] == "disconnected", 20, "it is away")
    number = end(world)
    again = Node(world, "host-a", {"vm1": "", "vm2": ""}, flood_of("vm2", row=0), tells=False,
                 time_usec=honest.watermark)
    assert again.next(1) is None, "it would be too early"
    assert action(world, number)["state"] == "ordered", action(world, number)
    again.begin()
    kinds = {again.next()[0] for _ in range(2)}
    assert kinds == {ACT, INTROSPECT}, kinds


if __name__ == "__main__":
    sys.exit(main([test_findings_about_a_vm_of_another_node, test_outcome_of_an_action_at_another_node, test_the_first_answer_counts,
                   test_answers_that_nobody_asked_for, test_nothing_is_asked_before_the_vms_are_told]))
