# SPDX-License-Identifier: Apache-2.0
"""What the demonstration runs: `atom up` in a folder of its own, and the guests (tools/bed)."""
import calendar
import json
import os
import shlex
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from screen import DemoError

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BED = os.path.join(TOP, "tools", "bed")


class Atom:
    """`atom up`, its HTTP API, and the commands of an operator who has its token."""

    def __init__(self, build, folder, hypervisor, settings):
        self.program = os.path.join(build, "src", "ctl", "atom")
        self.folder = folder
        self.log = os.path.join(folder, "atom.log")
        self.port = free_port()
        self.watcher = None
        arguments = [self.program, "up", "--dir", folder, "--hypervisor", hypervisor,
                     "--http-port", str(self.port), "--bus-port", str(free_port()),
                     "--interval", "1s", "--log-file", self.log]
        for setting in settings:
            arguments += ["--set", setting]
        with open(os.path.join(folder, "up.log"), "wb") as output:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT)

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def token(self):
        with open(os.path.join(self.folder, "token"), encoding="ascii") as stream:
            return stream.read().strip()

    def environment(self):
        return {**os.environ, "ATOM_SERVER": self.url(), "ATOM_TOKEN": self.token()}

    def get(self, path):
        request = urllib.request.Request(self.url() + path,
                                         headers={"Authorization": f"Bearer {self.token()}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def try_get(self, path):
        try:
            return self.get(path)
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def run(self, *words, timeout=120):
        """(exit status, text) of the command line."""
        done = subprocess.run([self.program, *words], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                              check=False, env=self.environment())
        return done.returncode, done.stdout

    def type(self, screen, *words, show_from=""):
        """A command as an operator types it, shown with what it prints. `show_from` begins the
        first line that is shown, where what comes before has been seen. Returns its status."""
        status, output = self.run(*words)
        seen = output.find("\n" + show_from) + 1 if show_from else 0
        screen.command(shlex.join(("atom", *words)),
                       ("(the dry run again) ...\n" if seen else "") + output[seen:])
        return status

    def watch(self):
        """Keeps what `atom alarm watch` prints from now on in the folder."""
        with open(os.path.join(self.folder, "watch.log"), "wb") as output:
            self.watcher = subprocess.Popen([self.program, "alarm", "watch", "--since", "0"],
                                            stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT, env=self.environment())

    def watched(self):
        with open(os.path.join(self.folder, "watch.log"), encoding="utf-8") as stream:
            return stream.read()

    def check_running(self):
        if self.process.poll() is not None:
            raise DemoError(f"atom up ended with status {self.process.returncode}; see "
                            f"{self.folder}/up.log and {self.log}")

    def wait_ready(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check_running()
            status = self.try_get("/api/v1/status")
            if status and status["nodes_connected"] > 0:
                return
            time.sleep(0.2)
        raise DemoError(f"the node did not connect within {seconds} s; see {self.log}")

    def group(self):
        groups = (self.try_get("/api/v1/groups") or {}).get("groups", [])
        return groups[0] if groups else None

    def alarm(self, number):
        return self.get(f"/api/v1/alarms/{number}")

    def alarms(self):
        """All of them, oldest first."""
        return list(reversed(self.get("/api/v1/alarms")["alarms"]))

    def node_pid(self):
        """The process of atom-node."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as stream:
            for pid in stream.read().split():
                with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                    if comm.read().strip() == "atom-node":
                        return int(pid)
        raise DemoError(f"atom-node does not run; see {self.log}")

    def stop(self):
        for process in (self.watcher, self.process):
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Bed:
    """Three guests under a libvirt of their own in a network namespace of their own."""

    def __init__(self, folder, screen):
        self.folder = folder
        self.screen = screen
        self.children = []

    def run(self, *arguments, timeout=300):
        done = subprocess.run([BED, *arguments], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                              check=False)
        if done.returncode != 0:
            raise DemoError(f"tools/bed {arguments[0]} failed:\n{done.stdout}")
        return done.stdout.strip()

    def start(self, *command, log):
        """A program inside the namespace, ended with the demonstration."""
        with open(os.path.join(self.folder, log), "wb") as output:
            child = subprocess.Popen([BED, "exec", self.folder, *command],
                                     stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=subprocess.STDOUT, start_new_session=True)
        self.children.append(child)
        return child

    @staticmethod
    def end(child):
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def up(self, accelerator):
        self.screen.say("making a network namespace, a bridge and a libvirt of our own "
                        "(about 10 s) ...")
        self.run("up", self.folder)
        for number in (1, 2, 3):
            self.screen.say(f"starting guest vm{number} ...")
            text = self.run("vm-start", self.folder, f"vm{number}", str(number), *accelerator)
            self.screen.block(text)
        for number in (1, 2, 3):
            self.screen.progress(f"waiting for vm{number} to boot (10 to 60 s in all) ...")
            self.run("vm-wait", self.folder, f"vm{number}")
        self.screen.say("all three guests run")

    def accelerator(self):
        """What runs the guests, for people."""
        with open(os.path.join(self.folder, "accelerator"), encoding="ascii") as stream:
            return "KVM" if stream.read().strip() == "kvm" else "emulation (TCG)"

    def in_guest(self, name, command):
        self.run("vm-cmd", self.folder, name, command)

    def uri(self):
        return self.run("uri", self.folder)

    def stop(self):
        for child in self.children:
            self.end(child)
        subprocess.run([BED, "down", self.folder], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
                       check=False)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def epoch_seconds(text):
    """Seconds since 1970 of an API time."""
    head, _, fraction = text.rstrip("Z").partition(".")
    whole = time.strptime(head, "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(whole) + float(f"0.{fraction or 0}")
