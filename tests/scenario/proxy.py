# SPDX-License-Identifier: Apache-2.0
"""A line between a node and atomd that fails as a test wants; TLS passes through it."""
import socket
import threading

UP, DOWN = "up", "down"  # what the node says, what atomd says


class Proxy:
    """Hands connections to `port` on to `target`. What it has swallowed is missed by TLS: such a connection can only be cut."""

    def __init__(self, target):
        self.target = target
        self.lock = threading.Lock()
        self.lines = []  # (the node's socket, atomd's)
        self.halves = []  # the node's sockets of connections that only it knows to have ended
        self.is_open = True
        self.lost = set()
        self.swallowed = {UP: 0, DOWN: 0}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5) if self.is_open else None
            except OSError:
                far = None
            if not far:
                near.close()
                continue
            far.settimeout(None)
            with self.lock:
                self.lines.append((near, far))
            for source, sink, way in ((near, far, UP), (far, near, DOWN)):
                threading.Thread(target=self.pump, args=(source, sink, way), daemon=True).start()

    def pump(self, source, sink, way):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                with self.lock:
                    is_lost = way in self.lost
                    self.swallowed[way] += len(data) if is_lost else 0
                if not is_lost:
                    sink.sendall(data)
        except OSError:
            pass  # it was cut
        if source not in self.halves:
            end(sink)

    def swallow(self, way):
        """From now on nothing comes through that way, until all is cut."""
        with self.lock:
            self.swallowed[way] = 0
            self.lost.add(way)

    def cut(self, reopen=True):
        """Ends all connections; without `reopen` no other comes about until open()."""
        self.is_open = False
        with self.lock:
            lines, self.lines = self.lines, []
        for near, far in lines:
            end(near)
            end(far)
        self.lost.clear()
        self.is_open = reopen

    def cut_near(self):
        """Only the node is told: for atomd the connection is still there, and silent."""
        with self.lock:
            self.halves += [near for near, _ in self.lines]
        for near in self.halves:
            end(near)

    def open(self):
        self.is_open = True

    def close(self):
        self.listener.close()
        self.cut(False)


def end(line):
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended already
