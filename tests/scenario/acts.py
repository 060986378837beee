# SPDX-License-Identifier: Apache-2.0
"""What the tests of actions share: a world in which a node may act, orders, and what the three records say of them."""
import hashlib
import json
import os
import resource

from harness import make_trace, wait_for
from introspect_test import FLOOD, calls, stand_in

ALL = "rules: [{actions: [end-process, contain, pause, snapshot]}]\n"
PIDS = range(214, 220)  # of processes that may be ended; the first is the flood's
LOOK = {**FLOOD, "ps": FLOOD["ps"] + [{"pid": pid, "ppid": 1, "command": "ab", "command_line": "ab", "start_nsec": 5000000000,
                                       "kernel": False} for pid in PIDS[1:]]}


def start(world, policy=ALL, change=None, rows=3000, speed=1, window=60, atomd="", port=None, **told):
    """atomd and one node, host-a, with vm1 to vm3 and a stand-in that does as told."""
    world.start_atomd(window=window, extra="introspect: {sample: 100ms}\n" + atomd)
    return start_node(world, policy, make_trace(world.path("trace.csv"), rows, change=change), speed, port, **told)


def start_node(world, policy=ALL, trace=None, speed=1, port=None, **told):
    extra = stand_in(world, **{"tables": LOOK, **told})
    if policy:
        extra += f"policy: {{file: {world.write('policy.yaml', policy)}}}\n"
    before = (world.node("host-a") or {"epoch": 0})["epoch"]
    node = world.start_node("host-a", trace or world.path("trace.csv"), speed=speed, extra=extra, port=port)
    wait_for(lambda: (world.node("host-a") or {"epoch": 0})["epoch"] > before and is_there(world), 20, "the VMs")
    return node


def is_there(world, vm="vm2"):
    return (world.get(f"/api/v1/vms/{vm}") or {}).get("state") == "good"


def tell(world, **told):
    stand_in(world, **{"tables": LOOK, **told})


def opened(world, name):
    """Opens a gate at which the stand-in waits."""
    world.write(name, "")


# A file size limit stands in for a full disk


def fill_disk(world):
    """atomd's store fails from now on."""
    _, hard = resource.prlimit(world.atomd.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(world.atomd.pid, resource.RLIMIT_FSIZE, (os.path.getsize(world.path("atom.db-wal")), hard))
    wait_for(lambda: not world.get("/api/v1/status")["store"]["healthy"], 20, "the store fails")


def empty_disk(world):
    _, hard = resource.prlimit(world.atomd.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(world.atomd.pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_for(lambda: world.get("/api/v1/status")["store"]["healthy"], 20, "the store works again")


# Orders


def order(world, kind, vm="vm2", **arguments):
    """Its number."""
    return world.post("/api/v1/actions", kind=kind, vm=vm, **arguments)["id"]


def end(world, pid=PIDS[0], **arguments):
    return order(world, "end-process", pid=pid, start_nsec=5000000000, command="ab", **arguments)


def refused(world, status, body, token=None):
    """The text of an order that is answered with that status."""
    answered, answer = world.request("POST", "/api/v1/actions", body, token=token)
    assert answered == status, (answered, answer)
    return answer["error"]


def action(world, number):
    return world.get(f"/api/v1/actions/{number}") or {}


def actions(world):
    """The oldest first."""
    return (world.get("/api/v1/actions") or {"actions": []})["actions"][::-1]


def in_state(world, number, *states, seconds=20):
    """The action, when it is in one of these states."""
    def reached():
        found = action(world, number)
        return found if found.get("state") in states else None

    try:
        return wait_for(reached, seconds, f"action {number} is {' or '.join(states)}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {action(world, number)}") from None


def ended(world, number, seconds=20):
    return in_state(world, number, "vetoed", "done", "pending", "refused", "failed", "unknown", seconds=seconds)


# What was done


def kills(world, pid=None):
    """Calls that end a process, or that one."""
    return [call for call in calls(world) if call.startswith("kill ") and "--dry-run" not in call and
            (pid is None or f"--pid={pid} " in call)]


def called(world, command, count=1):
    """Waits until the stand-in was called so often with that first word."""
    wait_for(lambda: len([call for call in calls(world) if call.split(" ")[0] == command]) >= count, 20, f"{count} {command}")


# Records


def seals(texts):
    """The chain of hashes over them (src/digest/digest.h)."""
    previous = ""
    for text in texts:
        previous = hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
        yield previous


def audit(world):
    """The audit's records, of which the chain must hold."""
    told = world.get("/api/v1/audit?limit=10000")
    texts = [record["record"] for record in told["records"]]
    hashes = list(seals(texts))
    assert [record["hash"] for record in told["records"]] == hashes, "the chain of the audit"
    assert [record["number"] for record in told["records"]] == list(range(1, len(texts) + 1)), told
    assert not texts or told["last"] == {"number": len(texts), "hash": hashes[-1]}, told["last"]
    return [json.loads(text) for text in texts]


def audited(world, number):
    """What the audit says of an action: (event, state)."""
    return [(record["event"], record["state"]) for record in audit(world) if record.get("action") == number]


def journal(world, number=None):
    """The records of the node's journal, of which the chain must hold; of one action, the events."""
    path = world.path("host-a.journal")
    lines = world.log("host-a.journal").splitlines() if os.path.exists(path) else []
    lines = [line.split(" ", 1) for line in lines if " " in line]
    assert [line[0] for line in lines] == list(seals(line[1] for line in lines)), "the chain of the journal"
    records = [json.loads(line[1]) for line in lines]
    if number is None:
        return records
    wire = action(world, number)["number"]
    return [record["event"] for record in records if record["action"] == wire]


def history(world, alarm=1):
    return world.get(f"/api/v1/alarms/{alarm}")["history"]
