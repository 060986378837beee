#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of src/node/containment.c as this kernel keeps them: real connections between network namespaces that
play a VM, a peer and another peer, over a bridge in a fourth one. Needs root, ip and nft."""
import contextlib
import ctypes
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import time

from harness import main, wait_for

HOSTS = {"vm": 1, "peer": 2, "other": 3}
FAMILIES = (socket.AF_INET, socket.AF_INET6)
PORT = 7000
CLONE_NEWNET = 0x40000000
REFUSED_SEC = 0.7  # what is not there by then is refused: all of it is one machine
RATE, RATE_SEC = 10, 4
SYN, RST, PSH, ACK = 2, 4, 8, 16
LIBC = ctypes.CDLL(None, use_errno=True)


def address(host, family):
    return f"10.77.0.{HOSTS[host]}" if family == socket.AF_INET else f"fd77::{HOSTS[host]}"


class Net:
    """A bridge with three hosts at it; the VM has two network cards, the second of which is idle."""

    def __init__(self, build):
        self.script_program = os.path.join(build, "tests", "scenario", "containment_script")
        self.prefix = f"atom-net-{os.getpid()}-"
        self.listeners = {}
        self.sockets = []
        self.made = []
        try:
            self.build_net()
        except BaseException:
            self.close(False)
            raise

    def build_net(self):
        for name in ("host", *HOSTS):
            self.ip("netns", "add", self.prefix + name)
            self.made.append(name)
            self.ip("-n", self.prefix + name, "link", "set", "lo", "up")
        host = self.prefix + "host"
        self.ip("-n", host, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        self.ip("-n", host, "link", "set", "br0", "up")
        for name in HOSTS:
            self.plug(name, f"tap-{name}.0", "eth0")
            for family, size in ((socket.AF_INET, 24), (socket.AF_INET6, 64)):
                nodad = ["nodad"] if family == socket.AF_INET6 else []
                self.ip("-n", self.prefix + name, "addr", "add", f"{address(name, family)}/{size}",
                        "dev", "eth0", *nodad)
        self.plug("vm", "tap-vm.1", "eth1")
        for name in HOSTS:
            for family in FAMILIES:
                self.listeners[name, family] = self.make_socket(name, family, socket.SOCK_STREAM)
                self.listeners[name, family].bind((address(name, family), PORT))
                self.listeners[name, family].listen(128)

    def plug(self, name, tap, card):
        self.ip("-n", self.prefix + "host", "link", "add", tap, "type", "veth", "peer", "name", card,
                "netns", self.prefix + name)
        self.ip("-n", self.prefix + "host", "link", "set", tap, "master", "br0", "up")
        self.ip("-n", self.prefix + name, "link", "set", card, "up")

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, timeout=20)

    def nft(self, *words, text=None):
        done = subprocess.run(["ip", "netns", "exec", self.prefix + "host", "nft", *words], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def script(self, *words):
        return subprocess.run([self.script_program, *map(str, words)], stdout=subprocess.PIPE, text=True, timeout=20,
                              check=True).stdout

    def contain(self, family, own=True, rate=0, expiry_sec=60, action=1, peer="peer"):
        """own: with the VM's address in the rules."""
        own_address = address("vm", family) if own else ""
        self.nft("-f", "-", text=self.script(action, address(peer, family), own_address, rate,
                                             int(expiry_sec * 1e6), "tap-vm.1", "tap-vm.0"))

    def release(self, action=1):
        self.nft("-f", "-", text=self.script(action))

    @contextlib.contextmanager
    def inside(self, name):
        """Sockets made meanwhile are those of that host; they stay so."""
        with open("/proc/thread-self/ns/net", "rb") as before, open(f"/run/netns/{self.prefix}{name}", "rb") as there:
            if LIBC.setns(there.fileno(), CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                assert LIBC.setns(before.fileno(), CLONE_NEWNET) == 0

    def make_socket(self, name, family, kind):
        with self.inside(name):
            made = socket.socket(family, kind)
        self.sockets.append(made)
        made.settimeout(REFUSED_SEC)
        return made

    def connect(self, source, target, family, patience=REFUSED_SEC):
        """Both ends of a new connection, or None where there is none in time."""
        client = self.make_socket(source, family, socket.SOCK_STREAM)
        client.settimeout(patience)
        try:
            client.connect((address(target, family), PORT))
        except OSError:
            client.close()
            return None
        listener = self.listeners[target, family]
        listener.settimeout(REFUSED_SEC)
        while True:  # the client before may have given up
            server, source_address = listener.accept()
            if source_address[:2] == client.getsockname()[:2]:
                self.sockets.append(server)
                return client, server
            server.close()

    def tell(self, source, target, family):
        """Whether a datagram comes through."""
        sender = self.make_socket(source, family, socket.SOCK_DGRAM)
        receiver = self.make_socket(target, family, socket.SOCK_DGRAM)
        receiver.bind((address(target, family), PORT))
        sender.sendto(b"word", (address(target, family), PORT))
        try:
            return receiver.recv(16) == b"word"
        except socket.timeout:
            return False
        finally:
            receiver.close()

    def close(self, keep):  # pylint: disable=unused-argument # a failed test leaves nothing to look at
        for one in self.sockets:
            one.close()
        for name in self.made:
            subprocess.run(["ip", "netns", "del", self.prefix + name], check=False, timeout=20)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def segment(source, target, family, ports, flags, payload=b""):
    """A TCP segment."""
    ends = b"".join(socket.inet_pton(family, address(host, family)) for host in (source, target))
    head = struct.pack("!HHIIBBHHH", *ports, 1000, 0, 5 << 4, flags, 64240, 0, 0)
    tail = struct.pack("!BBH" if family == socket.AF_INET else "!IHBB",
                       *((0, 6, 20 + len(payload)) if family == socket.AF_INET else (20 + len(payload), 0, 0, 6)))
    return head[:16] + struct.pack("!H", checksum(ends + tail + head + payload)) + head[18:] + payload


def packet(source, target, family, data, part=None):
    """Data of TCP as a packet; part: (identity, offset, whether more follow) of a fragment."""
    ends = b"".join(socket.inet_pton(family, address(host, family)) for host in (source, target))
    identity, offset, more = part or (0, 0, False)
    if family == socket.AF_INET:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), identity, more << 13 | offset // 8, 64, 6, 0) + ends
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data
    if part:
        data = struct.pack("!BBHI", 6, 0, offset | more, identity) + data
    return struct.pack("!IHBB", 6 << 28, len(data), 44 if part else 6, 64) + ends + data


