#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Maximum errors that come from mu, of the mean, and fixed ones: set at the nodes while they run."""
import random
import re
import struct
import sys

from harness import METRICS, epoch_msec, main, make_trace, wait_for
from peer import DELTAS, FRAME, Node, field, fixed, varint
from tracking_test import check_guarantee

ROWS, SPEED = 3000, 20
MU = "  mu: 0.01\n  tune_rows: 20\n"
EXACT = "  delta: {" + ", ".join(f"{metric}: 0" for metric in METRICS) + "}\n"


def slow_values(rho=0.97):
    """For make_trace(): correlated columns that move slowly, each in its own unit."""
    source = random.Random(4)
    states = {}
    scales = (3, 2000, 30000, 20, 20, 60000, 60000)

    def change(row, vm, values):
        state = states.setdefault(vm, [0.0] * 8)
        for i in range(8):
            state[i] = rho * state[i] + (1 - rho * rho) ** 0.5 * source.gauss(0, 1)
        return [scale * (10 + state[7] + 0.5 * state[i]) for i, scale in enumerate(scales)]

    return change


def slow_trace(world, rows=ROWS):
    return make_trace(world.path("trace.csv"), rows, change=slow_values())


def series_of(world):
    """{(vm, metric): series} of all VMs."""
    vms = (world.get("/api/v1/vms") or {"vms": []})["vms"]
    return {(vm["name"], metric): series for vm in vms
            for metric, series in vm["series"].items()}


def deltas_of(world):
    return {name: series["delta"] for name, series in series_of(world).items()}


def is_settled(world):
    """Whether every series has in force what is planned, after some sets of it."""
    series = series_of(world)
    return (world.node("host-a") or {}).get("delta_version", 0) >= 4 and len(series) == 21 and all(
        one["delta"] == one["delta_planned"] for one in series.values())


def sent(world, trace):
    """Runs the trace to its end; the values that were sent."""
    before = world.get("/api/v1/status")["values_received"]
    node = world.start_node("host-a", trace, speed=SPEED, start="recorded")
    assert node.wait(60) == 0, "the node ends with its trace"
    return world.get("/api/v1/status")["values_received"] - before


def test_mu_saves_messages_and_keeps_the_guarantee(world):
    trace = slow_trace(world)
    world.start_atomd(window=120, extra=EXACT)
    exact = sent(world, trace)
    assert exact > 0.99 * 21 * ROWS
    world.kill(world.atomd)
    world.write("atom.db", "")
    world.start_atomd(window=120, extra=MU)
    tuned = sent(world, trace)
    node, group = world.node("host-a"), world.group()
    assert node["delta_version"] > 3, node
    assert tuned < 0.6 * exact, (tuned, exact)
    assert check_guarantee(world, trace) > 0.99 * 21 * (ROWS - 1)
    tracking = group["tracking"]
    assert tracking["mu"] == 0.01 and 0.1 < tracking["delta_std"] < 1, tracking
    assert 0 < tracking["power_loss"] < 2 and set(tracking["from"].values()) == {"mu"}, tracking
    print(f"# sent {tuned} of {exact}, {node['delta_version']} sets of errors, {tracking}")
    text = world.atom("group", "host-a")
    assert re.search(r"mu 1 % \(direct\) gives 0\.\d+ std, set \d+; they raise", text), text
    status, _ = world.request("GET", "/api/v1/groups/host-a")
    assert status == 200


def test_errors_change_within_an_epoch(world):
    trace = slow_trace(world)
    world.start_atomd(window=120, extra=MU)
    world.start_node("host-a", trace, speed=SPEED, start="recorded")
    first = wait_for(lambda: (world.node("host-a") or {}).get("epoch"), 10, "an epoch")
    wait_for(lambda: is_settled(world), 20, "the node has in force what is planned")
    assert world.node("host-a")["epoch"] == first, "no other epoch for it"


def test_restarts_keep_what_was_found(world):
    trace = slow_trace(world, 4 * ROWS)
    world.start_atomd(window=120, extra=MU)
    world.start_node("host-a", trace, speed=SPEED, start="recorded")
    wait_for(lambda: is_settled(world), 20, "settled")
    node, found = world.node("host-a"), deltas_of(world)
    world.kill(world.atomd)
    world.start_atomd(window=120, extra=MU)
    stored = {name: series["delta_planned"] for name, series in series_of(world).items()}
    assert len(stored) == 21 and all(
        0.3 * found[name] < delta < 3 * found[name] for name, delta in stored.items()), stored
    after = wait_for(lambda: (world.node("host-a") or {}).get("epoch", 0) > node["epoch"] and
                     world.node("host-a"), 10, "the node is back")
    assert after["delta_version"] >= node["delta_version"], (node, after)
    wait_for(lambda: is_settled(world), 10, "settled again")
    back = world.node("host-a")
    last = wait_for(lambda: world.node("host-a")["frames"] > back["frames"] + 400 and
                    world.node("host-a"), 20, "rows after it")
    marks = [epoch_msec(one["watermark"]) for one in (node, back, last)]
    checked = check_guarantee(world, trace, ((marks[0], marks[1]), (marks[2], float("inf"))))
    assert checked > 21 * 400, checked


