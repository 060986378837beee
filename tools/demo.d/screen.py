# SPDX-License-Identifier: Apache-2.0
"""Lines for a person who watches, and the marks that the report's timeline is made of."""
import sys
import time


class DemoError(Exception):
    """The demonstration cannot go on; the text says why."""


class Screen:
    """Time since the start, what happens, and one line that is drawn over."""

    def __init__(self):
        self.start = time.monotonic()
        self.live = sys.stdout.isatty()
        self.open_line = False
        self.last_note = 0.0
        self.marks = []     # {"time", "text"}: what the report's timeline says beside ATOM's events
        self.commands = []  # {"time", "command", "output"}: what an operator typed
        self.problems = []

    def stamp(self):
        seconds = int(time.monotonic() - self.start)
        return f"[{seconds // 60}:{seconds % 60:02d}]"

    def say(self, text):
        if self.open_line:
            print()
            self.open_line = False
        print(f"{self.stamp()} {text}", flush=True)

    def mark(self, text):
        """Said, and kept for the timeline."""
        self.marks.append({"time": time.time(), "text": text})
        self.say(text)

    def wrong(self, text):
        """What should have been otherwise; the demonstration goes on, and fails at its end."""
        self.problems.append(text)
        self.say(f"WRONG: {text}")

    def block(self, text):
        for line in text.rstrip("\n").splitlines():
            print(f"       {line}")
        sys.stdout.flush()

    def command(self, words, output):
        """A command as an operator types it, and what it printed."""
        self.commands.append({"time": time.time(), "command": words, "output": output})
        self.say(f"$ {words}")
        self.block(output)

    def progress(self, text):
        """Drawn over on a terminal; a line every ten seconds elsewhere."""
        if self.live:
            print(f"\r\033[K{self.stamp()} {text}", end="", flush=True)
            self.open_line = True
        elif time.monotonic() - self.last_note >= 10:
            self.last_note = time.monotonic()
            print(f"{self.stamp()} {text}", flush=True)


def spe_bar(spe, q, width=24):
    """SPE against Q as a bar: a full half is Q."""
    if spe is None or not q:
        return ""
    filled = min(width, round(width / 2 * spe / q))
    bar = "#" * filled + "." * (width - filled)
    return f"[{bar[:width // 2]}|{bar[width // 2:]}]"


def group_line(group):
    spe, q = group.get("spe"), group.get("q")
    if spe is None or q is None:
        return f"learning: {group['window_rows']} rows"
    return f"SPE {spe:8.1f}  Q {q:7.1f}  {spe_bar(spe, q)} {group['state']}"
