#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration's report: what a guest wrote stays text, nothing is needed from outside, and
little is enough."""
import html.parser
import pathlib
import sys
import xml.dom.minidom

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "demo.d"))
import report  # pylint: disable=import-error,wrong-import-position

EVIL = "</code><script>alert(1)</script>\"' onload='x"
TIME = "2026-11-24T10:36:41.123Z"
LATER = "2026-11-24T10:36:51.123Z"


class Tags(html.parser.HTMLParser):
    """All elements and their attributes."""

    def __init__(self, text):
        super().__init__()
        self.seen = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def facts(**changes):
    base = {"version": EVIL, "accelerator": EVIL, "begin": 1795516600.0, "end": 1795516700.0,
            "result": EVIL, "figures": [(EVIL, EVIL, EVIL)], "tiles": [(EVIL, EVIL)],
            "group": {"rows": []}, "alarms": [], "actions": [], "series": [],
            "marks": [{"time": 1795516601.0, "text": EVIL}],
            "commands": [{"time": 1795516602.0, "command": EVIL, "output": EVIL}],
            "audit": EVIL, "problems": [EVIL]}
    return {**base, **changes}


def full_facts():
    suspect = {"pid": 1, "uid": None, "command": EVIL, "command_line": EVIL, "score": 0.5,
               "parents": [{"pid": 2, "command": EVIL}], "reasons": [EVIL]}
    look = {"vm": EVIL, "state": "done", "alike": EVIL, "suspects": [suspect, suspect],
            "patterns": [{"name": EVIL, "text": EVIL}],
            "peers": [{"direction": "out", "peer": EVIL, "port": 80, "connections": 4}]}
    column = {"vm": EVIL, "metric": EVIL, "direction": "up", "stddev": 3.25, "mean_normal": 1.0,
              "mean_abnormal": 2000.0, "unit": EVIL, "abnormal": True}
    alarm = {"id": 1, "state": "malicious", "opened": TIME, "closed": None, "columns": [column],
             "introspection": [look], "verdict": {"verdict": "malicious", "time": TIME},
             "history": [{"alarm": 1, "time": TIME, "event": EVIL, "text": EVIL * 20}]}
    action = {"id": 1, "dry_run": False, "kind": "end-process", "vm": EVIL, "state": "done",
              "by": EVIL, "arguments": {"command": EVIL}, "reason": EVIL, "verified": EVIL,
              "effective": True, "report": {"end": [{"outcome": EVIL, "took": None}],
                                            "writes": [{"what": EVIL, "address": EVIL}]}}
    rows = [{"time": TIME, "spe": None, "q": None}, {"time": LATER, "spe": 0.0, "q": 9.0}]
    points = [{"time": TIME, "value": 3.0, "delta": 1.0}, {"time": LATER, "value": None,
                                                            "delta": 1.0}]
    series = [{"vm": EVIL, "metric": EVIL, "unit": EVIL, "points": points},
              {"vm": "vm1", "metric": "NetworkIn", "unit": "Bytes", "points": []}]
    return facts(alarms=[alarm], actions=[action, {**action, "report": None, "dry_run": True}],
                 group={"rows": rows}, series=series, problems=[])


def check_page(page):
    """Whether nothing but the report's own elements is there, and each plot is XML."""
    tags = Tags(page).seen
    wrong = [tag for tag, attributes in tags
             if tag in ("script", "img", "link", "iframe", "object")
             or any(name.startswith("on") or name in ("src", "href") for name in attributes)]
    plots = ["<svg" + part.split("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    for plot in plots:
        xml.dom.minidom.parseString(plot)
    return not wrong and "url(" not in page and "nan" not in "".join(plots)


def main():
    cases = {"all of it": full_facts(), "nothing happened": facts(),
             "a row without a threshold": facts(group={"rows": [{"time": TIME, "spe": None,
                                                                 "q": None}]})}
    print(f"1..{len(cases)}")
    failures = 0
    for number, (name, case) in enumerate(cases.items(), 1):
        good = check_page(report.Page(case).page())
        failures += not good
        print(f"{'' if good else 'not '}ok {number} - {name}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