def send_raw(net, source, target, family, packets):
    with net.inside(source):
        raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        for one in packets:
            raw.sendto(one, (address(target, family), 0))


class Ear:
    """Counts the TCP segments that reach a host from now on."""

    def __init__(self, net, host, family):
        protocol = 0x800 if family == socket.AF_INET else 0x86dd
        with net.inside(host):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))
        self.socket.bind(("eth0", protocol))
        self.size = 20 if family == socket.AF_INET else 40

    def count(self, is_wanted):
        """is_wanted: of the flags and the payload."""
        count = 0
        self.socket.settimeout(0.5)
        with self.socket:
            try:
                while True:
                    got, (_, _, kind, _, _) = self.socket.recvfrom(4096)
                    tcp = got[self.size:]
                    if kind == socket.PACKET_HOST and len(tcp) >= 20 and got[9 if self.size == 20 else 6] == 6:
                        count += is_wanted(tcp[13], tcp[20:])
            except socket.timeout:
                return count


def lives(pair):
    """Whether what one end says is heard at the other, both ways."""
    for end in pair:
        end.settimeout(5)
    for speaker, hearer in (pair, pair[::-1]):
        speaker.sendall(b"word")
        if hearer.recv(4) != b"word":
            return False
    return True


def has_ended(end):
    """Says something and hears whether its connection has ended."""
    end.setblocking(False)
    try:
        end.send(b"x")
        while select.select([end], [], [], 0)[0]:
            if end.recv(4096) == b"":
                return True
    except BlockingIOError:
        pass
    except OSError:
        return True
    return False


def closes_at_both_ends(pair):
    """Within a time in which TCP says again what is not acknowledged."""
    open_ends = list(pair)
    end = time.monotonic() + 8
    while open_ends and time.monotonic() < end:
        open_ends = [one for one in open_ends if not has_ended(one)]
        time.sleep(0.02)
    return not open_ends


def check_open(net, first, second, family):
    for source, target in ((first, second), (second, first)):
        assert net.connect(source, target, family, 5), (source, target, family)
        assert net.tell(source, target, family), (source, target, family)


def check_shut(net, first, second, family):
    for source, target in ((first, second), (second, first)):
        assert not net.connect(source, target, family), (source, target, family)
        assert not net.tell(source, target, family), (source, target, family)


def test_new_connections_are_refused_both_ways(net):
    for family in FAMILIES:
        for own in (True, False):
            check_open(net, "vm", "peer", family)
            net.contain(family, own)
            check_shut(net, "vm", "peer", family)
            check_open(net, "vm", "other", family)
            check_open(net, "peer", "other", family)
            net.release()
            check_open(net, "vm", "peer", family)


