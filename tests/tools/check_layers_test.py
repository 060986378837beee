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
    "extra/h.c": (SPDX, "not in the layer table"),
}


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name, (text, _) in VIOLATIONS.items():
            path = pathlib.Path(folder, "src", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([TOP / "tools" / "check-layers", folder], stdout=subprocess.PIPE,
                              text=True, check=False)
    missing = [wanted for _, wanted in VIOLATIONS.values() if wanted not in done.stdout]
    print("\n".join(f"not found: {wanted}" for wanted in missing))
    return 1 if missing or done.returncode != 1 else 0


if __name__ == "__main__":
    sys.exit(main())
