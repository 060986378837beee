#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""atom-node asked to look into its VMs, by a controller of a few lines and with a script as its atom-vmi."""
import base64
import hashlib
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time

from harness import main, make_trace, wait_for

DONE, REFUSED, FAILED = 0, 1, 2
HELLO, SETTINGS, EPOCH, INTROSPECT, FINDINGS = 1, 2, 4, 6, 7


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


class Controller:
    """Takes one connection at a time; what the node says is read when it is waited for."""

    def __init__(self, world):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(world.path("pki/controller.crt"), world.path("pki/controller.key"))
        context.load_verify_locations(world.path("pki/ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", world.bus_port))
        self.listener.settimeout(20)
        self.line = self.stream = None
        self.vms = {}

    def accept(self):
        """Greets the node up to its HELLO."""
        self.line = self.context.wrap_socket(self.listener.accept()[0], server_side=True)
        self.line.settimeout(10)
        self.stream = self.line.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.stream.readline()
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head).group(1)
        mark = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.line.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          b"Connection: Upgrade\r\nSec-WebSocket-Protocol: atom.v1\r\n"
                          b"Sec-WebSocket-Accept: " + mark + b"\r\n\r\n")
        self.receive(HELLO)

    def settle(self):
        """The settings, then the names of the VMs."""
        self.send(SETTINGS, field(1, 100000) + field(2, 127) + field(3, struct.pack("<7d", *[1] * 7)))
        for data in self.receive(EPOCH)[4]:
            vm = parse(data)
            self.vms[vm[2][0].decode()] = vm[1][0]

    def close(self):
        self.stream.close()
        self.line.close()

    def send(self, kind, message):
        data = field(kind, message)
        size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
        self.line.sendall(b"\x82" + size + data)

    def read_frame(self):
        head = self.stream.read(2)
        size = head[1] & 127
        if size > 125:
            size = int.from_bytes(self.stream.read(2 if size == 126 else 8), "big")
        mask = self.stream.read(4)
        data = self.stream.read(size)
        mask = mask * (size // 4 + 1)
        return bytes(a ^ b for a, b in zip(data, mask))

    def receive(self, kind, seconds=10):
        """The next message of that kind, or None; others are passed over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            envelope = parse(self.read_frame())
            if kind in envelope:
                return parse(envelope[kind][0])
        return None

    def ask(self, number, vm, *views):
        self.send(INTROSPECT, field(1, (number,)) + field(2, 5) + field(3, self.vms.get(vm, b"x" * 16)) +
                  b"".join(field(4, view.encode()) for view in views) +
                  field(5, 50000) + field(6, 1000000))

    def findings(self, seconds=10):
        """(request, status, reason, report)"""
        answer = self.receive(FINDINGS, seconds)
        return answer and (struct.unpack("<Q", answer[1][0])[0], answer.get(2, [0])[0],
                           answer.get(3, [b""])[0].decode(), answer.get(4, [b""])[0])


def start_node(world, script=None, policy="rules: []"):
    """With a script in the place of atom-vmi, which runs in the world's folder."""
    trace = world.path("trace.csv")
    if not os.path.exists(trace):
        make_trace(trace, 600)
        world.atom("enroll", "node", "n1", "--dir", world.path("pki"))
    program = ""
    if script:
        program = "introspect: {program: " + world.write(
            "look", f"#!/bin/sh\ncd {world.folder}\n{script}\n") + "}"
        os.chmod(world.path("look"), 0o700)
    return world.start("atom-node", world.write("n1.yaml", f"""
name: n1
controller: {{host: 127.0.0.1, port: {world.bus_port}}}
tls: {{ca: {world.path('pki/ca.crt')}, certificate: {world.path('pki/n1.crt')},
  key: {world.path('pki/n1.key')}}}
hypervisor: {{uri: 'trace:{trace}', start: now}}
policy: {{file: {world.write('policy.yaml', policy)}}}
{world.actions('n1')}
{program}
"""), "n1.log")


def test_request_goes_by_policy_to_the_program(world):
    start_node(world, 'echo "$@" >>asked\nprintf "a\\0report"', "rules: [{vm: vm2, views: [ps]}]")
    controller = Controller(world)
    controller.accept()
    controller.ask(1, "vm1", "net")
    controller.settle()
    controller.ask(2, "vm1", "net", "top")
    assert controller.findings() == (2, DONE, "", b"a\0report")
    controller.ask(3, "vm2", "ps", "net")
    number, status, reason, _ = controller.findings()
    assert (number, status) == (3, REFUSED) and "'net' of VM vm2" in reason, reason
    controller.ask(4, "nowhere", "ps")
    assert controller.findings() == (4, REFUSED, "this node has no such VM", b"")
    controller.ask(5, "vm1", "kill")
    assert controller.findings()[:2] == (5, REFUSED)
    with open(world.path("asked"), encoding="utf-8") as stream:
        asked = stream.read()
    uuid = controller.vms["vm1"].hex()
    uuid = "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))
    assert asked == f"net,top {uuid} --encoded --budget 1000 --interval 0.050000\n", asked
    assert "comes before the settings" in world.log("n1.log")


def test_request_that_is_said_again_is_answered_once(world):
    start_node(world, "echo >>asked\nsleep 1\nprintf report")
    controller = Controller(world)
    controller.accept()
    controller.settle()
    controller.ask(7, "vm1", "ps")
    wait_for(lambda: os.path.exists(world.path("asked")), 10, "the program runs")
    controller.close()
    controller.accept()
    controller.settle()
    controller.ask(7, "vm1", "ps")
    assert controller.findings() == (7, DONE, "", b"report")
    assert controller.findings(1) is None
    assert world.log("asked") == "\n"


def test_program_of_the_build_is_found(world):
    """And every view that it has is one that a policy may name."""
    program = os.path.join(world.build, "src", "vmi", "atom-vmi")
    text = subprocess.run([program, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    views = re.findall(r"^  (\w+)", text.split("Views:")[1].split("Commands:")[0], re.M)
    assert "top" in views
    start_node(world, policy=f"rules: [{{views: [{', '.join(views)}]}}]")
    controller = Controller(world)
    controller.accept()
    controller.settle()
    controller.ask(1, "vm1", *views)
    number, status, reason, _ = controller.findings()
    assert (number, status) == (1, FAILED) and reason.startswith("atom-vmi: "), reason


def test_bad_policy_is_named(world):
    node = start_node(world, policy="rules:\n  - views: [everything]\n")
    assert node.wait(10) == 1
    log = world.log("n1.log")
    assert f"{world.path('policy.yaml')}:2: key 'views'" in log, log


def test_node_ends_with_a_look_under_way(world):
    node = start_node(world, "echo $$ >asked\nexec sleep 60")
    controller = Controller(world)
    controller.accept()
    controller.settle()
    controller.ask(1, "vm1", "ps")
    process = wait_for(lambda: os.path.exists(world.path("asked")) and world.log("asked").strip(), 10,
                       "the program runs")
    assert world.kill(node, signal.SIGTERM) == 0
    assert not os.path.exists(f"/proc/{process}")


if __name__ == "__main__":
    sys.exit(main([test_request_goes_by_policy_to_the_program,
                   test_request_that_is_said_again_is_answered_once,
                   test_program_of_the_build_is_found, test_bad_policy_is_named,
                   test_node_ends_with_a_look_under_way]))
