# SPDX-License-Identifier: Apache-2.0
"""Plots as inline SVG: no scripts, nothing from outside. Times are seconds since the start."""
import html
import math

LEFT, RIGHT, TOP, BOTTOM = 58, 14, 26, 26


def clock(seconds):
    """3:07, as everywhere in the demonstration."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def short(value):
    """A number as an axis says it."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


class Axes:
    """A box with a time axis below and a scale at the left."""

    def __init__(self, size, times, values, log=False):
        self.width, self.height = size
        self.times, self.log = times, log
        self.values = tuple(math.log10(value) for value in values) if log else values
        self.parts = []

    def x(self, seconds):
        begin, end = self.times
        share = (min(max(seconds, begin), end) - begin) / ((end - begin) or 1)
        return LEFT + share * (self.width - LEFT - RIGHT)

    def y(self, value):
        low, high = self.values
        if self.log:
            value = math.log10(max(value, 10 ** low))
        share = (min(max(value, low), high) - low) / ((high - low) or 1)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, kind, anchor="start"):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
                 f'{html.escape(text)}</text>')

    def grid(self, every):
        """Lines at round values, and a tick each `every` seconds."""
        for value in self.ticks():
            y = self.y(value)
            self.add(f'<line x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                     'class="grid"/>')
            self.text(LEFT - 6, y + 4, short(value), "tick", "end")
        tick = math.ceil(self.times[0] / every) * every
        while tick <= self.times[1]:
            self.text(self.x(tick), self.height - 8, clock(tick), "tick", "middle")
            tick += every

    def ticks(self):
        low, high = self.values
        if self.log:
            return [10 ** power for power in range(math.ceil(low), math.floor(high) + 1)]
        step = 10 ** math.floor(math.log10((high - low) / 2 or 1))
        step *= next((factor for factor in (1, 2, 5) if (high - low) / (step * factor) <= 4), 5)
        return [index * step for index in range(math.ceil(low / step), int(high / step) + 1)]

    def span(self, begin, end, kind, label=""):
        x = self.x(begin)
        self.add(f'<rect x="{x:.1f}" y="{TOP}" width="{max(self.x(end) - x, 1):.1f}" '
                 f'height="{self.height - TOP - BOTTOM}" class="{kind}"/>')
        if label:
            self.text(x + 3, TOP - 8, label, "label")

    def instant(self, seconds, kind, label="", low=False):
        x = self.x(seconds)
        self.add(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{self.height - BOTTOM}" '
                 f'class="{kind}"/>')
        if label:
            self.text(x + 4, self.height - BOTTOM - 8 if low else TOP + 14, label, "label")

    def line(self, points, kind):
        """(seconds, value) pairs; None breaks it."""
        pieces = [[]]
        for seconds, value in points:
            if value is None:
                pieces.append([])
            else:
                pieces[-1].append(f"{self.x(seconds):.1f},{self.y(value):.1f}")
        for piece in pieces:
            if piece:
                self.add(f'<polyline points="{" ".join(piece)}" class="{kind}"/>')

    def steps(self, points, kind, band):
        """(from, to, value, delta) pieces: each value holds over its time, within its delta."""
        upper = [(at, value + delta) for begin, end, value, delta in points for at in (begin, end)]
        lower = [(at, value - delta) for begin, end, value, delta in points for at in (begin, end)]
        shape = " ".join(f"{self.x(at):.1f},{self.y(value):.1f}"
                         for at, value in upper + lower[::-1])
        self.add(f'<polygon points="{shape}" class="{band}"/>')
        self.line([(at, value) for begin, end, value, _ in points for at in (begin, end)], kind)

    def svg(self, title):
        return (f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
                f'aria-label="{html.escape(title, quote=True)}">{"".join(self.parts)}</svg>')
