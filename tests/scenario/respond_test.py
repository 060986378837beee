#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of atomd.yaml for what is done without asking: announced, vetoed or ordered, within their bounds, and never twice."""
import sys

from acts import (action, actions, audit, audited, called, empty_disk, ended, fill_disk, history, in_state, journal, kills, opened,
                  start, tell)
from harness import main, wait_for
from introspect_test import FLOOD, answered, calls, flood
from proxy import Proxy

WINDOW = 240  # so that after a restart in an alarm there are still enough rows of before it
STOP = "respond: [{name: stop, action: end-process, grace: 1s}]\n"


def rules(*texts):
    return "respond:\n" + "".join(f"  - {{{text}}}\n" for text in texts)


def alarmed(world, atomd, vms=("vm2",), speed=5, **told):
    """A node whose VMs flood, and rules."""
    return start(world, change=flood(vms), speed=speed, window=WINDOW, atomd=atomd, **told)


def restart(world, atomd):
    world.kill(world.atomd)
    world.start_atomd(window=WINDOW, extra="introspect: {sample: 100ms}\n" + atomd)


def announced(world, count=1):
    return wait_for(lambda: len(actions(world)) >= count and actions(world), 40, f"{count} actions")


def pass_rows(world, count=25):
    before = world.node("host-a")["frames"]
    wait_for(lambda: world.node("host-a")["frames"] >= before + count, 40, f"{count} rows")


def not_done(world):
    return [event["text"] for event in history(world) if event["event"] == "not done"]


def test_without_a_rule_nothing_is_done(world):
    alarmed(world, "")
    wait_for(lambda: answered(world), 40, "a look")
    pass_rows(world)
    assert not actions(world) and not audit(world)


def test_a_veto_holds(world):
    slow = STOP.replace("1s", "60s")
    alarmed(world, slow)
    first = announced(world)[0]
    assert first["state"] == "announced" and first["by"] == "rule stop" and first["due"] > first["made"], first
    assert first["arguments"] == {"pid": 214, "start_nsec": 5000000000, "command": "ab"} and first["why"].startswith("score "), first
    assert any(event["event"] == "announced" and "end process 214 (ab) of vm2" in event["text"] for event in history(world))
    fill_disk(world)
    status, told = world.request("POST", "/api/v1/actions/1/veto", {})
    assert status == 503 and "cannot be recorded" in told["error"], (status, told)
    status, told = world.request("POST", "/api/v1/alarms/1/verdict", {"verdict": "malicious"})
    assert status == 503 and "cannot be recorded" in told["error"], (status, told)
    empty_disk(world)
    vetoed = ended(world, 1)
    assert vetoed["state"] == "vetoed" and vetoed["reason"] == "vetoed by admin tester", vetoed
    assert world.request("POST", "/api/v1/actions/1/veto", {})[0] == 409
    restart(world, slow)
    wait_for(lambda: world.node("host-a")["state"] == "connected", 20, "the node")
    pass_rows(world)
    assert len(actions(world)) == 1 and action(world, 1)["state"] == "vetoed" and not kills(world), actions(world)
    assert audited(world, 1) == [("announced", "announced"), ("ended", "vetoed")], audit(world)


def test_normal_withdraws_what_is_announced(world):
    alarmed(world, STOP.replace("1s", "4s"))
    announced(world)
    world.post("/api/v1/alarms/1/verdict", verdict="normal")
    vetoed = ended(world, 1)
    assert vetoed["state"] == "vetoed" and "judged normal" in vetoed["reason"], vetoed
    pass_rows(world, 60)
    assert not kills(world) and audited(world, 1) == [("announced", "announced"), ("ended", "vetoed")], audit(world)


def test_a_rule_acts_once_whatever_restarts(world):
    """atomd is killed in every state that an action of a rule goes through."""
    proxy = Proxy(world.bus_port)
    slow = STOP.replace("1s", "3s")
    alarmed(world, slow, speed=2, port=proxy.port, gate="go0")
    wait_for(lambda: calls(world), 40, "the look")
    tell(world, kill={"gate": "go1"}, gate="go2")
    opened(world, "go0")
    announced(world)
    proxy.cut(reopen=False)
    restart(world, slow)
    assert action(world, 1)["state"] == "announced", action(world, 1)
    in_state(world, 1, "ordered")
    restart(world, slow)
    assert action(world, 1)["state"] == "ordered", action(world, 1)
    proxy.open()
    called(world, "kill")
    in_state(world, 1, "sent")
    restart(world, slow)
    opened(world, "go1")
    in_state(world, 1, "verifying")
    restart(world, slow)
    opened(world, "go2")
    done = ended(world, 1)
    assert done["state"] == "done" and done["verified"] == "a second look shows no process 214 any more", done
    pass_rows(world)
    assert not world.alarms()[0]["closed"], "the alarm is still there to act upon"
    assert len(actions(world)) == 1 and len(kills(world)) == 1 and journal(world, 1) == ["begun", "ended"], actions(world)
    assert audited(world, 1) == [("announced", "announced"), ("announced", "announced"), ("ordered", "ordered"), ("answered", "verifying"), ("ended", "done")]
    events = [event["event"] for event in history(world)]
    assert [event for event in events if event in ("announced", "ordered", "done", "verified")] == \
        ["announced", "announced", "ordered", "done", "verified"], events


