#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for atom-vmi where there is no guest: writes the report that the file beside it describes, as the message Report.

The file (JSON, named as this program with .json) holds {"tables": {name: [rows]}, "exit": status, "error": text, "sleep": seconds};
the kind of a column follows from its first value. Each call is noted in a file .calls: its arguments, one line."""
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


def main():
    own = os.path.abspath(sys.argv[0])
    with open(own + ".calls", "a", encoding="utf-8") as stream:
        stream.write(" ".join(sys.argv[1:]) + "\n")
    with open(own + ".json", encoding="utf-8") as stream:
        told = json.load(stream)
    time.sleep(told.get("sleep", 0))
    if told.get("error"):
        print(f"atom-vmi: {told['error']}", file=sys.stderr)
    report = b"".join(field(1, 2, table(name, rows)) for name, rows in told.get("tables", {}).items() if rows)
    sys.stdout.buffer.write(report)
    return told.get("exit", 0)


if __name__ == "__main__":
    sys.exit(main())
