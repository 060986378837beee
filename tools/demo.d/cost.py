# SPDX-License-Identifier: Apache-2.0
"""What looking into guests costs the host, against looking into all of them at every interval."""
import os
import subprocess
import time

VIEWS = "top,net,ps,hidden,exe"  # what the looks of the demonstration ask for
TICKS = os.sysconf("SC_CLK_TCK")


def children_seconds(pid):
    """CPU seconds of a process's children that have ended: of atom-node each is an atom-vmi."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
        fields = stream.read().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS


def count_runs(alarms, actions):
    """How often atom-vmi ran for these: looks, rehearsals, actions, and second looks."""
    looks = sum(look["state"] != "passed over"
                for alarm in alarms for look in alarm.get("introspection", []))
    return looks + len(actions) + sum(action["verified"] is not None for action in actions)


def end_of(child):
    """CPU seconds of a child that has ended and of its own children; None while it runs."""
    pid, _, usage = os.wait4(child.pid, os.WNOHANG)
    if pid == 0:
        return None
    child.returncode = 0  # so that Popen does not wait for it
    return usage.ru_utime + usage.ru_stime


def measure(build, uri, vms, seconds, progress):
    """CPU seconds for looking into each VM once per second, as atom-node would do it."""
    program = os.path.join(build, "src", "vmi", "atom-vmi")
    running, total = [], 0.0
    begin = time.monotonic()
    for number in range(seconds):
        for vm in vms:
            running.append(subprocess.Popen(
                [program, VIEWS, vm, "--encoded", "--budget", "2000", "--interval", "1",
                 "--connect", uri], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL))
        progress(f"looking into all {len(vms)} VMs each second, to see what that costs: "
                 f"{number + 1}/{seconds}")
        while time.monotonic() < begin + number + 1:
            time.sleep(0.02)
            ends = [(child, end_of(child)) for child in running]
            total += sum(end for _, end in ends if end is not None)
            running = [child for child, end in ends if end is None]
    while running:
        time.sleep(0.02)
        ends = [(child, end_of(child)) for child in running]
        total += sum(end for _, end in ends if end is not None)
        running = [child for child, end in ends if end is None]
    return total


def compare(used, runs, seconds, vms, measured, measured_seconds):
    """The two side by side. `measured` None: the other is made from the mean of what there was."""
    per_look = used / runs if runs else None
    if measured is not None:
        per_look_all = measured / (measured_seconds * vms)
        how = f"measured for {measured_seconds} s"
    else:
        per_look_all = per_look
        how = "from the mean of the runs that there were; --measure measures it"
    always = per_look_all * vms * seconds if per_look_all is not None else None
    return {"used_seconds": used, "runs": runs, "seconds": seconds, "per_run": per_look,
            "always_seconds": always, "per_look_always": per_look_all, "how": how,
            "ratio": always / used if always and used else None}
