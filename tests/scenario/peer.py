# SPDX-License-Identifier: Apache-2.0
"""The protocol between atom-node and atomd (docs/protocol.md) in a few lines, for tests that speak for one end of it themselves."""
import base64
import hashlib
import os
import queue
import re
import select
import socket
import ssl
import struct
import threading
import time
import uuid

from harness import METRICS
from vmi_stand_in import report

HELLO, SETTINGS, TURNED_AWAY, EPOCH, FRAME, INTROSPECT, FINDINGS, ACT, OUTCOME, DELTAS = range(1, 11)
END_PROCESS, CONTAIN, RELEASE, PAUSE, RESUME, SNAPSHOT = range(6)
DONE, REFUSED, FAILED, PENDING, UNKNOWN = range(5)  # of FINDINGS (the first three) and OUTCOME

# Messages


def varint(number):
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number, value):
    """A field of a Protocol Buffers message: a varint, a fixed64 (an int in a tuple) or bytes."""
    if isinstance(value, tuple):
        return varint(number << 3 | 1) + struct.pack("<Q", *value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse(data):
    """{number: [value...]} of a message."""
    fields, at = {}, 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                return value

    while at < len(data):
        key = read_varint()
        if key & 7 == 0:
            value = read_varint()
        else:
            size = 8 if key & 7 == 1 else read_varint()
            value = data[at:at + size]
            at += size
        fields.setdefault(key >> 3, []).append(value)
    return fields


def fixed(message, number):
    """A fixed64 of a parsed message."""
    return struct.unpack("<Q", message[number][0])[0]


def answer_of(message):
    """(number, status, reason, report) of parsed FINDINGS or an OUTCOME."""
    return (fixed(message, 1), message.get(2, [0])[0], message.get(3, [b""])[0].decode(), message.get(4, [b""])[0])


# WebSocket


def accept_mark(key):
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        assert line, "the connection ended within its head"
        head += line
    return head


def masked(data, mask):
    return bytes(a ^ b for a, b in zip(data, mask * (len(data) // 4 + 1)))


def frame(opcode, data, mask=b""):
    """A frame with a masking key, which a client's must have."""
    is_masked = 128 if mask else 0
    if len(data) > 65535:
        size = struct.pack(">BQ", 127 | is_masked, len(data))
    elif len(data) > 125:
        size = struct.pack(">BH", 126 | is_masked, len(data))
    else:
        size = bytes([len(data) | is_masked])
    return bytes([128 | opcode]) + size + mask + (masked(data, mask) if mask else data)


def read_frame(stream):
    """(opcode, data); None where the connection has ended."""
    head = stream.read(2)
    if len(head) < 2:
        return None
    size = head[1] & 127
    if size > 125:
        size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
    mask = stream.read(4) if head[1] & 128 else b""
    data = stream.read(size)
    return head[0] & 15, masked(data, mask) if mask else data


def tls(world, name, purpose):
    context = ssl.SSLContext(purpose)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(world.path(f"pki/{name}.crt"), world.path(f"pki/{name}.key"))
    context.load_verify_locations(world.path("pki/ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Stream:
    """Reads a socket, and never more than is asked for: what is not read shows in select() and pending()."""

    def __init__(self, line):
        self.line = line

    def read(self, size):
        """Shorter only at the end of the connection."""
        data = b""
        while len(data) < size:
            more = self.line.recv(size - len(data))
            if not more:
                break
            data += more
        return data

    def readline(self):
        line = self.read(1)
        while line and not line.endswith(b"\n"):
            line += self.read(1)
        return line


# A node that says what a test wants


class Node:
    """Connects, and then observes its VMs, {name: project}, on a thread of its own: a row each `pace` seconds with what `values` gives
    for (row, VM), a number per metric of the paper. What atomd says waits in receive(). When the connection is over `ended` is true,
    and `farewell` what was said of the reason. Without `tells` it says no more than HELLO until begin(). Its time runs ahead of the
    clock where `pace` is shorter than the interval: one that comes back must begin no earlier, at `time_usec`. VMs have UUIDs of their
    own, but for those of `uuids`."""

    def __init__(self, world, name, vms, values, pace=0.02, tells=True, time_usec=0, uuids=None):
        if not os.path.exists(world.path(f"pki/{name}.crt")):
            world.atom("enroll", "node", name, "--dir", world.path("pki"))
        context = tls(world, name, ssl.PROTOCOL_TLS_CLIENT)
        raw = socket.create_connection(("127.0.0.1", world.bus_port), 10)
        self.line = context.wrap_socket(raw, server_hostname="127.0.0.1")
        self.stream = Stream(self.line)
        self.name, self.vms, self.values, self.pace = name, vms, values, pace
        self.uuids = {**{vm: uuid.uuid5(uuid.NAMESPACE_DNS, f"{vm}.{name}") for vm in vms}, **(uuids or {})}
        self.order = sorted(vms, key=lambda vm: self.uuids[vm].bytes)
        self.row, self.due, self.watermark = 0, None, time_usec
        self.inbox, self.outbox = queue.Queue(), queue.Queue()
        self.ended, self.is_closing, self.farewell = False, False, ""
        self.greet(world.bus_port)
        self.settings = parse(parse(read_frame(self.stream)[1])[SETTINGS][0])
        self.interval_usec = self.settings[1][0]
        if tells:
            self.begin()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def greet(self, port):
        key = base64.b64encode(os.urandom(16))
        self.line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: atom.v1\r\nSec-WebSocket-Key: %s\r\n\r\n" % (port, key))
        head = read_head(self.stream)
        assert head.startswith(b"HTTP/1.1 101 ") and accept_mark(key) in head, head
        self.say(HELLO, field(1, 1) + field(2, self.name.encode()) + field(3, b"here") + field(4, tuple([os.getpid()])) +
                 field(5, b"0") + field(6, b"a test"))

    def begin(self):
        """Says by an epoch what it observes, and then observes it."""
        metrics, deltas = self.settings[2][0], self.settings[3][0]
        assert metrics == 2 ** len(METRICS) - 1, self.settings
        self.epoch = int(time.time() * 1000000)
        self.watermark = max(self.watermark, self.epoch)
        self.outbox.put((EPOCH, field(1, (self.epoch,)) + field(2, self.interval_usec) + field(3, metrics) +
                         b"".join(field(4, field(1, self.uuids[vm].bytes) + field(2, vm.encode()) + field(4, self.vms[vm].encode()) +
                                        field(5, 1)) for vm in self.order) + field(5, deltas * len(self.order))))
        self.due = time.monotonic()

    def tell_row(self):
        """Every series, exactly."""
        values = [value for vm in self.order for value in self.values(self.row, vm)]
        bits = ((1 << len(values)) - 1).to_bytes((len(values) + 7) // 8, "little")
        payload = bits + b"".join(b"\x01" + struct.pack("<d", value) for value in values)
        self.say(FRAME, field(1, (self.epoch,)) + field(2, self.row) + field(3, self.watermark) + field(4, payload))
        self.row += 1
        self.watermark += self.interval_usec
        self.due += self.pace

    def say(self, kind, message):
        self.line.sendall(frame(2, field(kind, message), os.urandom(4)))

    def read(self):
        told = read_frame(self.stream)
        if told is None or told[0] == 8:
            self.farewell += told[1][2:].decode() if told else ""
            return False
        if told[0] == 9:
            self.line.sendall(frame(10, told[1], os.urandom(4)))
        elif told[0] == 1:
            self.farewell += told[1].decode()
        elif told[0] == 2:
            self.inbox.put(parse(told[1]))
        return True

    def is_readable(self):
        return self.line.pending() or select.select([self.line], [], [], 0.01)[0]

    def run(self):
        """The only one who uses the socket from then on."""
        try:
            while not self.ended and not self.is_closing:
                while not self.outbox.empty():
                    self.say(*self.outbox.get())
                if self.due and time.monotonic() >= self.due:
                    self.tell_row()
                self.ended = self.is_readable() and not self.read()
        except OSError:
            pass  # it is over
        self.ended = True
        self.line.close()

    def close(self):
        self.is_closing = True
        self.thread.join(10)

    def next(self, seconds=20):
        """(kind, message) of what comes next; None where nothing does in time."""
        try:
            envelope = self.inbox.get(timeout=seconds)
        except queue.Empty:
            return None
        kind = next(iter(envelope))
        return kind, parse(envelope[kind][0])

    def receive(self, kind, seconds=20):
        """The next message of that kind; others are passed over. Fails where there is none in time."""
        end = time.monotonic() + seconds
        while True:
            told = self.next(max(0.001, end - time.monotonic()))
            assert told, f"{self.name} was told no message {kind} within {seconds} s"
            if told[0] == kind:
                return told[1]

    def findings(self, request, tables=None, status=DONE, reason=""):
        self.outbox.put((FINDINGS, field(1, (request,)) + field(2, status) + field(3, reason.encode()) + field(4, report(tables or {}))))

    def outcome(self, number, status=DONE, reason="", tables=None):
        self.outbox.put((OUTCOME, field(1, (number,)) + field(2, status) + field(3, reason.encode()) + field(4, report(tables or {}))))