def test_evidence_comes_first(world):
    told = STOP.replace("1s", "1s, evidence: true")
    alarmed(world, told, snapshot={"gate": "go"})
    called(world, "snapshot")
    in_state(world, 2, "waiting")
    restart(world, told)
    assert action(world, 2)["state"] == "waiting" and not kills(world), actions(world)
    opened(world, "go")
    assert ended(world, 2)["state"] == "done", action(world, 2)
    assert [call.split(" ")[0] for call in calls(world)][1:] == ["snapshot", "kill", "ps"], calls(world)


def test_only_the_rule_that_fits_acts(world):
    weak = {"top": [dict(FLOOD["top"][0], cpu_percent=20.0, connections=0, opened=0, sent_per_sec=0),
                    dict(FLOOD["top"][1], cpu_percent=20.0)], "ps": FLOOD["ps"]}
    alarmed(world, rules("name: score, action: pause", "name: playbook, min_score: 0.3, playbook: disk, action: pause",
                         "name: group, min_score: 0.3, group: 'web*', action: pause",
                         "name: vm, min_score: 0.3, vm: vm1, action: pause",
                         "name: project, min_score: 0.3, project: 'shop*', action: pause",
                         "name: fits, min_score: 0.3, playbook: cpu, group: 'host-?', vm: 'vm[2]', action: pause, grace: 1s"),
            tables=weak)
    first = announced(world)[0]
    assert first["by"] == "rule fits" and first["kind"] == "pause" and first["arguments"] == {}, first
    assert ended(world, first["id"])["state"] == "done"
    pass_rows(world)
    assert len(actions(world)) == 1 and [call.split(" ")[0] for call in calls(world)][1:] == ["pause"], calls(world)


def test_the_flow_of_a_pattern_is_contained(world):
    alarmed(world, rules("name: cut, action: contain, for: 90s, rate: 5, grace: 1s"))
    cut = announced(world)[0]
    assert cut["arguments"] == {"peer": "10.0.0.9", "expiry_seconds": 90, "rate": 5}, cut
    cut = ended(world, cut["id"])
    assert cut["state"] == "failed" and "no tap" in cut["reason"], "a trace has none"
    assert any(event["event"] == "failed" and "no tap" in event["text"] for event in history(world)), history(world)


def test_not_more_in_an_hour_than_it_may(world):
    """Also across a restart, which comes before the second VM's look is over."""
    alarmed(world, STOP, vms=("vm2", "vm3"), gate="go1")
    wait_for(lambda: calls(world), 40, "the first look")
    tell(world, gate="go2", kill={"stays": True})
    opened(world, "go1")
    first = announced(world)[0]
    in_state(world, first["id"], "verifying")
    restart(world, STOP)
    opened(world, "go2")
    wait_for(lambda: answered(world, 2), 40, "the second look")
    wait_for(lambda: not_done(world), 20, "the rule says that it does nothing")
    assert "as often as it may within an hour" in not_done(world)[0], not_done(world)
    assert ended(world, first["id"])["state"] == "done"
    assert len(actions(world)) == 1 and len(kills(world)) == 1, actions(world)


def test_evidence_does_not_count(world):
    alarmed(world, STOP.replace("1s", "1s, evidence: true, per_hour: 2"), vms=("vm2", "vm3"), kill={"stays": True})
    wait_for(lambda: answered(world, 2), 40, "two looks")
    made = announced(world, 4)
    assert [each["kind"] for each in made] == ["snapshot", "end-process"] * 2, made
    for each in made:
        assert ended(world, each["id"])["state"] == "done", action(world, each["id"])
    assert len(kills(world)) == 2 and not not_done(world), history(world)


if __name__ == "__main__":
    sys.exit(main([test_without_a_rule_nothing_is_done, test_a_veto_holds, test_normal_withdraws_what_is_announced, test_a_rule_acts_once_whatever_restarts,
                   test_evidence_comes_first, test_only_the_rule_that_fits_acts,
                   test_the_flow_of_a_pattern_is_contained, test_not_more_in_an_hour_than_it_may, test_evidence_does_not_count]))