def test_connections_that_were_there_close_at_both_ends(net):
    for family in FAMILIES:
        for own in (True, False):
            pairs = [net.connect("vm", "peer", family), net.connect("peer", "vm", family)]
            others = [net.connect("vm", "other", family), net.connect("other", "vm", family),
                      net.connect("peer", "other", family)]
            assert all(lives(pair) for pair in pairs + others)
            net.contain(family, own)
            assert all(closes_at_both_ends(pair) for pair in pairs)
            assert all(lives(pair) for pair in others)
            net.release()


def test_another_address_of_the_vm_is_untouched(net):
    with_more = [("10.77.0.9/24", socket.AF_INET), ("fd77::9/64", socket.AF_INET6)]
    for text, family in with_more:
        net.ip("-n", net.prefix + "vm", "addr", "add", text, "dev", "eth0", "preferred_lft", "0",
               *(["nodad"] if family == socket.AF_INET6 else []))  # never chosen by itself
        client = net.make_socket("vm", family, socket.SOCK_STREAM)
        client.bind((text.split("/")[0], 0))
        net.contain(family)
        client.connect((address("peer", family), PORT))
        assert not net.connect("vm", "peer", family)
        net.release()


def test_rate_lets_that_many_through(net):
    for family in FAMILIES:
        old = net.connect("vm", "peer", family)
        began = time.monotonic()
        net.contain(family, rate=RATE)
        assert closes_at_both_ends(old)
        assert not net.connect("vm", "peer", family, 0.2)
        time.sleep(max(0, began + 3.2 - time.monotonic()))
        through, tried = [], 0
        began = time.monotonic()
        while time.monotonic() - began < RATE_SEC:
            source, target = (("vm", "peer"), ("peer", "vm"))[tried % 2]  # both directions have one limit
            tried += 1
            pair = net.connect(source, target, family, 0.01)
            if pair:
                through.append(pair)
        # as many may come at once as in a second; a busy machine may lose some
        print(f"# {tried} tried, {len(through)} of {RATE * (RATE_SEC + 1)} through", flush=True)
        assert tried > 2 * RATE * RATE_SEC
        assert RATE * RATE_SEC / 2 <= len(through) <= RATE * (RATE_SEC + 1) + 2
        assert all(lives(pair) for pair in through)
        net.release()


def in_fragments(family, whole, identity):
    """Two packets. Linux takes no IPv6 fragment that does not hold TCP's whole header."""
    cut = 8 if family == socket.AF_INET else 24
    return [packet("vm", "peer", family, whole[:cut], (identity, 0, True)),
            packet("vm", "peer", family, whole[cut:], (identity, cut, False))]


def test_fragments_count_as_others(net):
    tries = 50
    for family in FAMILIES:
        net.contain(family, own=False, rate=1)
        net.connect("vm", "peer", family)  # so that the neighbours know each other
        time.sleep(3.2)
        wholes = [segment("vm", "peer", family, (20000 + i, PORT), SYN, b"8 bytes.") for i in range(tries)]
        ear = Ear(net, "vm", family)
        send_raw(net, "vm", "peer", family, [packet("vm", "peer", family, one) for one in wholes])
        through = ear.count(lambda flags, _: flags == SYN | ACK)
        assert 1 <= through <= 4, through  # each is answered again after a second
        ear = Ear(net, "vm", family)
        send_raw(net, "vm", "peer", family,
                 [part for i, one in enumerate(wholes) for part in in_fragments(family, one, i)])
        through = ear.count(lambda flags, _: flags == SYN | ACK)
        assert through <= 4, through
        net.release()
        ear = Ear(net, "vm", family)
        whole = segment("vm", "peer", family, (30000, PORT), SYN, b"8 bytes.")
        send_raw(net, "vm", "peer", family, in_fragments(family, whole, 1000))
        assert ear.count(lambda flags, _: flags == SYN | ACK) >= 1, "such packets are good ones"


def send_both_ways(net, family, flags, payload, tries):
    """How many of such segments get from the VM to the peer, and from the peer to the VM."""
    through = []
    for source, target in (("vm", "peer"), ("peer", "vm")):
        one = packet(source, target, family, segment(source, target, family, (22000, 9999), flags, payload))
        ear = Ear(net, target, family)
        send_raw(net, source, target, family, [one] * tries)
        through.append(ear.count(lambda got, said: got == flags and said == payload))
    return through


