#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The report of a demonstration: one page that needs nothing else. What guests and operators wrote
is escaped.

report.py report.json report.html   makes it again of what the demonstration kept
"""
import html
import json
import os
import sys
import time

from plot import Axes, clock, short
from programs import epoch_seconds

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT_MAX = 230
TICK_SECONDS = 30


def esc(value):
    return html.escape("-" if value is None else str(value), quote=True)


def cut(text):
    return text if len(text) <= TEXT_MAX else text[:TEXT_MAX] + " ..."


def table(head, rows, kind=""):
    """Rows of cells that are escaped already."""
    cells = "".join(f"<th>{esc(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (f'<table class="{kind}">' + (f"<thead><tr>{cells}</tr></thead>" if head else "")
            + f"<tbody>{body}</tbody></table>")


class Page:
    """The facts, with times as seconds since the start."""

    def __init__(self, facts):
        self.facts = facts
        rows = facts["group"]["rows"]
        times = [self.at(row["time"]) for row in rows] or [0, 1]
        self.times = (times[0], max(times[-1], times[0] + 1))

    def at(self, text):
        return epoch_seconds(text) - self.facts["begin"]

    def alarm_end(self, alarm):
        return self.at(alarm["closed"]) if alarm["closed"] else self.times[1]

    # Plots

    def detection(self):
        rows = self.facts["group"]["rows"]
        known = [value for row in rows for value in (row["spe"], row["q"]) if value] or [1]
        axes = Axes((1080, 330), self.times, (min(known) / 1.5, max(known) * 2), log=True)
        for alarm in self.facts["alarms"]:
            axes.span(self.at(alarm["opened"]), self.alarm_end(alarm),
                      "bad" if alarm["state"] == "malicious" else "good",
                      f"alarm {alarm['id']}: {alarm['state']}")
        axes.grid(TICK_SECONDS)
        axes.line([(self.at(row["time"]), row["q"]) for row in rows], "q")
        axes.line([(self.at(row["time"]), row["spe"] or None) for row in rows], "spe")
        for alarm in self.facts["alarms"]:
            verdict = alarm.get("verdict")
            if verdict:  # "normal" counts from the row that it followed
                at = alarm["closed"] if alarm["state"] == "normal" else verdict["time"]
                axes.instant(self.at(at), "verdict", f"verdict: {verdict['verdict']}", low=True)
        return axes.svg("SPE and its threshold Q over time, with the alarms")

    def pieces(self, points):
        """(from, to, value, delta) of what is known."""
        ends = [self.at(point["time"]) for point in points[1:]] + [self.times[1]]
        return [(self.at(point["time"]), end, point["value"], point["delta"])
                for point, end in zip(points, ends)
                if point["value"] is not None and end > self.times[0]]

    def small(self, series, highest):
        axes = Axes((350, 150), self.times, (0, highest * 1.08 or 1))
        for alarm in self.facts["alarms"]:
            axes.span(self.at(alarm["opened"]), self.alarm_end(alarm),
                      "bad" if alarm["state"] == "malicious" else "good")
        axes.grid(2 * TICK_SECONDS)
        points = self.pieces(series["points"])
        if points:
            axes.steps(points, "value", "band")
        axes.text(58, 15, f"{series['vm']} {series['metric']}", "label")
        axes.text(336, 15, f"{series['unit']}, \u00b1{short(points[-1][3]) if points else '-'}; "
                           f"{len(series['points'])} sent", "tick", "end")
        return axes.svg(f"{series['metric']} of {series['vm']}")

    def tracked(self):
        highest = {}
        for series in self.facts["series"]:
            for piece in self.pieces(series["points"]):
                top = max(highest.get(series["metric"], 0), piece[2] + piece[3])
                highest[series["metric"]] = top
        ordered = sorted(self.facts["series"], key=lambda series: series["metric"], reverse=True)
        return "".join(self.small(series, highest.get(series["metric"], 1)) for series in ordered)

    # Tables

    def timeline(self):
        entries = [(mark["time"] - self.facts["begin"], "bed", esc(mark["text"]))
                   for mark in self.facts["marks"]]
        entries += [(command["time"] - self.facts["begin"], "typed",
                     f"<code>$ {esc(command['command'])}</code>")
                    for command in self.facts["commands"]]
        entries += [(self.at(event["time"]), f"alarm {event['alarm']}",
                     f"<b>{esc(event['event'])}</b> {esc(cut(event['text']))}")
                    for alarm in self.facts["alarms"] for event in alarm["history"]]
        rows = [(clock(at), f'<span class="who">{esc(who)}</span>', text)
                for at, who, text in sorted(entries, key=lambda entry: entry[0])]
        return table(("time", "who", "what"), rows, "timeline")

    @staticmethod
    def suspect(suspect):
        parents = " &lt; ".join(f"{esc(parent['command'])} ({esc(parent['pid'])})"
                                for parent in suspect.get("parents", []))
        child = f", child of {parents}" if parents else ""
        line = suspect.get("command_line")
        typed = f"<br><code>$ {esc(cut(line))}</code>" if line else ""
        reasons = "".join(f"<li>{esc(reason)}</li>" for reason in suspect["reasons"])
        return (f"<p><b>{esc(suspect['command'])}</b> (pid {esc(suspect['pid'])}, uid "
                f"{esc(suspect['uid'])}{child}), score {suspect['score']:.2f}{typed}</p>"
                f"<ul>{reasons}</ul>")

    def looks(self):
        parts = []
        for alarm in self.facts["alarms"]:
            for look in alarm.get("introspection", []):
                first = "".join(self.suspect(suspect) for suspect in look.get("suspects", [])[:1])
                others = len(look.get("suspects", [])) - 1
                patterns = "".join(f"<li><b>{esc(pattern['name'])}</b>: {esc(pattern['text'])}</li>"
                                   for pattern in look.get("patterns", []))
                peers = "; ".join(
                    f"{esc(peer['direction'])} {esc(peer['peer'])}:{esc(peer['port'])}, "
                    f"{esc(peer['connections'])} connections"
                    for peer in look.get("peers", [])[:3])
                alike = f"<p class=soft>only checked for what {esc(look['alike'])} showed</p>" \
                    if look.get("alike") else ""
                more = f"<p class=soft>and {others} more</p>" if others > 0 else ""
                parts.append(
                    f'<div class="card"><h3>{esc(look["vm"])} \u00b7 alarm {esc(alarm["id"])} '
                    f'<span class="who">{esc(look["state"])}</span></h3>{alike}{first}{more}'
                    f"<ul>{patterns}</ul><p class=soft>{peers}</p></div>")
        return "".join(parts)

    def columns(self):
        rows = []
        for alarm in self.facts["alarms"]:
            for column in alarm["columns"]:
                if column["abnormal"]:
                    rows.append((esc(alarm["id"]), esc(column["vm"]), esc(column["metric"]),
                                 esc(column["direction"]), f"{column['stddev']:.1f}",
                                 esc(short(column["mean_normal"])),
                                 esc(short(column["mean_abnormal"])), esc(column["unit"])))
        return table(("alarm", "VM", "metric", "goes", "std. deviations", "normal", "abnormal",
                      "unit"), rows)

    @staticmethod
    def writes(action):
        rows = (action["report"] or {}).get("writes", [])
        if not rows:
            return ""
        keys = ("what", "address", "size", "before", "after")
        cells = [[esc(row.get(key)) for key in keys] for row in rows]
        what, is_open = ("would be", " open") if action["dry_run"] else ("were", "")
        return (f"<details{is_open}><summary>{len(rows)} words of the guest's memory {what} written"
                f"</summary>{table(keys, cells, 'small')}</details>")

    @staticmethod
    def how(action):
        """What atom-vmi says of the end in a line."""
        for end in (action["report"] or {}).get("end", []):
            took = "" if action["dry_run"] else f", took {(end.get('took') or 0) / 1e6:.0f} ms"
            return (f"<p>{esc(end.get('outcome'))}: method {esc(end.get('method'))}, "
                    f"{esc(end.get('threads'))} threads, {esc(end.get('wakeups'))} woken{took}</p>")
        return ""

    def action(self, action):
        arguments = ", ".join(f"{esc(key)} {esc(value)}"
                              for key, value in action["arguments"].items())
        what = "dry run: " if action["dry_run"] else ""
        reason = f"<p>{esc(action['reason'])}</p>" if action["reason"] else ""
        verified = f'<p class="passed">{esc(action["verified"])}</p>' if action["effective"] else \
            f"<p><b>{esc(action['verified'])}</b></p>" if action["verified"] else ""
        return (f'<div class="card"><h3>{what}{esc(action["kind"])} on {esc(action["vm"])} '
                f'<span class="who">action {esc(action["id"])}, {esc(action["state"])}, by '
                f'{esc(action["by"])}</span></h3><p>{arguments}</p>{reason}{self.how(action)}'
                f"{verified}{self.writes(action)}</div>")

    def actions(self):
        """The first dry run of each VM, and all that was done: a verdict runs them dry again."""
        parts, rehearsed = [], set()
        for action in self.facts["actions"]:
            if action["dry_run"] and action["vm"] in rehearsed:
                continue
            if action["dry_run"]:
                rehearsed.add(action["vm"])
            parts.append(self.action(action))
        return f'<div class="cards">{"".join(parts)}</div>' if parts else ""

    def tiles(self):
        parts = "".join(f"<div><b>{esc(value)}</b><span>{esc(name)}</span></div>"
                        for name, value in self.facts["tiles"])
        return f'<div class="tiles">{parts}</div>' if parts else ""

    def figures(self):
        return table(("figure", "value", ""), [(esc(name), f"<b>{esc(value)}</b>", esc(note))
                                               for name, value, note in self.facts["figures"]])

    def head(self):
        facts = self.facts
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(facts["begin"]))
        problems = "".join(f"<li>{esc(problem)}</li>" for problem in facts["problems"])
        state = f'<ul class="problems">{problems}</ul>' if problems else \
            '<p class="passed">Everything happened as it should, and no other VM was named.</p>'
        return (f"<h1>ATOM, watched: from a flood to its end</h1><p class=soft>{esc(date)} \u00b7 "
                f"atomd {esc(facts['version'])} \u00b7 guests: {esc(facts['accelerator'])} \u00b7 "
                f"{clock(facts['end'] - facts['begin'])} min</p>"
                f'<p class="result">{esc(facts["result"])}</p>{state}{self.tiles()}')

    def section(self, title, body, note=""):
        remark = f"<p class=soft>{esc(note)}</p>" if note else ""
        return f"<section><h2>{esc(title)}</h2>{remark}{body}</section>" if body else ""

    def page(self):
        with open(os.path.join(HERE, "report.css"), encoding="utf-8") as stream:
            style = stream.read()
        looks = self.looks()
        sections = [
            self.section("Detection", self.detection(),
                         "The residual energy SPE of each row (blue) against its threshold Q "
                         "(orange), on a logarithmic scale. Time since the start."),
            self.section("What was tracked", f'<div class="grid3">{self.tracked()}</div>',
                         "Each value holds until the next one is sent; the true one is within the "
                         "band."),
            self.section("Timeline", self.timeline()),
            self.section("Inside the guests", f'<div class="cards">{looks}</div>' if looks else "",
                         "What their own kernels say, read from the host."),
            self.section("What was done", self.actions(),
                         "Each word is written only if the guest still has what was found there."),
            self.section("Figures", self.figures()),
            self.section("Named", self.columns()),
            self.section("The audit", f"<pre>{esc(self.facts['audit'].strip())}</pre>"),
        ]
        return ("<!doctype html><html lang=en><meta charset=utf-8>"
                '<meta name=viewport content="width=device-width, initial-scale=1">'
                f"<title>ATOM demonstration</title><style>{style}</style><main>{self.head()}"
                f"{''.join(sections)}</main></html>\n")


def write(facts, path):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(Page(facts).page())


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as kept:
        write(json.load(kept), sys.argv[2])
