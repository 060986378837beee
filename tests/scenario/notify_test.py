#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Notifications: a real Alertmanager, receivers that are down for a while, a stand-in for sendmail, a command, and an
outbox that is killed in between."""
import email
import email.policy
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

from harness import Skip, free_port, main, make_trace, wait_for

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
HOSTILE = "evil\r\nBcc: all@example.org\u202e"


class Receiver:
    """A web server that does to each POST what `answers` say: a status, or None: closes without one. Then 200."""

    def __init__(self, port=0, answers=(), certificate=None):
        receiver = self
        self.accepted, self.seen, self.answers, self.authorization = [], 0, list(answers), None

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name # the name that the library wants
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.seen += 1
                receiver.authorization = self.headers["Authorization"]
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status is None:
                    self.close_connection = True
                    return
                if status == 200:
                    receiver.accepted.append(body)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):  # pylint: disable=arguments-differ # silence
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.handle_error = lambda *_: None  # a client that does not trust it is no news
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate + ".crt", certificate + ".key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self):
        return [(int(body["alerts"][0]["labels"]["alarm"]), body["alerts"][0]["annotations"]["event"])
                for body in self.accepted]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Outbox:
    """The outbox of atomd with a list of receivers, on the world's store."""

    def __init__(self, world, receivers):
        config = world.write("atomd.yaml", f"""
http: {{external_url: 'https://atom.example.org'}}
store: {{path: {world.path('atom.db')}}}
notify:
{receivers}
""")
        with open(world.path("outbox.log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(world.build, "tests", "scenario", "outbox_driver"), config],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        world.processes.append(self.process)

    def tell(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def counts(self):
        self.tell(counts=0)
        return json.loads(self.process.stdout.readline())

    def wait_until(self, seconds=10, **wanted):
        def is_so():
            counts = self.counts()
            return all(counts[name] == value for name, value in wanted.items())
        try:
            wait_for(is_so, seconds, wanted)
        except AssertionError as late:
            raise AssertionError(f"{late}, but {self.counts()}") from late

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


def alert(alarm=7, event="opened", **more):
    made = {"alarm": alarm, "group": "web", "state": "open", "opened": time.time() - 30, "level": 5,
            "summary": "web2: NetworkOut up (8.3 sd)", "details": "web2: a flood\nweb3: nothing",
            "vms": ["web2", "web3"], "project": "shop", "event": event}
    made.update(more)
    return made


class Alertmanager:
    def __init__(self, world, hook):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = world.write("alertmanager.yml", f"""
route: {{receiver: hook, group_by: [alarm], group_wait: 100ms, group_interval: 100ms}}
receivers: [{{name: hook, webhook_configs: [{{url: '{hook}'}}]}}]
""")
        with open(world.path("alertmanager.log"), "ab") as log:
            world.processes.append(subprocess.Popen(
                [ALERTMANAGER, f"--config.file={config}", f"--storage.path={world.path('am')}",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        wait_for(lambda: self.alerts() is not None, 20, "Alertmanager answers")

    def alerts(self):
        """Those that have not ended, or None where it does not answer."""
        try:
            with urllib.request.urlopen(self.url + "/api/v2/alerts", timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None


def alertmanager_world(world, resend):
    if not ALERTMANAGER:
        raise Skip("prometheus-alertmanager is not installed")
    hook = Receiver()
    manager = Alertmanager(world, hook.url)
    outbox = Outbox(world, f"  - {{name: am, kind: alertmanager, url: '{manager.url}/', resend: {resend}}}\n"
                           f"  - {{name: hook, kind: webhook, url: '{hook.url}'}}")
    return hook, manager, outbox


def test_alertmanager_fires_updates_and_resolves(world):
    hook, manager, outbox = alertmanager_world(world, "1min")
    outbox.tell(offer=alert())
    first = wait_for(manager.alerts, 10, "an alert")
    assert len(first) == 1, first
    assert first[0]["labels"] == {"alertname": "AtomAlarm", "alarm": "7", "group": "web",
                                  "severity": "warning"}, first
    assert first[0]["annotations"]["summary"].startswith("web2: NetworkOut up"), first
    assert first[0]["generatorURL"] == "https://atom.example.org/alarms/7", first
    outbox.tell(offer=alert(event="suspect", summary="web2: curl floods", level=50, vms=["web2"]))
    wait_for(lambda: manager.alerts()[0]["annotations"]["summary"] == "web2: curl floods", 10, "an update")
    assert len(manager.alerts()) == 1, manager.alerts()
    assert manager.alerts()[0]["fingerprint"] == first[0]["fingerprint"]
    outbox.tell(offer=alert(event="cleared", state="cleared", closed=time.time()))
    wait_for(lambda: manager.alerts() == [], 10, "it is resolved")
    outbox.wait_until(sent=6, waiting=0, failed=0)

    # what Alertmanager's own webhook says of it has the shape of ours
    def payload(of):
        return next((body for body in hook.accepted if body["status"] == "resolved" and
                     (body["externalURL"] == "https://atom.example.org") == (of == "atomd")), None)
    theirs = wait_for(lambda: payload("alertmanager"), 20, "Alertmanager tells its webhook")
    ours = payload("atomd")
    assert set(ours) == set(theirs), (ours, theirs)
    assert set(ours["alerts"][0]) == set(theirs["alerts"][0]), (ours, theirs)
    for name in ("labels", "status", "fingerprint", "generatorURL", "annotations"):
        assert ours["alerts"][0][name] == theirs["alerts"][0][name], (name, ours, theirs)
    assert ours["groupKey"] == theirs["groupKey"] and ours["groupLabels"] == theirs["groupLabels"], (ours, theirs)
    outbox.end()
    hook.close()


def test_alertmanager_hears_of_open_alarms_until_atomd_dies(world):
    hook, manager, outbox = alertmanager_world(world, "1s")
    outbox.tell(open=[alert(event="open"), alert(8, event="open", group=HOSTILE, summary=HOSTILE)])
    wait_for(lambda: len(manager.alerts()) == 2, 10, "two alerts")
    time.sleep(6)  # longer than the four seconds after which they would end by themselves
    assert len(manager.alerts()) == 2, manager.alerts()
    assert outbox.counts()["sent"] >= 10, outbox.counts()
    world.kill(outbox.process)
    wait_for(lambda: manager.alerts() == [], 10, "they end by themselves")
    hook.close()


def test_webhook_that_fails_first_gets_all_in_order(world):
    hook = Receiver(answers=[None, 500])
    outbox = Outbox(world, f"  - {{name: hook, kind: webhook, url: '{hook.url}'}}")
    for alarm, event in ((7, "opened"), (8, "opened"), (7, "suspect"), (7, "cleared")):
        outbox.tell(offer=alert(alarm, event))
    outbox.wait_until(30, sent=4, waiting=0, failed=2, dropped=0)
    events = hook.events()
    assert sorted(events) == [(7, "cleared"), (7, "opened"), (7, "suspect"), (8, "opened")], events
    assert [event for alarm, event in events if alarm == 7] == ["opened", "suspect", "cleared"], events
    assert hook.seen == 6, hook.seen
    outbox.end()
    hook.close()


def test_webhook_that_refuses_does_not_stop_the_rest(world):
    hook = Receiver(answers=[400, 302])
    outbox = Outbox(world, f"  - {{name: hook, kind: webhook, url: '{hook.url}'}}")
    for alarm in (7, 8, 9):
        outbox.tell(offer=alert(alarm))
    outbox.wait_until(sent=1, dropped=2, waiting=0)
    assert hook.events() == [(9, "opened")], hook.events()
    assert "a message of alarm 7 is dropped: it answered with status 400" in world.log("outbox.log")
    outbox.end()
    hook.close()


def test_webhook_over_tls_is_trusted_by_its_authority(world):
    hook = Receiver(certificate=world.path("pki/controller"))
    token = world.write("token", "secret\n")
    trusted = f"  - {{name: trusted, kind: webhook, url: '{hook.url}', token_file: {token}"
    outbox = Outbox(world, f"{trusted}, ca_file: {world.path('pki/ca.crt')}}}\n"
                           f"  - {{name: unknown, kind: webhook, url: '{hook.url}', token_file: {token}}}")
    outbox.tell(offer=alert())
    outbox.wait_until(sent=1, failed=1, waiting=1)
    assert hook.seen == 1 and hook.authorization == "Bearer secret", hook.authorization
    log = world.log("outbox.log")
    assert "notify 'unknown': attempt 1 of a message of alarm 7: SSL" in log and "secret" not in log, log
    outbox.end()
    hook.close()


def test_messages_outlive_a_killed_outbox(world):
    port = free_port()
    receivers = f"  - {{name: hook, kind: webhook, url: 'http://127.0.0.1:{port}/hook'}}"
    outbox = Outbox(world, receivers)
    outbox.tell(offer=alert(7, "opened"))
    outbox.tell(offer=alert(7, "cleared", state="cleared", closed=time.time()))
    wait_for(lambda: outbox.counts()["failed"] > 0, 10, "an attempt")
    world.kill(outbox.process)
    hook = Receiver(port)
    outbox = Outbox(world, receivers)
    outbox.wait_until(20, sent=2, waiting=0)
    assert hook.events() == [(7, "opened"), (7, "cleared")], hook.events()
    outbox.end()
    outbox = Outbox(world, receivers)
    time.sleep(0.5)
    assert outbox.counts()["waiting"] == 0 and len(hook.accepted) == 2
    outbox.end()
    hook.close()


def script(world, name, text):
    path = world.write(name, f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)
    return path


def test_mail_and_command_get_what_hostile_names_cannot_break(world):
    sendmail = script(world, "sendmail", f"echo \"$@\" >{world.path('arguments')}\ncat >{world.path('mail')}")
    command = script(world, "tell", f"echo \"$1 $ATOM_ALARM $ATOM_STATUS $ATOM_EVENT $ATOM_SUMMARY\" "
                                    f">{world.path('environment')}\ncat >{world.path('json')}")
    outbox = Outbox(world, f"""
  - {{name: ops, kind: mail, from: atom@example.org, to: [ops@example.org, root], command: [{sendmail}]}}
  - {{name: tell, kind: command, command: [{command}, '$(touch x) ;']}}""")
    outbox.tell(offer=alert(summary=HOSTILE + " naïve", vms=[HOSTILE, "b"], details="one\n.\nFrom two\n" + "x" * 3000))
    outbox.wait_until(sent=2, waiting=0, failed=0)
    assert world.log("arguments") == "-i -f atom@example.org -- ops@example.org root\n"
    with open(world.path("mail"), "rb") as stream:
        raw = stream.read()
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail["Subject"] == "[firing] evil??Bcc: all@example.org? naïve (alarm 7, opened)", mail["Subject"]
    assert mail["Bcc"] is None and mail["To"] == "ops@example.org, root", mail.items()
    assert not mail.defects and mail["Message-ID"] and mail["Date"], mail.defects
    text = mail.get_content()
    assert "evil??Bcc: all@example.org? naïve" in text and "\n.\nFrom two\n" + "x" * 3000 in text, text
    assert max(len(line) for line in raw.split(b"\n")) <= 76
    assert world.log("environment") == "$(touch x) ; 7 firing opened evil??Bcc: all@example.org? naïve\n"
    assert json.loads(world.log("json"))["annotations"]["vms"] == "evil??Bcc: all@example.org?, b"
    outbox.end()


def test_command_that_has_no_time_now_is_tried_again(world):
    command = script(world, "tell", f"test -e {world.path('mark')} && exit 0\ntouch {world.path('mark')}\nexit 75")
    outbox = Outbox(world, f"  - {{name: tell, kind: command, command: [{command}]}}")
    outbox.tell(offer=alert())
    outbox.wait_until(15, sent=1, failed=1, waiting=0)
    outbox.end()


def burst(row, vm, values):
    if vm == "vm2" and 120 <= row < 170:
        values[0] += 60
        values[2] *= 8
    return values


def test_an_alarm_of_atomd_gets_to_its_receivers(world):
    if not ALERTMANAGER:
        raise Skip("prometheus-alertmanager is not installed")
    hook = Receiver()
    manager = Alertmanager(world, hook.url)
    notify = (f"notify:\n  - {{name: am, kind: alertmanager, url: '{manager.url}', resend: 1s}}\n"
              f"  - {{name: hook, kind: webhook, url: '{hook.url}'}}\n")
    ours = lambda: [body for body in hook.accepted if body["receiver"] == "hook" and "event" in body["commonAnnotations"]]
    told = lambda: [body["commonAnnotations"]["event"] for body in ours()]
    world.start_atomd(extra="introspect: {enabled: false}\nalarm: {reopen: 0}\n" + notify)
    world.start_node("host-a", make_trace(world.path("trace.csv"), 900, change=burst))
    wait_for(manager.alerts, 40, "Alertmanager has the alarm")
    assert manager.alerts()[0]["annotations"]["summary"].startswith("vm2"), manager.alerts()
    world.post("/api/v1/alarms/1/notes", text="not for receivers")
    world.post("/api/v1/alarms/1/verdict", verdict="malicious", note="seen")
    wait_for(lambda: "cleared" in told(), 40, "the end is told")
    wait_for(lambda: manager.alerts() == [], 10, "and resolves it")
    assert told()[0] == "opened" and "verdict" in told() and "note" not in told(), told()
    last = ours()[-1]
    assert last["status"] == "resolved" and last["alerts"][0]["annotations"]["state"] == "malicious", last
    hook.close()


if __name__ == "__main__":
    sys.exit(main([test_alertmanager_fires_updates_and_resolves,
                   test_alertmanager_hears_of_open_alarms_until_atomd_dies,
                   test_webhook_that_fails_first_gets_all_in_order,
                   test_webhook_that_refuses_does_not_stop_the_rest,
                   test_webhook_over_tls_is_trusted_by_its_authority,
                   test_messages_outlive_a_killed_outbox,
                   test_mail_and_command_get_what_hostile_names_cannot_break,
                   test_command_that_has_no_time_now_is_tried_again,
                   test_an_alarm_of_atomd_gets_to_its_receivers]))
