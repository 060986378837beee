#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""atom-node ordered to do something to its VMs, by a controller of a few lines and with scripts as its atom-vmi and nft."""
import json
import os
import signal
import sys

from harness import main, wait_for
from introspect_node_test import SETTINGS_OF_ALL, Controller, start_node
from peer import (ACT, CONTAIN, DONE, END_PROCESS, FAILED, OUTCOME, PAUSE, PENDING, REFUSED, RELEASE, SETTINGS, UNKNOWN,
                  answer_of, field, frame, parse, read_frame)

ALL = "rules: [{controllers: [controller], actions: [end-process, contain, pause, snapshot]}]"


class Orderer(Controller):
    def order(self, number, kind, vm, *fields):
        self.send(ACT, field(1, (number,)) + field(2, 5) + field(3, self.vms.get(vm, b"x" * 16)) + field(4, kind) +
                  field(6, 20000000) + field(7, b"operator anna") + b"".join(fields))

    def end_process(self, number, vm, pid=114, start=12345):
        self.order(number, END_PROCESS, vm, field(8, pid), field(9, (start,)), field(10, b"flood"))

    def outcome(self, seconds=10):
        """(action, status, reason, report)"""
        answer = self.receive(OUTCOME, seconds)
        return answer and answer_of(answer)


def connect(world):
    controller = Orderer(world)
    controller.accept()
    controller.settle()
    return controller


def again(controller):
    controller.accept()
    controller.settle()


def records(world):
    return [json.loads(line.split(" ", 1)[1]) for line in world.log("n1.journal").splitlines()]


def test_order_goes_by_policy_to_the_program(world):
    start_node(world, 'echo "$@" >>asked\nprintf "a\\0report"', ALL)
    controller = Orderer(world)
    controller.accept()
    controller.order(1, PAUSE, "vm1")
    controller.settle()
    controller.end_process(2, "vm1")
    assert controller.outcome() == (2, DONE, "", b"a\0report")
    controller.order(3, PAUSE, "nowhere")
    assert controller.outcome() == (3, REFUSED, "this node has no such VM", b"")
    controller.order(4, CONTAIN, "vm1", field(11, b"192.0.2.7"), field(14, 60000000))
    number, status, reason, _ = controller.outcome()
    assert (number, status) == (4, FAILED) and "no tap" in reason, reason  # a trace has none
    asked = world.log("asked")
    assert asked.startswith("kill ") and "--pid=114 --start=12345 --command=flood --encoded\n" in asked, asked
    assert [(each["action"], each["event"]) for each in records(world)] == [(2, "begun"), (2, "ended"), (4, "ended")]
    assert records(world)[0]["controller"] == "controller" and records(world)[0]["who"] == "operator anna"
    assert "an action comes before the settings" in world.log("n1.log")
    # of what is in no journal the log has it all
    uuid = "-".join(b"x".hex() * size for size in (4, 2, 2, 2, 6))
    assert f"action 3, alarm 5, ordered by operator anna (controller): pause of VM {uuid}\n" in world.log("n1.log")


def test_without_a_rule_nothing_is_done(world):
    start_node(world, "echo >>asked", "rules: [{controllers: [other], actions: [pause]}]")
    controller = connect(world)
    controller.order(1, PAUSE, "vm1")
    number, status, reason, _ = controller.outcome()
    assert (number, status) == (1, REFUSED) and "policy does not allow 'pause' of VM vm1" in reason, reason
    assert not os.path.exists(world.path("asked"))


def test_order_that_is_said_again_is_done_once(world):
    start_node(world, "echo >>asked\nsleep 1\nprintf report\nexit 4", ALL)
    controller = connect(world)
    controller.end_process(7, "vm1")
    wait_for(lambda: os.path.exists(world.path("asked")), 10, "the program runs")
    controller.close()
    again(controller)
    controller.end_process(7, "vm1")
    number, status, _, report = controller.outcome()
    assert (number, status, report) == (7, PENDING, b"report")
    assert controller.outcome(1) is None
    controller.end_process(7, "vm1")
    assert controller.outcome() == (7, PENDING, records(world)[-1]["reason"], b"report")
    assert world.log("asked") == "\n"