def test_restarted_node_is_told_again(world):
    trace = slow_trace(world, 4 * ROWS)
    world.start_atomd(window=120, extra=MU)
    node = world.start_node("host-a", trace, speed=SPEED)
    wait_for(lambda: is_settled(world), 20, "settled")
    version = world.node("host-a")["delta_version"]
    world.kill(node)
    wait_for(lambda: world.node("host-a")["state"] != "connected", 10, "it is away")
    planned = {name: series["delta_planned"] for name, series in series_of(world).items()}
    world.start_node("host-a", trace, speed=SPEED)
    wait_for(lambda: world.node("host-a")["delta_version"] > version and is_settled(world), 15,
             "what was planned is in force again, as a newer version")
    assert all(0.3 * planned[name] < delta < 3 * planned[name]
               for name, delta in deltas_of(world).items())


def test_without_mu_the_fixed_errors_come_back(world):
    trace = slow_trace(world, 4 * ROWS)
    world.start_atomd(window=120, extra=MU + "  delta: {CPUUtilization: 0.5}\n")
    wanted = {"CPUUtilization": 0.5, "NetworkIn": 1024}
    world.start_node("host-a", trace, speed=SPEED)
    wait_for(lambda: is_settled(world), 20, "settled")
    found = deltas_of(world)
    assert found["vm1", "CPUUtilization"] == 0.5, "what is fixed stays"
    assert found["vm1", "NetworkIn"] != 1024
    world.kill(world.atomd)
    world.start_atomd(window=120, extra="  delta: {CPUUtilization: 0.5}\n")
    wait_for(lambda: all(deltas_of(world).get(("vm2", metric)) == delta
                         for metric, delta in wanted.items()), 15, "all are fixed again")
    assert "fixed" in world.atom("group", "host-a")


def test_share_of_the_mean_with_floor_and_cap(world):
    trace = slow_trace(world, 4 * ROWS)
    world.start_atomd(window=120, extra="""  tune_rows: 5
  delta_of_mean: {NetworkOut: 5, DiskReadOps: 5, DiskWriteOps: 5}
  delta_floor: {DiskReadOps: 40}
  delta_cap: {DiskWriteOps: 3}
""")
    world.start_node("host-a", trace, speed=SPEED)

    def is_there():
        deltas = deltas_of(world)
        # the mean is 300000, its window's some 10 % off at most, and what is near enough is let be
        return deltas and 11000 < deltas["vm1", "NetworkOut"] < 19000 and (
            deltas["vm1", "DiskReadOps"] == 40 and 2.7 < deltas["vm1", "DiskWriteOps"] <= 3)

    wait_for(is_there, 20, "5 % of the mean, the floor and the cap")
    assert deltas_of(world)["vm1", "NetworkIn"] == 1024
    metrics = world.group()["tracking"]["from"]
    assert metrics["NetworkOut"] == "mean" and metrics["NetworkIn"] == "fixed", metrics


def test_node_that_knows_no_other_errors_is_left_alone(world):
    change = slow_values()
    world.start_atomd(window=60, extra=MU)
    node = Node(world, "host-a", {"vm1": "", "vm2": ""}, lambda row, vm: change(row, vm, None))
    told = node.receive(DELTAS, 40)
    assert fixed(told, 1) == node.epoch and told[2] == [1], told
    assert node.next(3) is None, "it is asked once in an epoch"
    told = world.get("/api/v1/vms/vm1")["series"]["NetworkIn"]
    assert not node.ended and told["state"] == "good" and told["delta"] == 1024 != told["delta_planned"], told
    assert world.node("host-a")["delta_version"] == 0
    node.close()


def test_frame_with_an_error_of_no_series_ends_the_connection(world):
    change = slow_values()
    world.start_atomd(window=60)
    node = Node(world, "host-a", {"vm1": ""}, lambda row, vm: change(row, vm, None), pace=1000)
    wait_for(lambda: (world.node("host-a") or {}).get("frames") == 1, 10, "its first row")

    def tell(row, series, delta):
        node.outbox.put((FRAME, field(1, (node.epoch,)) + field(2, row) + field(3, node.watermark) + field(4, b"\0") +
                         field(5, row) + field(6, varint(series)) + field(7, struct.pack("<d", delta))))

    tell(1, 1, 512.0)
    wait_for(lambda: world.node("host-a")["delta_version"] == 1, 10, "a good one")
    series = world.get("/api/v1/vms/vm1")["series"]["NetworkIn"]
    assert series["delta"] == 512 and series["delta_planned"] == 1024, series
    told = node.receive(DELTAS)
    assert told[2] == [2] and told[3] == [varint(1)], told
    tell(2, 7, 1.0)
    wait_for(lambda: node.ended, 10, "the connection is ended")
    assert "series that is not there" in node.farewell, node.farewell


if __name__ == "__main__":
    sys.exit(main([
        test_mu_saves_messages_and_keeps_the_guarantee, test_errors_change_within_an_epoch,
        test_restarts_keep_what_was_found, test_restarted_node_is_told_again,
        test_node_that_knows_no_other_errors_is_left_alone,
        test_frame_with_an_error_of_no_series_ends_the_connection, test_without_mu_the_fixed_errors_come_back, test_share_of_the_mean_with_floor_and_cap]))
