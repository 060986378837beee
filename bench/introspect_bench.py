#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Times atom-vmi on guests of its own: introspect_bench.py BUILD [RUNS].

Per guest (memory shared, and in the process alone): the cold start to ps + net + hidden, a warm repeat, the host's CPU time for
both, and the pauses of ending processes. Beside them, in the same run, what every tool that reads dumps has to do first: QEMU's
dump-guest-memory, for which the VM stands still. Prints medians with the 5th and 95th percentile, and ratios."""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests" / "guest"))
import guests  # noqa: E402  (beside the guests' own tests)
import vmi  # noqa: E402

VIEWS = "ps,net,hidden"


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def line(name, values, unit, scale):
    print(f"  {name:<34} {quantile(values, .5) * scale:9.2f} {unit}   "
          f"({quantile(values, .05) * scale:.2f} .. {quantile(values, .95) * scale:.2f})")


class Program:
    """atom-vmi on one guest, each run timed as a whole process and by what it says itself."""

    def __init__(self, build, guest, cache):
        self.start = [str(pathlib.Path(build) / "src" / "vmi" / "atom-vmi")]
        self.end = ["--qmp", guest.qmp, "--cache", str(cache), "--json"]

    def run(self, *arguments):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        done = subprocess.run([*self.start, *arguments, *self.end], capture_output=True, text=True,
                              timeout=60, check=False)
        took = time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in (0, 4):
            sys.exit(f"atom-vmi {' '.join(arguments)}: {done.stderr.strip()}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return json.loads(done.stdout), took, cpu


def measure_looks(program, runs, *options):
    """Whole process, what the confined child took, CPU."""
    wholes, children, cpus = [], [], []
    for _ in range(runs):
        answer, took, cpu = program.run(VIEWS, *options)
        wholes.append(took)
        children.append(answer["reading"]["whole_took"] / 1e9)
        cpus.append(cpu)
    return wholes, children, cpus


def measure_pauses(program, guest, runs):
    pauses, deaths = [], []
    for _ in range(runs):
        victim = guest.ask("spawn", "nanosleep")["pid"]
        answer, _, _ = program.run("kill", "--pid", str(victim))
        if answer["end"]["outcome"] != "dead":
            sys.exit(f"a victim did not die: {answer['end']}")
        pauses.append(answer["reading"]["paused"] / 1e9)
        deaths.append(answer["end"]["took"] / 1e9)
    return pauses, deaths


def measure_dumps(guest, runs):
    """What comes before any look into a dump."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "dump")
        for _ in range(runs):
            begun = time.monotonic()
            with vmi.Qmp(guest.qmp) as qmp:
                qmp.ask("dump-guest-memory", paging=False, protocol=f"file:{path}")
            times.append(time.monotonic() - begun)
            os.unlink(path)
    return times


def measure(build, runs, kernel, backend):
    with tempfile.TemporaryDirectory() as folder, \
            guests.Guest(os.path.join(folder, "guest"), kernel=kernel, backend=backend, memory_mib=512) as guest:
        program = Program(build, guest, os.path.join(folder, "cache"))
        tasks = len(program.run("ps")[0]["ps"])
        for _ in range(max(0, 100 - tasks)):
            guest.ask("spawn", "nanosleep")
        guest.ask("spawn", "sockets")
        tasks = len(program.run("ps")[0]["ps"])
        print(f"Linux {kernel}, 512 MiB, {backend}, {tasks} tasks")
        cold = measure_looks(program, runs, "--no-cache")
        warm = measure_looks(program, 2 * runs)
        pauses, deaths = measure_pauses(program, guest, runs)
        dumps = measure_dumps(guest, 3)
    line("cold, whole process", cold[0], "ms", 1e3)
    line("cold, in the confined child", cold[1], "ms", 1e3)
    line("cold, CPU of the host", cold[2], "ms", 1e3)
    line("warm, whole process", warm[0], "ms", 1e3)
    line("warm, in the confined child", warm[1], "ms", 1e3)
    line("warm, CPU of the host", warm[2], "ms", 1e3)
    line("ending a sleeper: pauses, together", pauses, "ms", 1e3)
    line("ending a sleeper: until dead", deaths, "ms", 1e3)
    line("baseline: dump-guest-memory", dumps, "ms", 1e3)
    print(f"  the baseline alone takes {quantile(dumps, .5) / quantile(cold[0], .5):.0f} x a cold look, "
          f"{quantile(dumps, .5) / quantile(warm[0], .5):.0f} x a warm one, and pauses the VM for all of it; looks pause it for 0")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    runs = int(sys.argv[2]) if len(sys.argv) == 3 else 20
    for kernel, backend in (("6.1", "memfd"), ("6.1", "anonymous"), ("6.12", "memfd"), ("6.12", "anonymous")):
        measure(sys.argv[1], runs, kernel, backend)


if __name__ == "__main__":
    main()
