#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whoever is killed when, and whatever is lost: an action is done once, nothing is forgotten, and each ends in a state that tells the
truth. Gates hold the stand-in of atom-vmi in the middle of its work; proxy.py is the line that fails."""
import signal
import sys

from acts import (PIDS, action, audited, called, calls, end, ended, in_state, journal, kills, opened, start, start_node, tell)
from harness import main, wait_for
from proxy import DOWN, UP, Proxy


def restart(world):
    world.kill(world.atomd)
    world.start_atomd(extra="introspect: {sample: 100ms}\n")


def ended_in_journal(world, count):
    """The node has done so many: what it says of it comes after."""
    wait_for(lambda: len([record for record in journal(world) if record["event"] == "ended"]) >= count, 20, f"{count} ended")


def looks_over(world, count):
    wait_for(lambda: len([line for line in world.log("atom-vmi.ended").splitlines() if line.startswith("ps ")]) >= count, 20,
             f"{count} looks")


def done_once(world, number, pid):
    done = ended(world, number)
    assert done["state"] == "done" and done["verified"] == f"a second look shows no process {pid} any more", done
    assert len(kills(world, pid)) == 1, calls(world)
    assert journal(world, number) == ["begun", "ended"]
    assert audited(world, number) == [("ordered", "ordered"), ("answered", "verifying"), ("ended", "done")]


def test_controller_is_killed_at_each_step(world):
    start(world)
    number = end(world, PIDS[0])
    restart(world)  # right after the order was taken
    done_once(world, number, PIDS[0])

    tell(world, kill={"gate": "go1"})
    number = end(world, PIDS[1])
    called(world, "kill", 2)
    restart(world)  # while the node works
    assert action(world, number)["state"] == "sent", action(world, number)
    opened(world, "go1")
    done_once(world, number, PIDS[1])

    tell(world, kill={"gate": "go2"})
    number = end(world, PIDS[2])
    called(world, "kill", 3)
    world.kill(world.atomd)  # the outcome finds nobody
    opened(world, "go2")
    ended_in_journal(world, 3)
    restart(world)
    done_once(world, number, PIDS[2])

    tell(world, kill={"gate": "go3"})
    number = end(world, PIDS[3])
    called(world, "kill", 4)
    world.atomd.send_signal(signal.SIGSTOP)  # the outcome is on its way
    opened(world, "go3")
    ended_in_journal(world, 4)
    restart(world)
    done_once(world, number, PIDS[3])


def test_controller_is_killed_before_the_second_look_is_over(world):
    start(world, gate="go1")
    number = end(world, PIDS[0])
    in_state(world, number, "verifying")
    restart(world)
    assert action(world, number)["state"] == "verifying", action(world, number)
    opened(world, "go1")
    done_once(world, number, PIDS[0])

    tell(world, gate="go2", kill={"exit": 4, "outcome": "armed", "error": "it sleeps"})
    number = end(world, PIDS[1])
    in_state(world, number, "verifying")
    restart(world)
    opened(world, "go2")
    pending = ended(world, number)
    assert pending["state"] == "pending" and "STILL" in pending["verified"], pending
    assert pending["reason"].endswith("it sleeps"), pending


def test_controller_is_killed_while_the_node_is_away(world):
    node = start(world)
    world.kill(node)
    wait_for(lambda: world.node("host-a")["state"] == "disconnected", 20, "the node is away")
    number = end(world, PIDS[0])
    assert action(world, number)["state"] == "ordered", action(world, number)
    restart(world)
    assert action(world, number)["state"] == "ordered", action(world, number)
    start_node(world)
    done_once(world, number, PIDS[0])


def test_node_is_killed_in_the_middle(world):
    node = start(world, kill={"gate": "go"})
    number = end(world, PIDS[0])
    called(world, "kill")
    world.kill(node)
    wait_for(lambda: world.node("host-a")["state"] == "disconnected", 20, "the node is away")
    assert action(world, number)["state"] == "sent", action(world, number)
    start_node(world)
    unknown = ended(world, number)
    assert unknown["state"] == "unknown" and "look again" in unknown["reason"], unknown
    assert unknown["verified"] == "a second look STILL shows process 214", unknown
    assert len(kills(world)) == 1 and journal(world, number) == ["begun", "interrupted"], calls(world)
    opened(world, "go")
    number = end(world, PIDS[1])
    done_once(world, number, PIDS[1])


def test_node_is_killed_before_it_began(world):
    node = start(world)
    node.send_signal(signal.SIGSTOP)
    number = end(world, PIDS[0])
    assert action(world, number)["state"] == "sent", "it was said to one who does not listen"
    world.kill(node)
    start_node(world)
    done_once(world, number, PIDS[0])


def test_node_is_killed_in_the_second_look(world):
    node = start(world, gate="go")
    number = end(world, PIDS[0])
    called(world, "ps")
    world.kill(node)
    wait_for(lambda: world.node("host-a")["state"] == "disconnected", 20, "the node is away")
    assert action(world, number)["state"] == "verifying", action(world, number)
    start_node(world)
    done_once(world, number, PIDS[0])
    opened(world, "go")


def through_proxy(world):
    proxy = Proxy(world.bus_port)
    start(world, port=proxy.port)
    return proxy


def test_what_is_said_is_lost(world):
    proxy = through_proxy(world)
    proxy.swallow(DOWN)  # the order
    number = end(world, PIDS[0])
    wait_for(lambda: proxy.swallowed[DOWN], 20, "the order is lost")
    assert action(world, number)["state"] == "sent" and not calls(world), action(world, number)
    proxy.cut()
    done_once(world, number, PIDS[0])

    tell(world, kill={"gate": "go1"})
    number = end(world, PIDS[1])
    called(world, "kill", 2)
    proxy.swallow(UP)  # the outcome
    opened(world, "go1")
    ended_in_journal(world, 2)
    assert action(world, number)["state"] == "sent", action(world, number)
    proxy.cut()
    done_once(world, number, PIDS[1])

    tell(world, gate="go2")
    number = end(world, PIDS[2])
    called(world, "ps", 3)
    proxy.swallow(UP)  # the findings of the second look
    opened(world, "go2")
    looks_over(world, 3)
    assert action(world, number)["state"] == "verifying", action(world, number)
    proxy.cut()
    done_once(world, number, PIDS[2])


def test_the_line_is_cut(world):
    proxy = through_proxy(world)
    proxy.cut(reopen=False)
    wait_for(lambda: world.node("host-a")["state"] == "disconnected", 20, "the node is away")
    number = end(world, PIDS[0])
    assert action(world, number)["state"] == "ordered" and not calls(world), action(world, number)
    proxy.open()
    done_once(world, number, PIDS[0])

    tell(world, kill={"gate": "go1"})
    number = end(world, PIDS[1])
    called(world, "kill", 2)
    proxy.cut(reopen=False)  # it works on, and ends alone
    opened(world, "go1")
    ended_in_journal(world, 2)
    proxy.open()
    done_once(world, number, PIDS[1])

    tell(world, kill={"gate": "go2"})
    number = end(world, PIDS[2])
    called(world, "kill", 3)
    frames = world.node("host-a")["frames"]
    proxy.cut()  # it is ordered again while it works on
    wait_for(lambda: world.node("host-a")["frames"] > frames + 5, 20, "the node is back")
    opened(world, "go2")
    done_once(world, number, PIDS[2])


def test_only_the_node_knows_that_the_line_is_cut(world):
    """It comes back while atomd takes the old connection for alive."""
    proxy = through_proxy(world)
    tell(world, kill={"gate": "go1"})
    number = end(world, PIDS[0])
    called(world, "kill")
    proxy.cut_near()
    wait_for(lambda: "trying again" in world.log("host-a.log"), 20, "the node knows")
    opened(world, "go1")
    done_once(world, number, PIDS[0])

    tell(world, gate="go2")
    number = end(world, PIDS[1])
    called(world, "ps", 2)
    proxy.cut_near()
    wait_for(lambda: world.log("host-a.log").count("trying again") == 2, 20, "the node knows")
    opened(world, "go2")
    done_once(world, number, PIDS[1])


if __name__ == "__main__":
    sys.exit(main([test_controller_is_killed_at_each_step, test_controller_is_killed_before_the_second_look_is_over,
                   test_controller_is_killed_while_the_node_is_away, test_node_is_killed_in_the_middle,
                   test_node_is_killed_before_it_began, test_node_is_killed_in_the_second_look, test_what_is_said_is_lost,
                   test_the_line_is_cut, test_only_the_node_knows_that_the_line_is_cut]))
