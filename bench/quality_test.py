#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The program quality over small made-up sets: its figures beside those that follow from its own row scores and the labels.

quality_test.py QUALITY. What is made up is plain: noise, and events far outside of it, so that what must be found and named is known.
"""
import csv
import json
import lzma
import os
import random
import subprocess
import sys
import tempfile

COLUMNS = ["a_cpu", "a_mem", "b_cpu", "b_mem", "c_cpu", "c_mem"]
TRAIN, JUDGED = 900, 600


def noise(rng, rows):
    """Rows of six columns: two common sources and noise of their own."""
    made = []
    for _ in range(rows):
        load, memory = rng.gauss(0, 1), rng.gauss(0, 1)
        made.append([(load if j % 2 == 0 else memory) + 0.3 * rng.gauss(0, 1) for j in range(6)])
    return made


def write(path, header, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    packed = lzma.open(path, "wt", newline="") if path.endswith(".xz") else None
    with packed or open(path, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header] + rows)


def judged_rows(rng, rows, events):
    """Noise with events (first, last, columns) and the label at the end."""
    made = [row + [0] for row in noise(rng, rows)]
    for first, last, columns in events:
        for i in range(first, last + 1):
            made[i][-1] = 1
            for name in columns:
                made[i][COLUMNS.index(name)] += 25
    return made


def make_sets(folder):
    rng = random.Random(6)
    truth = []
    for machine, events in (("m-1", [(100, 130, ["a_cpu"]), (300, 309, ["b_mem", "c_mem"])]),
                            ("m-2", [(250, 259, ["c_cpu"])])):
        write(f"{folder}/smd/{machine}_train.csv.xz", ["t"] + COLUMNS,
              [[i] + row for i, row in enumerate(noise(rng, TRAIN))])
        write(f"{folder}/smd/{machine}_test.csv.xz", ["t"] + COLUMNS + ["label"],
              [[i] + row for i, row in enumerate(judged_rows(rng, JUDGED, events))])
        truth += [[machine, first, last, " ".join(columns)] for first, last, columns in events]
    write(f"{folder}/smd/events.csv", ["entity", "start", "end", "dims"], truth)
    write(f"{folder}/exathlon_nodes/quiet.csv.xz", ["timestamp"] + COLUMNS,
          [[1e9 + i] + row for i, row in enumerate(noise(rng, 800))])
    run = judged_rows(rng, 400, [(300, 399, ["b_cpu"])])
    write(f"{folder}/sockshop/b-cpu_1.csv.xz", ["timestamp"] + COLUMNS + ["label"],
          [[1e9 + i] + row for i, row in enumerate(run)])
    write(f"{folder}/sockshop/cases.csv", ["case", "culprit"], [["b-cpu_1", "b_cpu"]])
    attack = judged_rows(rng, 300, [(250, 280, ["a_cpu", "b_cpu"])])
    write(f"{folder}/testbed/one-21col.csv", ["t"] + COLUMNS + ["attack"],
          [[1e9 + i] + row for i, row in enumerate(attack)])


def run(program, *arguments):
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def near(value, expected, what):
    assert value is not None and abs(value - expected) <= 1e-5, f"{what} is {value}, expected {expected}"


def average_precision(rows):
    """By the definition: over the distinct scores, recall's increment times precision."""
    positive = sum(label for _, _, label in rows)
    area = before = 0
    for score in sorted({score for score, _, _ in rows}, reverse=True):
        above = [label for other, _, label in rows if other >= score]
        area += (sum(above) - before) / positive * sum(above) / len(above)
        before = sum(above)
    return area


