#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Alarms from traces: the recorded flood, restarts in mid-alarm, groups over several nodes."""
import os
import sys

from harness import main, make_trace, wait_for

RECORDING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "ci2min.csv")


def abnormal(detail):
    return {(column["vm"], column["metric"], column["direction"])
            for column in detail["columns"] if column["abnormal"]}


def test_recorded_flood_is_alarmed_and_named(world):
    world.start_atomd(interval="1s")
    world.start_node("host-a", RECORDING, speed=10).wait(40)
    alarms = world.alarms()
    assert len(alarms) == 1, alarms
    detail = world.get(f"/api/v1/alarms/{alarms[0]['id']}")
    named = abnormal(detail)
    assert {("vm2", "NetworkIn", "up"), ("vm3", "NetworkIn", "up"),
            ("vm2", "CPUUtilization", "up"), ("vm3", "CPUUtilization", "up")} <= named, named
    assert not any(vm == "vm1" for vm, _, _ in named), named
    assert detail["state"] == "cleared" and 20 <= detail["level"] <= 30, detail["level"]
    assert detail["spe"] > detail["q"] > 0
    assert [event["event"] for event in detail["history"]][0] == "opened"
    text = world.atom("alarm", "show", str(detail["id"]))
    assert "vm3" in text.splitlines()[0] and "up" in text.splitlines()[0]


def flood_from(row):
    def change(now, vm, values):
        if vm == "vm2" and now >= row:
            values[1] *= 8
            values[0] += 60
        return values
    return change


def test_alarm_survives_a_killed_controller(world):
    trace = make_trace(world.path("trace.csv"), 600, change=flood_from(120))
    world.start_atomd()
    world.start_node("host-a", trace)
    alarm = wait_for(world.alarms, 30, "an alarm")[0]
    wait_for(lambda: world.alarms()[0]["level"] > 5, 10, "it goes on")
    world.kill(world.atomd)
    world.start_atomd()
    before = world.alarms()[0]["level"]
    group = world.group()
    assert group["window_rows"] == 60 and group["alarm"] == alarm["id"], group
    frames = wait_for(lambda: (world.node("host-a") or {}).get("frames"), 10, "frames")
    wait_for(lambda: world.alarms()[0]["level"] > before or
             world.node("host-a")["frames"] > frames + 5, 10, "rows")
    assert len(world.alarms()) == 1, world.alarms()
    assert world.alarms()[0]["level"] > before, "no row was lost to learning"
    events = [event["event"]
              for event in world.get(f"/api/v1/alarms/{alarm['id']}")["history"]]
    assert events[0] == "opened" and "resumed" in events, events


def test_group_over_two_nodes(world):
    first = make_trace(world.path("a.csv"), 500, vms=("web1", "db1"), change=flood_from(9999))
    second = make_trace(world.path("b.csv"), 500, vms=("web2",), seed=2,
                        change=lambda row, vm, values:
                        [value * (4 if row >= 150 else 1) for value in values])
    world.start_atomd(extra="groups:\n  - {name: web, vm: 'web*'}\n")
    world.start_node("host-a", first)
    world.start_node("host-b", second)
    wait_for(lambda: (world.get("/api/v1/groups/web") or {}).get("columns") == 14, 15, "14 columns")
    alarm = wait_for(world.alarms, 40, "an alarm")[0]
    assert alarm["group"] == "web" and alarm["summary"].startswith("web2"), alarm


if __name__ == "__main__":
    sys.exit(main([test_recorded_flood_is_alarmed_and_named,
                   test_alarm_survives_a_killed_controller, test_group_over_two_nodes]))
