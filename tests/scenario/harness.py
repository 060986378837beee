# SPDX-License-Identifier: Apache-2.0
"""What scenario tests share: the real programs on loopback in a folder of their own, and TAP."""
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

METRICS = ("CPUUtilization", "NetworkIn", "NetworkOut", "DiskReadOps", "DiskWriteOps",
           "DiskReadBytes", "DiskWriteBytes")


def free_port():
    """Below the ports that connections get, so that no connection of somebody else takes it before we do."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def wait_for(condition, seconds, what):
    """The first true answer of `condition`; fails after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


class World:
    """Certificates, one atomd and its nodes. Ends everything it started."""

    def __init__(self, build):
        self.build = build
        self.folder = tempfile.mkdtemp(prefix="atom-scenario-")
        self.bus_port, self.http_port = free_port(), free_port()
        self.processes = []
        self.atomd = None
        self.tokens = {}
        self.add_token("tester", "admin")
        self.atom("enroll", "init", "--dir", self.path("pki"), "--name", "localhost",
                  "--name", "127.0.0.1")

    def path(self, name):
        return os.path.join(self.folder, name)

    def add_token(self, name, role, project=""):
        """A token of that role; requests bear the first one made where they say none."""
        self.tokens[name] = (f"atom_{name}", role, project)
        lines = [f"  - {{name: {name}, role: {role}, project: '{project}', "
                 f"sha256: {hashlib.sha256(token.encode()).hexdigest()}}}"
                 for name, (token, role, project) in self.tokens.items()]
        os.chmod(self.write("tokens.yaml", "\n".join(["tokens:", *lines, ""])), 0o600)

    def token(self, name="tester"):
        return self.tokens[name][0]

    def program(self, name):
        folder = {"atom": "ctl", "atomd": "controller", "atom-node": "node"}[name]
        return os.path.join(self.build, "src", folder, name)

    def atom(self, *arguments, status=0):
        """Runs the command line; returns what it printed."""
        done = subprocess.run(
            [self.program("atom"), "--server", f"http://127.0.0.1:{self.http_port}", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=30, check=False, env={**os.environ, "ATOM_TOKEN": self.token()})
        assert done.returncode == status, f"atom {arguments}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def start(self, name, config, log):
        with open(self.path(log), "ab") as output:
            process = subprocess.Popen([self.program(name), "--config", config],
                                       stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as stream:
            stream.write(text)
        return self.path(name)

    def start_atomd(self, interval="100ms", window=60, extra=""):
        config = self.write("atomd.yaml", f"""
bus: {{address: 127.0.0.1, port: {self.bus_port}}}
http: {{port: {self.http_port}, tokens: {self.path('tokens.yaml')}}}
tls: {{ca: {self.path('pki/ca.crt')}, certificate: {self.path('pki/controller.crt')},
  key: {self.path('pki/controller.key')}}}
store: {{path: {self.path('atom.db')}}}
detect: {{window_rows: {window}, unlock_rows: 1000}}
track:
  interval: {interval}
{extra}
""")
        self.atomd = self.start("atomd", config, "atomd.log")
        wait_for(lambda: self.get("/api/v1/status"), 10, "atomd answers")

    def start_node(self, name, trace, speed=1, start="now", certificate=None, extra="", port=None):
        """It connects to atomd, or to another port."""
        certificate = certificate or name
        if not os.path.exists(self.path(f"pki/{certificate}.crt")):
            self.atom("enroll", "node", certificate, "--dir", self.path("pki"))
        config = self.write(f"{name}-{len(self.processes)}.yaml", f"""
name: {name}
controller: {{host: 127.0.0.1, port: {port or self.bus_port}}}
tls: {{ca: {self.path('pki/ca.crt')}, certificate: {self.path(f'pki/{certificate}.crt')},
  key: {self.path(f'pki/{certificate}.key')}}}
hypervisor: {{uri: 'trace:{trace}', speed: {speed}, start: {start}}}
{self.actions(name) if 'action:' not in extra else ''}
{extra}""")
        return self.start("atom-node", config, f"{name}.log")

    def actions(self, node):
        """A node's settings that keep what it does in the world's folder."""
        return (f"action: {{journal: {self.path(node + '.journal')}, evidence: {self.path('evidence')}, "
                f"nft: {self.path('nft')}}}")

    def request(self, method, path, body=None, token=None):
        """(status, JSON) of the API; (0, None) where it does not answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token() if token is None else token}"}
        if token == "":
            headers = {}
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=data,
                                         headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except (urllib.error.URLError, OSError, ValueError):
            return 0, None

    def get(self, path):
        """JSON of the API, or None where it does not answer, or with an error."""
        status, body = self.request("GET", path)
        return body if status == 200 else None

    def post(self, path, **body):
        """JSON of the API's answer to an order, which must not be an error."""
        status, answer = self.request("POST", path, body)
        assert status in (200, 202), (status, answer)
        return answer

    def node(self, name):
        nodes = (self.get("/api/v1/nodes") or {"nodes": []})["nodes"]
        return next((node for node in nodes if node["name"] == name), None)

    def group(self):
        groups = (self.get("/api/v1/groups") or {"groups": []})["groups"]
        return groups[0] if groups else None

    def alarms(self):
        return (self.get("/api/v1/alarms") or {"alarms": []})["alarms"]

    def log(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def kill(self, process, number=signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
        return process.wait(15)

    def close(self, keep):
        for process in reversed(self.processes):
            if process.poll() is None:
                self.kill(process, signal.SIGTERM)
        if keep:
            print(f"# logs are kept in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def make_trace(path, rows, vms=("vm1", "vm2", "vm3"), step=0.1, seed=1, change=None):
    """A trace of correlated columns. change(row, vm, values) may alter a VM's values, or return None for one
    that does not run in that row."""
    source = random.Random(seed)
    start = int(time.time()) - 86400
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("t," + ",".join(f"{vm}.{metric}" for vm in vms for metric in METRICS) + "\n")
        for row in range(rows):
            cells = []
            for vm in vms:
                load = 10 + 3 * source.gauss(0, 1)
                values = [load + source.gauss(0, 1), 5000 + 300 * load + source.gauss(0, 500),
                          90000 + 5000 * load + source.gauss(0, 5000), 5 + source.random(),
                          2 + source.random(), 250000 + source.gauss(0, 9000),
                          40000 + source.gauss(0, 9000)]
                if change:
                    values = change(row, vm, values)
                cells += [f"{value:.3f}" if value is not None else ""
                          for value in (values or [None] * len(METRICS))]
            stream.write(f"{start + row * step:.3f}," + ",".join(cells) + "\n")
    return path


def epoch_msec(text):
    """Milliseconds since 1970 of an API time."""
    import calendar
    head, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(head, "%Y-%m-%dT%H:%M:%S")) * 1000 + int(fraction)


def main(tests, make_world=World):
    """Runs test functions of one argument, a World; argv[1] is the build folder."""
    build = os.path.abspath(sys.argv[1])
    wanted = sys.argv[2:]
    tests = [test for test in tests if not wanted or test.__name__ in wanted]
    print(f"1..{len(tests)}")
    failures = 0
    for number, test in enumerate(tests, 1):
        world = make_world(build)
        good, skipped = False, ""
        try:
            test(world)
            good = True
        except Skip as why:
            good, skipped = True, f" # SKIP {why}"
        except Exception:  # pylint: disable=broad-except # a test may fail in any way
            failures += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        finally:
            world.close(keep=not good)
        print(f"{'' if good else 'not '}ok {number} - {test.__name__}{skipped}", flush=True)
    return 1 if failures else 0
