# SPDX-License-Identifier: Apache-2.0
"""What the report is made of, asked of the API at the end: plain data."""
import json
import os
import time

from story import FLOODERS, TARGET, TARGET_PORT

METRICS = ("NetworkOut", "CPUUtilization")


def seconds_text(value):
    return "-" if value is None else f"{value:.1f} s"


def flood_figures(flood):
    first = flood.times["first"]

    def since(name):
        return seconds_text(flood.times[name] - first if name in flood.times else None)

    return [
        ("first flood packet to the first abnormal rows", since("onset"),
         "the time of the second one, at which the alarm opens"),
        ("first flood packet to the alarm at the operator", since("seen"),
         "asked four times a second"),
        ("first flood packet to both processes named", since("named"), ""),
        ("first flood packet to the verdict", since("verdict"),
         "with a dry run before it; no time to think"),
        ("first flood packet to both processes dead", since("dead"), ""),
        ("first flood packet to the last one at the target", since("last"),
         f"{flood.times['requests']} requests in all"),
        ("first flood packet to the alarm resolved", since("closed"), "three normal rows"),
        ("level of the alarm", f"{flood.detail['level']} rows", ""),
    ]


def sale_figures(sale):
    after = sale.after
    return [
        ("change of workload to its alarm", seconds_text(sale.times["seen"] - sale.times["begin"]),
         ""),
        ("abnormal rows when it was judged normal", str(after["level"]), ""),
        ("rows of the same load after that", str(after["rows"]),
         f"{after['abnormal']} abnormal; SPE/Q median {after['median']:.2f}, highest "
         f"{after['highest']:.2f}"),
    ]


def tiles(flood, used):
    """The four figures that stand at the top, each from the first flood packet."""
    if not flood:
        return []
    first = flood.times["first"]
    shown = [(name, seconds_text(flood.times[key] - first)) for name, key in
             (("first packet to alarm", "seen"), ("to named processes", "named"),
              ("to dead processes", "dead"), ("to alarm resolved", "closed"))
             if key in flood.times]
    if used["ratio"]:
        shown.append(("host CPU against looking always", f"1/{used['ratio']:.0f}"))
    return shown


def cost_figures(used):
    if not used["runs"]:
        return []
    figures = [
        ("host CPU of introspection", f"{used['used_seconds']:.2f} s",
         f"{used['runs']} runs of atom-vmi in {used['seconds']:.0f} s: looks, rehearsals, ends, "
         f"second looks; {1000 * used['per_run']:.0f} ms each"),
        ("all VMs at every interval would be", f"{used['always_seconds']:.1f} s",
         f"{1000 * used['per_look_always']:.0f} ms per look, {used['how']}"),
    ]
    if used["ratio"]:
        figures.append(("so looking only when there is an alarm costs",
                        f"1/{used['ratio']:.0f}", ""))
    return figures


def result_text(flood, sale, used):
    """The whole in a paragraph."""
    if not flood:
        return ("A recording of three guests was replayed. Two of them flood in it; ATOM named "
                "them, and the verdict was that this is normal.")
    times = flood.times
    text = (f"Two of three guests, {' and '.join(FLOODERS)}, began to flood {TARGET}:{TARGET_PORT} "
            f"with an ordinary load tool. {seconds_text(times['seen'] - times['first'])} after the "
            "first packet there was an alarm that named them and their metrics; after "
            f"{seconds_text(times['named'] - times['first'])} the process was named in each, "
            "and the script that had started it, and the target, by what the guests' own kernels "
            "say. ")
    if "dead" in times:
        text += ("The dry run was shown, the verdict given, and after "
                 f"{seconds_text(times['dead'] - times['first'])} both were dead, which a second "
                 f"look confirmed. The alarm was resolved as {flood.detail['state']}. ")
    text += ("Then a sale changed the load of vm2: alarmed too, judged normal "
             f"after {sale.after['level']} abnormal rows, and the same load went on for "
             f"{sale.after['rows']} rows without another alarm. ")
    if used and used["ratio"]:
        text += (f"Introspection used {used['used_seconds']:.1f} s of host CPU; into all VMs at "
                 f"every interval it would have been {used['always_seconds']:.0f} s.")
    return text


def window(begin):
    """Arguments for all since the start. A recording that is sped up runs into the future."""
    return f"from={begin:.3f}&to={time.time() + 3600:.3f}"


def series_of(atom, begin):
    """Per VM and metric the points; each holds until the next."""
    series = []
    for vm in sorted(atom.get("/api/v1/vms")["vms"], key=lambda vm: vm["name"]):
        for metric in METRICS:
            body = atom.try_get(f"/api/v1/vms/{vm['uuid']}/metrics/{metric}?{window(begin)}")
            if body:
                series.append({"vm": vm["name"], "metric": metric, "unit": body["unit"],
                               "points": body["points"]})
    return series


def collect(atom, screen, begin, flood, sale, used, accelerator):
    """Also kept as JSON in the folder, from which report.py makes the page again."""
    status = atom.get("/api/v1/status")
    group = atom.group()
    figures = []
    if flood:
        figures += flood_figures(flood) + sale_figures(sale) + cost_figures(used)
    others = len(atom.alarms()) - 2 if flood else 0
    if flood:
        figures.append(("other alarms", str(others), "named nobody, or it is said above" if others
                        else ""))
    figures.append(("values saved by tracking", f"{status['values_saved_percent']:.1f} %",
                    f"{status['values_received']} of {status['samples']} sent, "
                    f"{status['bytes_received']} bytes in all, looks included"))
    facts = {
        "version": status["version"], "accelerator": accelerator, "begin": begin,
        "end": time.time(), "result": result_text(flood, sale, used), "figures": figures,
        "tiles": tiles(flood, used),
        "group": atom.get(f"/api/v1/groups/{group['name']}?{window(begin)}"),
        "alarms": [atom.alarm(alarm["id"]) for alarm in atom.alarms()],
        "actions": list(reversed(atom.get("/api/v1/actions?limit=1000")["actions"])),
        "series": series_of(atom, begin), "marks": screen.marks, "commands": screen.commands,
        "audit": "", "problems": screen.problems,
    }
    with open(os.path.join(atom.folder, "report.json"), "w", encoding="utf-8") as stream:
        json.dump(facts, stream, indent=1)
    return facts
