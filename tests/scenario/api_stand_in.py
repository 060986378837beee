#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for the API of atomd: an alarm with suspects in two VMs, actions that go through their states, an audit log.
Records what it was asked. api_stand_in.py PORT serves until it is killed, to look at the screens of atom by hand."""
import hashlib
import http.server
import json
import re
import sys
import threading
import urllib.parse

TIME = "2026-11-24T10:36:41.123Z"
OVER = ("done", "pending", "refused", "failed", "unknown", "vetoed")


def column(vm, metric, abnormal, stddev):
    return {"vm": vm, "uuid": f"uuid-{vm}", "node": "host-a", "metric": metric, "unit": "Bytes", "rd": 64.2, "stddev": stddev,
            "meandiff": 7.1, "mean_normal": 90000.0, "mean_abnormal": 729000.0, "direction": "up", "from_zero": False,
            "abnormal": abnormal}


def look(vm, pid, suspects=True):
    suspect = {"pid": pid, "start_nsec": 5000000000 + pid, "command": "ab", "command_line": "ab -c 64 -n 100000000 http://10.0.0.9/",
               "uid": 0, "parents": [{"pid": 101, "command": "sh"}, {"pid": 1, "command": "init"}], "score": 0.97,
               "reasons": ["412 connections to 10.0.0.9:80, of which 412 were opened within the sample, which is 98 % of all of the VM",
                           "71 % of a CPU", "began after the onset of the alarm"]}
    other = {"pid": 101, "start_nsec": 1000000000, "command": "sh", "command_line": "sh", "uid": 0, "parents": [], "score": 0.11,
             "reasons": ["parent of ab 214"]}
    return {"vm": vm, "uuid": f"uuid-{vm}", "node": "host-a", "state": "done", "asked": TIME, "answered": TIME, "views": ["top", "net"],
            "text": f"process ab ({pid}) holds 412 connections to 10.0.0.9:80", "suspects": [suspect, other] if suspects else [],
            "patterns": [{"name": "possible flood", "text": "one process opens very many connections to one peer", "peer": "10.0.0.9",
                          "port": 80}]}


def alarm():
    return {"id": 7, "group": "host-a", "state": "open", "opened": TIME, "closed": None, "level": 12,
            "summary": "vm2 CPUUtilization up, NetworkOut up; vm3 CPUUtilization up, NetworkOut up, NetworkIn up (SPE 431 > Q 22.1)",
            "spe": 431.0, "q": 22.1, "spe_peak": 502.2, "components": 6, "window_rows": 120,
            "columns": [column("vm2", "NetworkOut", True, 8.0), column("vm3", "NetworkOut", True, 7.5),
                        column("vm1", "NetworkOut", False, 0.2)],
            "history": [{"time": TIME, "event": "opened", "text": "vm2 CPUUtilization up, NetworkOut up; vm3 CPUUtilization up (SPE 431)"},
                        {"time": TIME, "event": "suspect", "text": "vm2: ab (214)"}],
            "introspection": [look("vm2", 214), look("vm3", 180)],
            "across": [{"name": "possible flood", "text": "vm2 and vm3 do the same to 10.0.0.9", "vms": ["vm2", "vm3"]}],
            "verdict": None, "notes": [], "actions": []}


def seal(previous, text):
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def audit(count):
    records, previous = [], ""
    for number in range(1, count + 1):
        text = json.dumps({"time": TIME, "event": "done", "action": number, "kind": "end-process", "vm": "vm2", "by": "operator anna",
                           "arguments": {"pid": 214, "command": "ab"}, "reason": "killed", "dry_run": False})
        previous = seal(previous, text)
        records.append({"number": number, "record": text, "hash": previous})
    return records


class StandIn:
    """What it holds may be changed by a test at any time."""

    def __init__(self, port=0):
        self.alarm, self.events, self.actions, self.records = alarm(), [], {}, audit(2500)
        self.tokens = None  # {token: role}; None: all may do all
        self.outcome = lambda action: ("done", "" if action["dry_run"] else "killed, and gone after 3 ms")
        self.verified = "process 214 (ab) is gone, and no other of its name came"
        self.asked = []  # (method, path, body)
        self.port = port
        self.server = None
        self.start()

    def start(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

            def answer(self, method):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null") if method == "POST" else None
                owner.asked.append((method, self.path, body))
                status, answer = owner.handle(method, self.path, body, self.headers.get("Authorization"))
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):  # pylint: disable=invalid-name
                self.answer("GET")

            def do_POST(self):  # pylint: disable=invalid-name
                self.answer("POST")

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):  # pylint: disable=arguments-differ
                """A client that was ended while it was answered."""

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def posted(self, path):
        return [body for method, asked, body in self.asked if method == "POST" and asked == path]

    def orders(self, dry_run):
        return [body for body in self.posted("/api/v1/actions") if body["dry_run"] is dry_run]

    # Answers

    def handle(self, method, path, body, authorization):
        refusal = self.refuse(method, path, authorization)
        if refusal:
            return refusal
        path, _, query = path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        for wanted, pattern, function in (
                ("GET", r"/api/v1/alarms", lambda: (200, {"alarms": [self.alarm]})),
                ("GET", r"/api/v1/alarms/7", lambda: (200, self.alarm)),
                ("POST", r"/api/v1/alarms/7/notes", lambda: (200, {"id": 3})),
                ("POST", r"/api/v1/alarms/7/verdict", lambda: self.judge(body)),
                ("GET", r"/api/v1/events", lambda: self.list_events(query)),
                ("POST", r"/api/v1/actions", lambda: self.order(body)),
                ("GET", r"/api/v1/actions", lambda: (200, {"actions": self.list_actions(query)})),
                ("GET", r"/api/v1/actions/(\d+)", lambda number=0: self.show(int(number))),
                ("POST", r"/api/v1/actions/(\d+)/veto", lambda number=0: self.veto(int(number))),
                ("GET", r"/api/v1/audit", lambda: self.list_audit(query))):
            match = re.fullmatch(pattern, path)
            if match and wanted == method:
                return function(*match.groups())
        return 404, {"error": f"there is no {path}"}

    def refuse(self, method, path, authorization):
        if self.tokens is None:
            return None
        role = self.tokens.get((authorization or "").removeprefix("Bearer "))
        if not role:
            return 401, {"error": "no token, or one that is unknown"}
        needed = "admin" if path.startswith("/api/v1/audit") else "operator" if method == "POST" else "viewer"
        order = ("viewer", "operator", "admin")
        if order.index(role) < order.index(needed):
            return 403, {"error": f"{method} {path} needs the role {needed}"}
        return None

    def judge(self, body):
        if self.alarm["verdict"]:
            return 409, {"error": f"alarm 7 has the verdict {self.alarm['verdict']['verdict']} already"}
        self.alarm["verdict"] = {"verdict": body["verdict"], "by": "anna", "time": TIME, "note": body.get("note")}
        return 200, {"id": 7, "state": "resolved", "verdict": self.alarm["verdict"]}

    def list_events(self, query):
        limit = int(query.get("limit", 20))
        after = int(query.get("after", 0))
        found = [event for event in self.events if event["id"] > after]
        found = found[:limit] if "after" in query else found[-limit:]
        return 200, {"events": found, "last": found[-1]["id"] if found else after}

    def list_actions(self, query):
        wanted = int(query.get("alarm", 0))
        return [action for action in reversed(self.actions.values()) if wanted in (0, action["alarm"])]

    def order(self, body):
        if body["vm"].removeprefix("uuid-") not in ("vm1", "vm2", "vm3"):
            return 404, {"error": f"no VM is called '{body['vm']}'"}
        if body["kind"] == "end-process" and not body["dry_run"] and "start_nsec" not in body:
            return 400, {"error": "start_nsec is missing"}
        number = len(self.actions) + 1
        arguments = {key: value for key, value in body.items() if key not in ("kind", "vm", "alarm", "dry_run", "evidence", "why")}
        self.actions[number] = {
            "id": number, "alarm": body.get("alarm"), "vm": body["vm"].removeprefix("uuid-"), "uuid": "uuid-" + body["vm"][-3:],
            "node": "host-a", "kind": body["kind"], "arguments": arguments, "dry_run": body["dry_run"], "state": "ordered",
            "by": "operator anna", "made": TIME, "due": None, "sent": None, "ended": None, "reason": "", "report": None,
            "verified": None, "after": None}
        if not body["dry_run"]:
            self.alarm["actions"].append(number)
        return 202, {"id": number, "state": "ordered"}

    def report(self, action):
        arguments = action["arguments"]
        if action["kind"] == "contain":
            return {"rules": [{"rule": f"table netdev atom-{action['id']} {{ chain in {{ ip daddr {arguments['peer']} drop }} }}"}]}
        if action["kind"] == "snapshot":
            return {"file": [{"path": "/var/lib/atom/evidence/vm2.elf", "size": 536870912}]}
        if action["kind"] != "end-process":
            return None
        return {"end": [{"outcome": "dry run" if action["dry_run"] else "dead", "reason": "", "pid": arguments["pid"], "command": "ab",
                         "uid": 0, "start_nsec": 5000000000 + arguments["pid"], "method": "memory", "threads": 1, "wakeups": 0}],
                "writes": [{"what": "signal pending", "address": "0xffff888003a41b40", "size": 8, "before": "0x0", "after": "0x100"},
                           {"what": "thread flags", "address": "0xffff888003a41000", "size": 8, "before": "0x0", "after": "0x4"}]}

    def show(self, number):
        action = self.actions.get(number)
        if not action:
            return 404, {"error": f"there is no action {number}"}
        shown = dict(action)
        if action["state"] == "ordered":
            action["state"] = "sent"
        elif action["state"] == "sent":
            action["state"], action["reason"] = self.outcome(action)
            action["ended"] = TIME
            action["report"] = self.report(action) if action["state"] == "done" else None
        elif action["state"] == "done" and not action["dry_run"]:
            action["verified"] = self.verified
        return 200, shown

    def veto(self, number):
        action = self.actions[number]
        if action["state"] != "announced":
            return 409, {"error": f"action {number} is {action['state']}: only an announced one can be vetoed"}
        action["state"], action["reason"] = "vetoed", "by operator anna"
        return 200, action

    def list_audit(self, query):
        after, limit = int(query.get("after", 0)), int(query.get("limit", 100))
        found = [record for record in self.records if record["number"] > after][:limit]
        last = self.records[-1] if self.records else {"number": 0, "hash": ""}
        return 200, {"records": found, "last": {"number": last["number"], "hash": last["hash"]}}


if __name__ == "__main__":
    STAND_IN = StandIn(int(sys.argv[1]))
    STAND_IN.events = [{"id": i, "alarm": 7, "time": TIME, "event": event, "text": text} for i, (event, text) in enumerate((
        ("opened", STAND_IN.alarm["summary"]), ("introspecting", "vm2: top, net"), ("suspect", "vm2: ab (214)"),
        ("malicious", "by anna"), ("done", "action 2: process 214 (ab) of vm2 is dead"), ("resolved", "SPE is back under Q")), 1)]
    threading.Event().wait()