def test_killed_node_does_not_do_it_again(world):
    node = start_node(world, "echo >>asked\nsleep 2", ALL)
    controller = connect(world)
    controller.order(8, PAUSE, "vm1")
    wait_for(lambda: os.path.exists(world.path("asked")), 10, "the program runs")
    world.kill(node, signal.SIGKILL)
    controller.close()
    start_node(world, "echo >>asked", ALL)
    again(controller)
    controller.order(8, PAUSE, "vm1")
    number, status, reason, _ = controller.outcome()
    assert (number, status) == (8, UNKNOWN) and "look again" in reason, reason
    assert world.log("asked") == "\n"
    assert [each["event"] for each in records(world)] == ["begun", "interrupted"]


def test_ended_node_knows_what_it_did(world):
    node = start_node(world, "echo >>asked", ALL)
    controller = connect(world)
    controller.order(9, PAUSE, "vm1")
    assert controller.outcome()[:2] == (9, DONE)
    assert world.kill(node, signal.SIGTERM) == 0
    controller.close()
    start_node(world, "echo >>asked", ALL)
    again(controller)
    controller.order(9, PAUSE, "vm1")
    assert controller.outcome()[:2] == (9, DONE)
    controller.order(9, RELEASE, "vm1", field(15, (4,)))
    number, status, reason, _ = controller.outcome()
    assert (number, status) == (9, REFUSED) and "another order" in reason, reason
    assert world.log("asked") == "\n"


class Hasty(Orderer):
    """Says several things at once."""
    told = None

    def send(self, kind, message):
        if self.told is None:
            super().send(kind, message)
        else:
            self.told += frame(2, field(kind, message))

    def settle_and_order(self, number, kind, vm):
        self.told = b""
        self.send(SETTINGS, SETTINGS_OF_ALL)
        self.order(number, kind, vm)
        self.ask(number, vm, "ps")
        told, self.told = self.told, None
        self.line.sendall(told)
        self.read_epoch()


def test_order_before_the_vms_are_known_is_not_refused(world):
    node = start_node(world, "echo >>asked", ALL)
    controller = Hasty(world)
    controller.accept()
    controller.settle()
    world.kill(node, signal.SIGTERM)
    controller.close()
    start_node(world, "echo >>asked", ALL)
    controller.accept()
    controller.settle_and_order(8, PAUSE, "vm1")
    controller.order(8, PAUSE, "vm1")
    assert controller.outcome()[:2] == (8, DONE)
    assert "an action comes before it is known which VMs there are" in world.log("n1.log")
    assert "a request to look into a VM comes before it is known" in world.log("n1.log")


def test_answer_that_finds_a_full_queue_is_not_lost(world):
    start_node(world, "head -c 4000000 /dev/zero", ALL)
    controller = connect(world)
    numbers = range(1, 21)
    for number in numbers:
        controller.end_process(number, "vm1")
    wait_for(lambda: "is not sent" in world.log("n1.log"), 30, "the queue is full")
    answered = set()
    try:
        while (told := read_frame(controller.stream)) and told[0] == 2:
            envelope = parse(told[1])
            if OUTCOME in envelope:
                answered.add(answer_of(parse(envelope[OUTCOME][0]))[0])
    except OSError:
        pass  # it has ended
    assert answered and answered != set(numbers), answered
    controller.close()
    again(controller)
    for number in numbers:
        controller.end_process(number, "vm1")
    left = set(numbers)
    while left:
        number, status, _, _ = controller.outcome()
        assert status == DONE
        left.discard(number)


if __name__ == "__main__":
    sys.exit(main([test_order_goes_by_policy_to_the_program, test_without_a_rule_nothing_is_done,
                   test_order_that_is_said_again_is_done_once, test_killed_node_does_not_do_it_again,
                   test_ended_node_knows_what_it_did, test_order_before_the_vms_are_known_is_not_refused,
                   test_answer_that_finds_a_full_queue_is_not_lost]))
