#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator meets: every command, bad input, a store that fails, atom up."""
import gzip
import json
import lzma
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

from harness import free_port, main, make_trace, wait_for

RECORDING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "ci2min.csv")


def test_commands_print_tables_and_json(world):
    trace = make_trace(world.path("trace.csv"), 600)
    world.start_atomd()
    world.start_node("host-a", trace)
    wait_for(lambda: (world.get("/api/v1/vms/vm1") or {}).get("state") == "good", 10, "vm1")
    for command, head in ((("status",), "NODE"), (("vm", "list"), "INSTANCE"),
                          (("vm", "show", "vm1"), "uuid"), (("metric", "vm1"), "ERROR"),
                          (("metric", "vm1", "NetworkIn"), "FROM"), (("group",), "WINDOW"),
                          (("group", "host-a"), "SPE"), (("alarm", "list"), "no alarms")):
        assert head in world.atom(*command), command
        json.loads(world.atom(*command, "--json"))
    assert "no VM is called 'nobody'" in world.atom("metric", "nobody", status=1)
    assert "did you mean 'atom status'" in world.atom("statsu", status=2)
    assert "\033" not in world.atom("status"), "no colours into a pipe"
    with urllib.request.urlopen(f"http://127.0.0.1:{world.http_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert re.search(r'^atom_value\{node="host-a",vm="vm1",.*metric="NetworkIn"\} \d', text, re.M)
    assert world.get("/api/v1/vms/vm1/metrics/NetworkIn?at=now")["points"]


def test_track_and_detect_files(world):
    trace = make_trace(world.path("trace.csv"), 200)
    results = json.loads(world.atom("track", trace, "--delta", "10%", "--json"))
    assert len(results) == 21
    for result in results:
        assert {"column", "samples", "sent", "sent_on_delta", "optimum", "bytes",
                "max_error"} <= set(result)
        assert result["optimum"] <= result["sent"] and result["max_error"] <= result["delta"]
    found = json.loads(world.atom("detect", RECORDING, "--window", "60", "--ignore", "attack",
                                  "--unlock", "100", "--json"))
    assert len(found["rows"]) == 104 and len(found["alarms"]) == 1
    assert {"spe", "q", "abnormal"} <= set(found["rows"][0])
    assert 70 <= found["alarms"][0]["first_row"] <= 73
    ragged = world.write("ragged.csv", "a,b\n1,2\n3\n")
    assert f"{ragged}:3: 1 cells where the header has 2" in world.atom("detect", ragged, status=1)
    text = world.write("text.csv", "a,b\n1,x\n")
    assert f"{text}:2: column 'b'" in world.atom("track", text, "--delta", "1", status=1)


def test_detect_learns_from_one_file_and_judges_another(world):
    """A packed recording cut before its attack: the first part teaches, the second is compared with the labels."""
    with open(RECORDING, encoding="utf-8") as stream:
        header, *rows = stream.read().splitlines()
    first, second = world.path("first.csv.xz"), world.path("second.csv.gz")
    with lzma.open(first, "wt") as stream:
        stream.write("\n".join([header] + rows[:66]) + "\n")
    with gzip.open(second, "wt") as stream:
        stream.write("\n".join([header] + rows[66:]) + "\n")
    options = ["--label", "attack", "--window", "60", "--unlock", "100"]
    found = json.loads(world.atom("detect", first, second, *options, "--report-from", "2", "--json"))
    whole = json.loads(world.atom("detect", RECORDING, *options, "--json"))
    assert [row["spe"] for row in found["rows"]] == [row["spe"] for row in whole["rows"][66:]]
    assert found["rows"][0]["row"] == 0 and 4 <= found["alarms"][0]["first_row"] <= 7
    label = found["label"]
    truth = [row.rsplit(",", 1)[1] != "0" for row in rows[66:]]
    called = [row["abnormal"] for row in found["rows"]]
    assert label["true_positive"] == sum(a and b for a, b in zip(called, truth)) > 20
    assert label["false_positive"] == sum(a and not b for a, b in zip(called, truth))
    assert label["precision"] > 0.8 and label["recall"] > 0.8 and "attack" not in found["columns"]
    assert "by attack: " in world.atom("detect", first, second, *options)
    other = world.write("other.csv", "t,a\n1,2\n")
    assert f"{other} has no column 'vm1.CPUUtilization'" in world.atom("detect", first, other, "--ignore",
                                                                       "attack", status=1)
    with open(first, "rb") as stream:
        half = stream.read()[:1000]
    with open(first, "wb") as stream:
        stream.write(half)
    assert "the archive is cut short" in world.atom("detect", first, status=1)


def test_unreachable_server(world):
    assert "is it running?" in world.atom("status", status=1)


def run_atomd(world, config):
    done = subprocess.run([world.program("atomd"), "--config", config], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20,
                          check=False)
    return done.returncode, done.stdout


def test_bad_configuration_is_named(world):
    bad = world.write("bad.yaml", "track:\n  interval: 10s\n  delat: {}\n")
    status, text = run_atomd(world, bad)
    assert status == 2 and f"{bad}:3: unknown key 'track.delat'" in text and "track.delta" in text
    node = subprocess.run([world.program("atom-node"), "--config", bad], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    assert node.returncode == 2 and "unknown key 'track" in node.stdout


def test_reference_pages_are_those_of_the_programs(world):
    docs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")
    for name in ("atomd", "atom-node"):
        text = subprocess.run([world.program(name), "--print-reference"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        with open(os.path.join(docs, f"{name}.yaml.md"), encoding="utf-8") as stream:
            assert stream.read() == text, f"docs/{name}.yaml.md: make it anew by --print-reference"
        for key in re.findall(r"^\| `([a-z_.]+)`", text, re.M):
            shown = subprocess.run([world.program(name), "--help-config"], check=True, text=True,
                                   stdout=subprocess.PIPE).stdout
            assert key in shown


def test_broken_certificate_is_named(world):
    world.start_atomd()
    world.kill(world.atomd, signal.SIGTERM)
    world.write("pki/controller.crt", "not a certificate")
    status, text = run_atomd(world, world.path("atomd.yaml"))
    assert status == 1 and "controller.crt" in text, text


def test_damaged_store_is_left_alone(world):
    world.start_atomd()
    world.kill(world.atomd, signal.SIGTERM)
    garbage = "x" * 20000
    world.write("atom.db", garbage)
    status, text = run_atomd(world, world.path("atomd.yaml"))
    assert status == 1 and "atom.db" in text and "move it aside" in text, text
    with open(world.path("atom.db"), encoding="utf-8") as stream:
        assert stream.read() == garbage


def test_full_disk_loses_nothing(world):
    """A file size limit stands in for a full disk: SQLite cannot grow its file."""
    trace = make_trace(world.path("trace.csv"), 600)
    world.start_atomd()
    world.start_node("host-a", trace)
    wait_for(lambda: (world.node("host-a") or {}).get("frames", 0) > 10, 10, "frames")
    size = os.path.getsize(world.path("atom.db-wal"))
    import resource
    _, hard = resource.prlimit(world.atomd.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(world.atomd.pid, resource.RLIMIT_FSIZE, (size, hard))
    wait_for(lambda: (world.get("/api/v1/status") or {}).get("store", {}).get("healthy") is False,
             20, "the store fails, atomd goes on")
    frames = world.node("host-a")["frames"]
    wait_for(lambda: world.node("host-a")["frames"] > frames + 5, 10, "frames still come")
    resource.prlimit(world.atomd.pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_for(lambda: world.get("/api/v1/status")["store"]["healthy"], 10, "the store works again")
    rows = world.get("/api/v1/groups/host-a")["rows"]
    assert len(rows) >= world.node("host-a")["frames"] - 2, "the rows of the bad time are there"


def test_up_runs_and_ends_cleanly(world):
    trace = make_trace(world.path("trace.csv"), 600)
    port = free_port()
    process = subprocess.Popen(
        [world.program("atom"), "up", "--dir", world.path("up"), "--hypervisor", f"trace:{trace}",
         "--http-port", str(port), "--bus-port", "0", "--interval", "100ms", "--set",
         "node.hypervisor.start=now"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    world.processes.append(process)
    world.http_port = port
    wait_for(lambda: os.path.exists(world.path("up/tokens.yaml")), 20, "a token")
    with open(world.path("up/token"), encoding="ascii") as stream:
        assert os.fstat(stream.fileno()).st_mode & 0o777 == 0o600
        world.tokens["tester"] = (stream.read().strip(), "admin", "")
    wait_for(lambda: (world.get("/api/v1/status") or {}).get("vms") == 3, 20, "three VMs")
    children = subprocess.run(["pgrep", "-P", str(process.pid)], stdout=subprocess.PIPE, text=True,
                              check=False).stdout.split()
    assert len(children) == 2, children
    assert world.get("/api/v1/audit")["records"] == [], "the token is an administrator's"
    assert world.kill(process, signal.SIGINT) == 0
    time.sleep(0.1)
    for child in children:
        assert not os.path.exists(f"/proc/{child}"), "a child is left"
    guide = process.stdout.read()
    assert "Ctrl-C ends it" in guide
    assert f"export ATOM_TOKEN=$(cat '{world.path('up/token')}')" in guide, guide


if __name__ == "__main__":
    sys.exit(main([
        test_commands_print_tables_and_json, test_track_and_detect_files,
        test_detect_learns_from_one_file_and_judges_another, test_unreachable_server,
        test_bad_configuration_is_named,
        test_reference_pages_are_those_of_the_programs, test_broken_certificate_is_named,
        test_damaged_store_is_left_alone, test_full_disk_loses_nothing,
        test_up_runs_and_ends_cleanly]))
