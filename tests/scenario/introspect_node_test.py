#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""atom-node asked to look into its VMs, by a controller of a few lines and with a script as its atom-vmi."""
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
from peer import (DONE, EPOCH, FAILED, FINDINGS, HELLO, INTROSPECT, REFUSED, SETTINGS, accept_mark, answer_of, field, frame, parse,
                  read_frame, read_head, tls)


SETTINGS_OF_ALL = field(1, 100000) + field(2, 127) + field(3, struct.pack("<7d", *[1] * 7))


class Controller:
    """Takes one connection at a time; what the node says is read when it is waited for."""

    def __init__(self, world):
        self.context = tls(world, "controller", ssl.PROTOCOL_TLS_SERVER)
        self.listener = socket.create_server(("127.0.0.1", world.bus_port))
        self.listener.settimeout(20)
        self.line = self.stream = None
        self.vms = {}

    def accept(self):
        """Greets the node up to its HELLO."""
        self.line = self.context.wrap_socket(self.listener.accept()[0], server_side=True)
        self.line.settimeout(10)
        self.stream = self.line.makefile("rb")
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", read_head(self.stream)).group(1)
        self.line.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          b"Connection: Upgrade\r\nSec-WebSocket-Protocol: atom.v1\r\n"
                          b"Sec-WebSocket-Accept: " + accept_mark(key) + b"\r\n\r\n")
        self.receive(HELLO)

    def settle(self):
        """The settings, then the names of the VMs."""
        self.send(SETTINGS, SETTINGS_OF_ALL)
        self.read_epoch()

    def read_epoch(self):
        for data in self.receive(EPOCH)[4]:
            vm = parse(data)
            self.vms[vm[2][0].decode()] = vm[1][0]

    def close(self):
        self.stream.close()
        self.line.close()

    def send(self, kind, message):
        self.line.sendall(frame(2, field(kind, message)))

    def receive(self, kind, seconds=10):
        """The next message of that kind, or None; others are passed over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            envelope = parse(read_frame(self.stream)[1])
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
        return answer and answer_of(answer)


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