def test_where_nothing_passes_nobody_is_told_anything(net):
    words, tries = b"words" * 200, 50
    for number, family in enumerate(FAMILIES, 1):
        assert net.connect("vm", "peer", family)  # so that the neighbours know each other
        for flags in (RST | ACK, PSH | ACK):
            through = send_both_ways(net, family, flags, words, tries)
            assert through == [tries, tries], through
        net.contain(family, own=False, action=number)
        for flags in (RST | ACK, PSH | ACK):
            assert send_both_ways(net, family, flags, words, tries)[0] == 0
    time.sleep(10)  # the VM hears the peer for so long
    for family in FAMILIES:
        for flags in (RST | ACK, PSH | ACK):
            assert send_both_ways(net, family, flags, words, tries) == [0, 0]
        through = send_both_ways(net, family, RST, b"", tries)
        assert sum(through) <= 40 and through[0] > 0, through


def test_connection_that_was_silent_ends_when_the_vm_speaks(net):
    pairs = [net.connect("vm", "peer", family) for family in FAMILIES]
    for number, family in enumerate(FAMILIES, 1):
        net.contain(family, own=False, action=number)
    time.sleep(10.2)
    for ours, theirs in pairs:
        theirs.sendall(b"word")
        assert not select.select([ours], [], [], 0.5)[0], "nothing is heard any more"
        wait_for(lambda: has_ended(ours), 8, "the VM's end")  # pylint: disable=cell-var-from-loop


def test_expiry_needs_nobody(net):
    for family in FAMILIES:
        for rate in (0, 1):
            began = time.monotonic()
            net.contain(family, rate=rate, expiry_sec=2.5)
            assert not net.connect("vm", "peer", family, 0.3)
            assert not net.connect("peer", "vm", family, 0.3)
            wait_for(lambda: net.connect("vm", "peer", family, 0.1),  # pylint: disable=cell-var-from-loop
                     10, "a connection after the expiry")
            assert time.monotonic() - began >= 2.5
            for _ in range(5):
                check_open(net, "vm", "peer", family)
            net.release()


def test_release_undoes_its_own_action_and_succeeds_twice(net):
    family = socket.AF_INET
    net.contain(family, action=1)
    net.contain(family, action=2, peer="other")
    net.contain(socket.AF_INET6, action=3)
    check_shut(net, "vm", "peer", family)
    check_shut(net, "vm", "other", family)
    check_shut(net, "vm", "peer", socket.AF_INET6)
    net.release(1)
    check_open(net, "vm", "peer", family)
    net.release(1)
    check_shut(net, "vm", "other", family)
    check_shut(net, "vm", "peer", socket.AF_INET6)
    net.release(2)
    net.release(3)
    check_open(net, "vm", "other", family)
    check_open(net, "vm", "peer", socket.AF_INET6)
    assert net.nft("list", "tables") == ""


def test_made_again_there_is_one_table_with_the_new_time(net):
    family = socket.AF_INET
    net.contain(family, expiry_sec=1)
    net.contain(family, expiry_sec=60)
    assert net.nft("list", "tables").split() == ["table", "netdev", "atom-1"]
    time.sleep(1.5)
    check_shut(net, "vm", "peer", family)


def reason_to_skip():
    """Why it cannot be shown here, or None."""
    if os.geteuid() != 0:
        return "root is needed"
    for program in ("ip", "nft"):
        if not shutil.which(program):
            return f"there is no {program}"
    name = f"atom-net-{os.getpid()}-try"
    if subprocess.run(["ip", "netns", "add", name], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        return "network namespaces cannot be made here"
    rules = ("table netdev t { set s { type ipv4_addr; flags timeout; elements = { 10.0.0.1 timeout 9s }; }\n"
             "chain i { type filter hook ingress device lo priority 0; meta l4proto tcp reject with tcp reset; }\n"
             "chain e { type filter hook egress device lo priority 0; limit rate 1/second accept; }; }\n")
    try:
        done = subprocess.run(["ip", "netns", "exec", name, "nft", "-f", "-"], input=rules, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=20)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return f"no rules at a device: {' '.join(done.stdout.split())}" if done.returncode != 0 else None


if __name__ == "__main__":
    if reason := reason_to_skip():
        print(f"1..0 # SKIP {reason}")
        sys.exit(0)
    sys.exit(main([
        test_new_connections_are_refused_both_ways, test_connections_that_were_there_close_at_both_ends,
        test_another_address_of_the_vm_is_untouched, test_rate_lets_that_many_through, test_fragments_count_as_others,
        test_where_nothing_passes_nobody_is_told_anything, test_connection_that_was_silent_ends_when_the_vm_speaks,
        test_expiry_needs_nobody,
        test_release_undoes_its_own_action_and_succeeds_twice, test_made_again_there_is_one_table_with_the_new_time,
    ], Net))
