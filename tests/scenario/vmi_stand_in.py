#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for atom-vmi where there is no guest: writes the report that the file beside it describes, as the message Report.

The file (JSON, named as this program with .json) holds what a look does: {"tables": {name: [rows]}, "exit": status, "error": text,
"sleep": seconds, "gate": file}; the kind of a column follows from its first value. Under the names of the commands kill, pause, resume
and snapshot it holds the same of those; without it they succeed. A kill may also hold "outcome", "end" (columns of that table, besides
the usual ones) and "stays": true, for a process that is there afterwards all the same; else a process that was killed is in no table
of later looks. Before anything is done, a gate, a file beside this program, is waited for.

Each call is noted in a file .calls when it begins: its arguments, one line; and in .ended when it has done its work."""
import json
import os
import struct
import sys
import time

TEXT, COUNT, REAL, FLAG = 0, 1, 6, 7


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, wire_type, content):
    head = varint(number << 3 | wire_type)
    return head + (varint(len(content)) + content if wire_type == 2 else content)


def kind_of(values):
    for value in values:
        if isinstance(value, bool):
            return FLAG
        if isinstance(value, str):
            return TEXT
        if isinstance(value, float):
            return REAL
        if isinstance(value, int):
            return COUNT
    return TEXT


def column(name, values):
    kind = kind_of(values)
    out = field(1, 2, name.encode())
    if kind:
        out += field(2, 0, varint(kind))
    unknown = bytearray((len(values) + 7) // 8)
    for row, value in enumerate(values):
        if value is None:
            unknown[row // 8] |= 1 << row % 8
    if any(unknown):
        out += field(3, 2, bytes(unknown))
    if kind == TEXT:
        return out + field(4, 2, b"".join((value or "").encode() + b"\0" for value in values))
    if kind == REAL:
        return out + field(6, 2, b"".join(struct.pack("<d", value or 0) for value in values))
    return out + field(5, 2, b"".join(varint(int(value or 0)) for value in values))


def table(name, rows):
    names = list(rows[0]) if rows else []
    out = field(1, 2, name.encode()) + field(2, 0, varint(1))
    for each in names:
        out += field(4, 2, column(each, [row.get(each) for row in rows]))
    return out


def report(tables):
    """The message Report of {name: [rows]}."""
    return b"".join(field(1, 2, table(name, rows)) for name, rows in tables.items() if rows)


OWN = os.path.abspath(sys.argv[0])
GATE_SECONDS = 30
WRITES = [{"what": "pending signal", "address": 0x3a41120, "size": 8, "before": 0, "after": 256},
          {"what": "thread flags", "address": 0x3a40000, "size": 8, "before": 0, "after": 4}]


def note(name, text):
    with open(f"{OWN}.{name}", "a", encoding="utf-8") as stream:
        stream.write(text + "\n")


def dead():
    """The processes that were killed."""
    try:
        with open(OWN + ".dead", encoding="utf-8") as stream:
            return {int(line) for line in stream}
    except FileNotFoundError:
        return set()


def option(name):
    """The value of --name=VALUE or --name VALUE, or None."""
    for place, argument in enumerate(sys.argv):
        if argument.startswith(f"--{name}="):
            return argument.split("=", 1)[1]
        if argument == f"--{name}":
            return sys.argv[place + 1]
    return None


def wait_at_the_gate(name):
    """Not longer than the folder is there: whoever made it may have gone."""
    end = time.monotonic() + GATE_SECONDS
    path = os.path.join(os.path.dirname(OWN), name)
    while not os.path.exists(path) and os.path.exists(OWN) and time.monotonic() < end:
        time.sleep(0.01)


def kill(told):
    """The tables of a kill."""
    dry, pid = "--dry-run" in sys.argv, int(option("pid"))
    outcome = "dry run" if dry else told.get("outcome", "dead")
    if outcome == "dead" and not told.get("exit") and not told.get("stays"):
        note("dead", str(pid))
    end = {"outcome": outcome, "reason": told.get("error"), "pid": pid, "command": option("command"),
           "start_nsec": int(option("start") or 5000000000), **told.get("end", {})}
    return {"end": [end], **told.get("tables", {"writes": WRITES})}


def snapshot(told):
    """Nothing is reported: the node looks at the file itself."""
    if not told.get("exit"):
        with open(option("output"), "wb") as stream:
            stream.write(b"memory" * 1000)
    return told.get("tables", {})


def look(told):
    gone = dead()
    return {name: [row for row in rows if row.get("pid") not in gone] for name, rows in told.get("tables", {}).items()}


COMMANDS = {"kill": kill, "pause": lambda told: told.get("tables", {}), "resume": lambda told: told.get("tables", {}),
            "snapshot": snapshot}


def main():
    note("calls", " ".join(sys.argv[1:]))
    with open(OWN + ".json", encoding="utf-8") as stream:
        told = json.load(stream)
    command = COMMANDS.get(sys.argv[1])
    if command:
        told = told.get(sys.argv[1], {})
    time.sleep(told.get("sleep", 0))
    if told.get("gate"):
        wait_at_the_gate(told["gate"])
    tables = (command or look)(told)
    if told.get("error"):
        print(f"atom-vmi: {told['error']}", file=sys.stderr)
    sys.stdout.buffer.write(report(tables))
    note("ended", " ".join(sys.argv[1:]))
    return told.get("exit", 0)


if __name__ == "__main__":
    sys.exit(main())
