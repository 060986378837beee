#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Actions on real guests: atomd, atom-node and two VMs under libvirt, all in a network namespace of their own (tools/bed). What is ordered at
the API is looked for outside: connections that fail, libvirt's word, processes that are gone.

act_test.py BUILD. Needs root."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BED = os.path.join(TOP, "tools", "bed")
sys.path.insert(0, os.path.join(TOP, "tests", "scenario"))
from harness import main, wait_for  # pylint: disable=wrong-import-position # after the path is known

HOST = "192.168.77.1"
ADDRESS = {"vm1": "192.168.77.11", "vm2": "192.168.77.12"}
FINAL = ("done", "pending", "refused", "failed", "unknown", "vetoed")


def bed(*arguments):
    done = subprocess.run([BED, arguments[0], os.environ["ATOM_TEST_BED"], *arguments[1:]], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"bed {arguments}: {done.stdout}"
    return done.stdout.strip()


def answers(vm, seconds=3):
    """Whether the VM's web server takes a new connection."""
    try:
        with socket.create_connection((ADDRESS[vm], 80), timeout=seconds) as connection:
            connection.sendall(b"GET /8k HTTP/1.0\r\n\r\n")
            return bool(connection.recv(1))
    except OSError:
        return False


def start(world):
    uri = bed("uri")
    world.start_atomd(interval="1s")
    world.atom("enroll", "node", "host-a", "--dir", world.path("pki"))
    world.write("policy.yaml", "rules: [{controllers: [controller], vm: 'vm*', actions: [end-process, contain, pause, snapshot]}]\n")
    config = world.write("node.yaml", f"""
name: host-a
controller: {{host: 127.0.0.1, port: {world.bus_port}}}
tls: {{ca: {world.path('pki/ca.crt')}, certificate: {world.path('pki/host-a.crt')}, key: {world.path('pki/host-a.key')}}}
hypervisor: {{uri: '{uri}'}}
policy: {{file: {world.path('policy.yaml')}}}
action: {{journal: {world.path('actions.journal')}, evidence: {world.path('evidence')}}}
introspect: {{program: {os.path.join(world.build, 'src', 'vmi', 'atom-vmi')}}}
""")
    world.start("atom-node", config, "host-a.log")
    wait_for(lambda: len((world.get("/api/v1/vms") or {"vms": []})["vms"]) == 2, 30, "two VMs")


def order(world, seconds=40, **body):
    """The action when it has ended."""
    number = world.post("/api/v1/actions", **body)["id"]

    def ended():
        action = world.get(f"/api/v1/actions/{number}")
        return action if action and action["state"] in FINAL else None
    return wait_for(ended, seconds, f"{body} ends")


def tables():
    listed = subprocess.run(["nft", "list", "tables"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "atom-" in line]


def domain_state(vm):
    return subprocess.run(["virsh", "-c", bed("uri"), "domstate", vm], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def processes(world, vm, command):
    done = subprocess.run([os.path.join(world.build, "src", "vmi", "atom-vmi"), "ps", vm, "--json", "--no-cache", "--connect", bed("uri")],
                          stdout=subprocess.PIPE, check=True)
    return [row["pid"] for row in json.loads(done.stdout)["ps"] if row["command"] == command and row["state"] != "Z"]


def test_a_flow_is_contained_and_released(world):
    start(world)
    assert answers("vm1") and answers("vm2")
    dry = order(world, kind="contain", vm="vm2", peer=HOST, expiry_seconds=120, dry_run=True)
    assert dry["state"] == "done" and dry["report"]["rules"] and not tables(), dry
    held = socket.create_connection((ADDRESS["vm2"], 80), timeout=3)
    done = order(world, kind="contain", vm="vm2", peer=HOST, expiry_seconds=120, why="a test")
    assert done["state"] == "done", done
    assert tables() == [f"table netdev atom-{done['number']}"], tables()
    assert not answers("vm2"), "a new connection is refused"
    assert answers("vm1"), "another VM is untouched"
    assert "0 established connections" in done["verified"], done
    held.close()
    released = order(world, kind="release", undoes=done["id"])
    assert released["state"] == "done" and not tables(), released
    assert answers("vm2"), "it is undone"


def test_a_containment_ends_by_itself(world):
    start(world)
    done = order(world, kind="contain", vm="vm2", peer=HOST, expiry_seconds=5)
    assert done["state"] == "done", done
    started = time.monotonic()
    wait_for(lambda: answers("vm2", 1), 15, "it ends")
    assert time.monotonic() - started < 12
    wait_for(lambda: not tables(), 10, "its rules are taken away")


def test_a_vm_is_paused_and_resumed(world):
    start(world)
    assert order(world, kind="pause", vm="vm1")["state"] == "done"
    assert domain_state("vm1") == "paused" and domain_state("vm2") == "running"
    assert order(world, kind="pause", vm="vm1", dry_run=True)["state"] == "done"
    again = order(world, kind="pause", vm="vm1")
    assert again["state"] == "done" and again["reason"], again
    subprocess.run(["virsh", "-c", bed("uri"), "qemu-monitor-command", "vm2", "--hmp", "stop"], check=True, stdout=subprocess.DEVNULL)
    stood = order(world, kind="pause", vm="vm2")
    assert stood["state"] == "failed" and "not running" in stood["reason"], "nobody ordered that it stays so"
    assert order(world, kind="resume", vm="vm2")["state"] == "done"
    assert order(world, kind="resume", vm="vm1")["state"] == "done"
    assert domain_state("vm1") == "running" and wait_for(lambda: answers("vm1"), 20, "it goes on")


def test_a_process_is_ended_after_its_memory_is_saved(world):
    start(world)
    bed("vm-cmd", "vm2", "sleep 1234 &")
    pid = wait_for(lambda: processes(world, "vm2", "sleep"), 20, "the process is there")[0]
    dry = order(world, kind="end-process", vm="vm2", pid=pid, dry_run=True)
    assert dry["state"] == "done" and dry["report"]["writes"], dry
    assert processes(world, "vm2", "sleep") == [pid], "a dry run ends nobody"
    end = dry["report"]["end"][0]
    done = order(world, 90, kind="end-process", vm="vm2", pid=pid, start_nsec=end["start_nsec"], command=end["command"], evidence=True)
    # the shell that started it may not have taken note yet
    assert done["state"] == "done" and ("no process" in done["verified"] or "dead" in done["verified"]), done
    assert not processes(world, "vm2", "sleep")
    saved = world.get(f"/api/v1/actions/{done['after']}")
    file = saved["report"]["file"][0]
    assert saved["kind"] == "snapshot" and os.path.getsize(file["path"]) == file["size"] > 100 << 20, saved
    other = order(world, kind="end-process", vm="vm2", pid=pid, start_nsec=end["start_nsec"])
    assert other["state"] == "refused" and ("has ended" in other["reason"] or "no process" in other["reason"]), other
    assert "seal" in world.log("atomd.log") and "records" in world.atom("audit", "verify")


def test_a_project_acts_on_its_own(world):
    world.add_token("ours", "operator", "bed")
    world.add_token("theirs", "operator", "other")
    start(world)
    body = {"kind": "pause", "vm": "vm1", "dry_run": True}
    assert world.request("POST", "/api/v1/actions", body, token=world.token("ours"))[0] == 202
    assert world.request("POST", "/api/v1/actions", body, token=world.token("theirs"))[0] == 404
    assert world.request("GET", "/api/v1/vms", token=world.token("theirs"))[1] == {"vms": []}


def test_a_containment_follows_a_vm_that_is_started_again(world):
    start(world)
    done = order(world, kind="contain", vm="vm2", peer=HOST, expiry_seconds=300)
    assert done["state"] == "done" and len(tables()) == 1, done
    virsh = ["virsh", "-c", bed("uri")]
    # bed would give it another UUID: it would be another VM
    domain = world.write("vm2.xml", subprocess.run([*virsh, "dumpxml", "vm2"], stdout=subprocess.PIPE, text=True, check=True).stdout)
    bed("vm-stop", "vm2")
    wait_for(lambda: not tables(), 20, "the table is deleted, so that nobody else's tap is cut")
    subprocess.run([*virsh, "create", domain], stdout=subprocess.DEVNULL, check=True)
    wait_for(tables, 20, "it is made again")
    time.sleep(25)
    assert not answers("vm2"), "it is contained as before"
    assert order(world, kind="release", undoes=done["id"])["state"] == "done"
    wait_for(lambda: answers("vm2"), 60, "it is undone")
    assert not tables()


TESTS = [test_a_flow_is_contained_and_released, test_a_containment_ends_by_itself, test_a_vm_is_paused_and_resumed,
         test_a_process_is_ended_after_its_memory_is_saved, test_a_project_acts_on_its_own,
         test_a_containment_follows_a_vm_that_is_started_again]


def outside():
    """Makes the bed, and runs this program again within its namespace."""
    folder = tempfile.mkdtemp(prefix="atom-act-")
    os.environ["ATOM_TEST_BED"] = folder
    try:
        bed("up")
        for number, name in enumerate(ADDRESS, 1):
            bed("vm-start", name, str(number))
        for name in ADDRESS:
            bed("vm-wait", name)
        return subprocess.run([BED, "exec", folder, sys.executable, os.path.abspath(__file__), *sys.argv[1:]], check=False).returncode
    finally:
        bed("down")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("1..0 # skip: needs root")
        sys.exit(0)
    sys.exit(main(TESTS) if "ATOM_TEST_BED" in os.environ else outside())
