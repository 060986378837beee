#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-layers must find what it is there to find: a tree with one violation of each kind."""
import pathlib
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"

VIOLATIONS = {
    "track/a.c": (SPDX + '#include "detect/monitor.h"\n', "track may not include detect"),
    "detect/b.c": (SPDX + "#include <sqlite3.h>\n", "detect may not include sqlite3"),
    "node/c.c": (SPDX + '#include "controller/fleet.h"\n', "node may not include controller"),
    "base/d.c": ("int x;\n", "no SPDX line"),
    "base/e.h": (SPDX, "a header begins with #pragma once"),
    "wire/f.c": (SPDX + "\n" * 1001, "more than 1000 lines"),
    "wire/g.c": (SPDX + '#include "nowhere/h.h"\n', "unknown folder"),
    "controller/i.c": (SPDX + '#include "suspect/suspect_internal.h"\n', "suspect_internal.h is private to suspect"),
    "detect/k.c": (SPDX + "#include <atom/monitor.h>\n", "detect may not include libatom"),
    "../examples/l.c": (SPDX + '#include "base/error.h"\n', "examples may not include base"),
    "extra/h.c": (SPDX, "not in the layer table"),
}


# What must not be found.
GOOD = {
    "suspect/j.c": SPDX + '#include "suspect/suspect_internal.h"\n',
    "../examples/m.c": SPDX + "#include <atom/monitor.h>\n",
}


def main():
    with tempfile.TemporaryDirectory() as folder:
        sources = {name: text for name, (text, _) in VIOLATIONS.items()}
        for name, text in {**sources, **GOOD}.items():
            path = pathlib.Path(folder, "src", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([TOP / "tools" / "check-layers", folder], stdout=subprocess.PIPE,
                              text=True, check=False)
    missing = [wanted for _, wanted in VIOLATIONS.values() if wanted not in done.stdout]
    wrong = [name for name in GOOD if name.removeprefix("../") in done.stdout]
    print("\n".join([f"not found: {wanted}" for wanted in missing] + [f"found: {name}" for name in wrong]))
    return 1 if missing or wrong or done.returncode != 1 else 0


if __name__ == "__main__":
    sys.exit(main())
