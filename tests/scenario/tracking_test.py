#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The guarantee end to end, silence, restarts, names, life cycles: real programs, counters from traces."""
import csv
import signal
import sys
import time
import urllib.parse

from harness import METRICS, epoch_msec, main, make_trace, wait_for


def read_points(world, vm, metric, start, end):
    query = urllib.parse.urlencode({"from": start, "to": end, "limit": 100000})
    return world.get(f"/api/v1/vms/{vm}/metrics/{metric}?{query}")["points"]


def check_guarantee(world, trace, outages=()):
    """Every cell of the trace lies within delta of what the API says was in force then; rows of outages
    (milliseconds, from and to) are left out."""
    with open(trace, encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    checked = 0
    for column in rows[0]:
        if column == "t":
            continue
        vm, metric = column.rsplit(".", 1)
        points = read_points(world, vm, metric, float(rows[0]["t"]) - 1, float(rows[-1]["t"]) + 1)
        times = [epoch_msec(point["time"]) for point in points]
        position = -1
        for row in rows:
            now = round(float(row["t"]) * 1000)
            while position + 1 < len(times) and times[position + 1] <= now:
                position += 1
            if position < 0 or not row[column] or any(start < now < end for start, end in outages):
                continue
            point = points[position]
            assert point["state"] == "good", f"{column} at {row['t']}: {point}"
            error = abs(float(row[column]) - point["value"])
            assert error <= point["delta"], f"{column} at {row['t']}: {error} > {point['delta']}"
            checked += 1
    return checked


def test_guarantee_holds_end_to_end(world):
    trace = make_trace(world.path("trace.csv"), 300)
    world.start_atomd()
    node = world.start_node("host-a", trace, speed=20, start="recorded")
    assert node.wait(30) == 0, "the node ends with its trace"
    checked = check_guarantee(world, trace)
    assert checked > 299 * 21 * 0.99, checked
    status = world.get("/api/v1/status")
    assert status["samples"] > 6000 and status["values_received"] < 0.95 * status["samples"]


def test_gaps_and_resets_are_gaps(world):
    def change(row, vm, values):
        if vm == "vm2" and 20 <= row < 25:
            values[1] = None
        return values

    trace = make_trace(world.path("trace.csv"), 60, change=change)
    world.start_atomd()
    world.start_node("host-a", trace, speed=10, start="recorded").wait(30)
    with open(trace, encoding="utf-8") as stream:
        times = [row["t"] for row in csv.DictReader(stream)]
    points = read_points(world, "vm2", "NetworkIn", times[0], float(times[-1]) + 1)
    gaps = [point for point in points if point["state"] == "gap"]
    assert len(gaps) == 1 and epoch_msec(gaps[0]["time"]) == round(float(times[20]) * 1000)
    after = points[points.index(gaps[0]) + 1]
    assert after["state"] == "good" and epoch_msec(after["time"]) == round(float(times[25]) * 1000)


def test_silent_node_is_stale_and_comes_back_good(world):
    trace = make_trace(world.path("trace.csv"), 600)
    world.start_atomd()
    node = world.start_node("host-a", trace)
    wait_for(lambda: (world.node("host-a") or {}).get("frames", 0) > 20, 10, "frames")
    epoch = world.node("host-a")["epoch"]
    world.kill(node)
    wait_for(lambda: world.get("/api/v1/vms/vm1")["state"] == "stale", 5, "stale")
    series = world.get("/api/v1/vms/vm1")["series"]["NetworkOut"]
    assert series["state"] == "stale"
    assert "stale" in world.atom("metric", "vm1")
    world.start_node("host-a", trace)
    wait_for(lambda: world.get("/api/v1/vms/vm1")["state"] == "good", 10, "good again")
    node = world.node("host-a")
    assert node["epoch"] > epoch and node["state"] == "connected"
    assert all(one["state"] == "good"
               for one in world.get("/api/v1/vms/vm1")["series"].values())


def test_stopped_node_is_stale_and_must_begin_anew(world):
    trace = make_trace(world.path("trace.csv"), 600)
    world.start_atomd()
    node = world.start_node("host-a", trace)
    wait_for(lambda: (world.node("host-a") or {}).get("frames", 0) > 10, 10, "frames")
    epoch = world.node("host-a")["epoch"]
    node.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: world.node("host-a")["state"] == "stale", 5, "stale while connected")
    finally:
        node.send_signal(signal.SIGCONT)
    wait_for(lambda: world.node("host-a")["epoch"] > epoch and
             world.get("/api/v1/vms/vm1")["state"] == "good", 15, "a new epoch")


def test_controller_restart_keeps_the_guarantee(world):
    trace = make_trace(world.path("trace.csv"), 400)
    world.start_atomd()
    node = world.start_node("host-a", trace)
    wait_for(lambda: (world.node("host-a") or {}).get("frames", 0) > 20, 10, "frames")
    node.send_signal(signal.SIGSTOP)
    try:
        world.kill(world.atomd)
        world.start_atomd()
        assert world.get("/api/v1/vms/vm1")["state"] == "stale", "known, but not believed"
    finally:
        node.send_signal(signal.SIGCONT)
    wait_for(lambda: world.get("/api/v1/vms/vm1")["state"] == "good", 10, "good again")


def test_two_nodes_of_one_name(world):
    trace = make_trace(world.path("trace.csv"), 600)
    world.start_atomd()
    world.start_node("host-a", trace)
    wait_for(lambda: world.node("host-a"), 10, "the first")
    world.start_node("host-a", trace)
    wait_for(lambda: "enroll this one under another name" in world.log("host-a.log"), 10,
             "the second is told what to do")
    assert world.node("host-a")["state"] == "connected"


def test_node_may_speak_only_for_itself(world):
    trace = make_trace(world.path("trace.csv"), 100)
    world.start_atomd()
    world.start_node("host-b", trace, certificate="host-a")
    wait_for(lambda: "its certificate says 'host-a'" in world.log("host-b.log"), 10, "refused")
    assert world.node("host-b") is None


def test_vm_comes_and_goes(world):
    def change(row, vm, values):
        return None if vm == "vm3" and not 100 <= row < 250 else values

    trace = make_trace(world.path("trace.csv"), 400, change=change)
    world.start_atomd(window=60)
    node = world.start_node("host-a", trace, speed=2)
    wait_for(lambda: (world.get("/api/v1/vms/vm3") or {}).get("learning"), 20, "vm3 learns")
    assert world.group()["state"] == "normal", "the others are tested meanwhile"
    wait_for(lambda: world.get("/api/v1/vms/vm3")["learning"] is False, 20, "vm3 takes part")
    assert world.group()["columns"] == 21
    wait_for(lambda: world.get("/api/v1/vms/vm3")["state"] == "gone", 20, "vm3 is gone")
    assert world.group()["columns"] == 14
    assert node.wait(20) == 0
    rows = world.get("/api/v1/groups/host-a")["rows"]
    states = [row["state"] for row in rows]
    first = states.index("normal")
    assert "learning" not in states[first:], "detection never stopped"


if __name__ == "__main__":
    sys.exit(main([
        test_guarantee_holds_end_to_end, test_gaps_and_resets_are_gaps,
        test_silent_node_is_stale_and_comes_back_good,
        test_stopped_node_is_stale_and_must_begin_anew,
        test_controller_restart_keeps_the_guarantee, test_two_nodes_of_one_name,
        test_node_may_speak_only_for_itself, test_vm_comes_and_goes]))