def check_rows(path, figures):
    """The figures by row and by event, out of the file of scores."""
    with open(path, encoding="utf-8") as stream:
        rows = [(float(row["score"]), row["abnormal"] == "1", row["label"] == "1")
                for row in csv.DictReader(stream)]
    assert figures["rows"] == len(rows)
    found = sum(called and label for _, called, label in rows)
    called = sum(called for _, called, _ in rows)
    labelled = sum(label for _, _, label in rows)
    if labelled and found:
        near(figures["precision"], found / called, "precision")
        near(figures["recall"], found / labelled, "recall")
        near(figures["f1"], 2 * found / (called + labelled), "F1")
        near(figures["auc_pr"], average_precision(rows), "AUC-PR")
        starts = [i for i in range(len(rows)) if rows[i][2] and (i == 0 or not rows[i - 1][2])]
        assert figures["events"] == len(starts)
    near(figures["false_alarm_rate"], (called - found) / (len(rows) - labelled), "false-alarm rate")


def check_sets(program, folder):
    scores = os.path.join(folder, "scores")
    os.mkdir(scores)
    status, text, said = run(program, folder, "--preset", "calibrated", "--scores", scores, "--json")
    assert status == 0, said
    sets = {one["set"]: one for one in json.loads(text)["sets"]}
    assert set(sets) == {"smd", "exathlon_nodes", "sockshop", "testbed"}
    for name in ("smd", "exathlon_nodes", "testbed"):
        for entity in sets[name]["entities"]:
            check_rows(os.path.join(scores, f"{name}_{entity['name']}_calibrated.csv"), entity)
    whole = sets["smd"]["all"]
    near(whole["recall"], sum(entity["recall"] for entity in sets["smd"]["entities"]) / 2, "mean recall")
    assert whole["events"] == whole["found"] == whole["named"] == whole["identified"] == 3, whole
    near(whole["hit_100_open"], 1, "Hit@100")
    near(whole["hit_100_all"], 1, "Hit@100 over all")
    # the score trails: an event's first row is a little below the rows that follow its end
    assert whole["auc_pr"] > 0.9 and whole["vus_pr"] > 0.98 and whole["delay_rows_median"] == 0, whole
    near(whole["false_alarms_per_day"], whole["false_alarms"] / (2 * JUDGED / 1440), "false alarms a day")
    assert sets["exathlon_nodes"]["all"]["false_alarms"] == sets["exathlon_nodes"]["all"]["alarms"]
    shop = sets["sockshop"]["all"]
    assert shop["service_first"] == shop["culprit_first"] == shop["culprit_in_first_three"] == 1, shop
    assert sets["testbed"]["all"]["found"] == 1 and sets["testbed"]["all"]["delay_rows_median"] <= 2


def check_choice(program, folder):
    status, text, _ = run(program, folder, "--set", "smd", "--machine", "m-2", "--length", "0", "--json")
    body = json.loads(text)
    assert status == 0 and body["vus_length"] == 0
    assert [one["preset"] for one in body["sets"]][:2] == ["calibrated", "paper"]
    for one in body["sets"]:
        assert [entity["name"] for entity in one["entities"]] == ["m-2"]
    status, text, _ = run(program, folder, "--set", "smd", "--preset", "calibrated")
    assert status == 0 and "baselines: " in text and "VUS-PR" in text and "m-1" in text


def check_refusals(program, folder):
    assert run(program, os.path.join(folder, "nothing"))[0] == 77
    assert run(program, folder, "--preset", "nothing")[0] == 2
    with open(f"{folder}/smd/events.csv", "a", encoding="utf-8") as stream:
        stream.write("m-2,10,12,no_such_column\n")
    status, text, said = run(program, folder, "--set", "smd", "--preset", "calibrated", "--json")
    assert status == 1 and "m-2" in said and "events.csv" in said, said
    assert [entity["name"] for entity in json.loads(text)["sets"][0]["entities"]] == ["m-1"]


def main():
    failures = 0
    checks = (check_sets, check_choice, check_refusals)
    print(f"1..{len(checks)}")
    with tempfile.TemporaryDirectory() as folder:
        make_sets(folder)
        for number, check in enumerate(checks, 1):
            try:
                check(sys.argv[1], folder)
                print(f"ok {number} - {check.__name__}")
            except AssertionError as why:
                failures += 1
                print(f"# {why}\nnot ok {number} - {check.__name__}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
