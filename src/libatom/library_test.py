#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The built library beside its headers, and an installed copy of it as an embedder uses it.

library_test.py BUILD: a built folder; pkg-config, cc and nm are needed. Installs into a folder of its own. Output is TAP.
"""
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent
EXAMPLE = SOURCE.parents[1] / "examples" / "watch_numbers.c"
CC = os.environ.get("CC", "cc").split()

# All that the library asks of its surroundings besides mathematics: memory, texts into memory, sorting, assert().
LIBC = set("calloc malloc realloc reallocarray free memcmp memcpy memmove memset strlen strerror snprintf vsnprintf "
           "qsort __assert_fail".split())
BLAS = re.compile(r"(cblas|LAPACKE)_\w+|openblas_[gs]et_num_threads")
WEAK_OF_THE_COMPILER = re.compile(r"_ITM_\w+|__gmon_start__|__cxa_finalize|__stack_chk_fail")
MATHEMATICS_WITH_A_GLOBAL = {"lgamma", "lgammaf", "lgammal", "gamma", "signgam"}
DATA_OF_THE_LINKER = {"completed.0", "__dso_handle", "__TMC_END__", "_edata", "__bss_start", "_end"}

# A host program whose own functions have the names of ours, inner and public ones.
CLASHING = """
#include <stdlib.h>
int error_set(void) { abort(); }
void *window_new(size_t capacity) { (void)capacity; abort(); }
void *model_new(const void *options) { (void)options; abort(); }
int monitor_columns(void) { abort(); }
"""
CLASHED = """
#include <atom/monitor.h>
#include <stdio.h>
int main(void)
{
	struct monitor_options options;
	struct monitor *monitor;
	struct row_verdict verdict;
	struct error err = ERROR_INIT;
	double row[2] = {1, 2};

	monitor_options_preset(&options, MONITOR_CALIBRATED);
	options.alpha = 2;
	if (monitor_new(&options, &monitor, &err) >= 0)
		return 1;
	puts(err.text);
	monitor_options_preset(&options, MONITOR_CALIBRATED);
	if (monitor_new(&options, &monitor, &err) < 0 || monitor_add_column(monitor, 0, &err) < 0 ||
	    monitor_add_column(monitor, 0, &err) < 0)
		return 1;
	for (int i = 0; i < 400; i++) {
		row[0] = i * 7 % 13;
		row[1] = row[0] + i * 5 % 11;
		if (monitor_offer(monitor, row, &verdict, &err) < 0)
			return 1;
	}
	printf("%d %d\\n", verdict.state == ROW_NORMAL, monitor_free(monitor) == NULL);
	return 0;
}
"""


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=False, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options)


def output_of(*command, **options):
    done = run(*command, **options)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def declared(header):
    """The functions that a header declares."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", header.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"^\s*#(.*\\\n)*.*$", "", text, flags=re.M)
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", " ", text)
    found = (re.search(r"(\w+)\s*\(", re.sub(r"__attribute__.*", "", one, flags=re.S)) for one in text.split(";"))
    return {match.group(1) for match in found if match}


class Installed:
    """A copy of the library, installed into a folder."""

    def __init__(self, build, folder):
        output_of("meson", "install", "-C", build, "--no-rebuild", "--tags", "devel,runtime",
                  env={**os.environ, "DESTDIR": str(folder)})
        self.folder = pathlib.Path(folder)
        self.pkgconfig = next(self.folder.rglob("libatom.pc")).parent
        self.library = next(self.folder.rglob("libatom.so.0.*.*"))
        self.headers = next(self.folder.rglob("include/atom"))

    def flags(self, *what):
        env = {**os.environ, "PKG_CONFIG_PATH": str(self.pkgconfig), "PKG_CONFIG_SYSROOT_DIR": str(self.folder)}
        return output_of("pkg-config", *what, "libatom", env=env).split()

    def compile(self, name, *sources):
        program = self.folder / name
        output_of(*CC, "-Wall", "-Wextra", "-Werror", "-o", program, *sources, *self.flags("--cflags", "--libs"), "-lm")
        return program

    def run(self, *command, **options):
        return run(*command, env={**os.environ, "LD_LIBRARY_PATH": str(self.library.parent)}, **options)


def functions_of_headers(installed):
    names = set()
    for header in installed.headers.rglob("*.h"):
        names |= declared(header)
    assert len(names) > 40 and {"observer_offer", "monitor_offer", "error_set"} <= names
    return names


def symbols(*options):
    """(version or "", kind, name) of each line of nm."""
    for line in output_of("nm", *options).splitlines():
        kind, name = line.split()[-2:]
        name, _, version = name.partition("@")
        yield version.lstrip("@"), kind, name


def check_exports(installed):
    """What the headers declare is exported, under a version, and nothing else."""
    exported = {(version, name) for version, kind, name in symbols("-D", "--defined-only", installed.library)
                if kind != "A"}
    promised = {("ATOM_0.1", name) for name in functions_of_headers(installed)}
    assert exported == promised, f"exported only: {exported - promised}; declared only: {promised - exported}"


def check_headers(installed):
    """Each header stands alone, finds the others, and says nothing that a strict compiler minds."""
    for header in installed.headers.rglob("*.h"):
        done = run(*CC, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", *installed.flags("--cflags"),
                   "-x", "c", "-", input=f"#include <atom/{header.relative_to(installed.headers)}>\n#include <{header}>\n")
        assert done.returncode == 0, done.stderr


def check_globals(installed):
    """No data that could change: what is in .data and .bss is the linker's own."""
    rows = [line.split() for line in output_of("objdump", "-t", installed.library).splitlines()]
    names = {row[-1] for row in rows for part in row if re.fullmatch(r"\.(data|bss|tdata|tbss)(\..*)?", part)
             and part != ".data.rel.ro" and row[-1] != part}
    assert "__dso_handle" in names, "the library is stripped: nothing to see"
    assert names <= DATA_OF_THE_LINKER, names - DATA_OF_THE_LINKER


def check_imports(installed):
    """No I/O, clock, environment, threads of its own: by what it calls."""
    mathematics = set()
    for line in output_of("ldd", installed.library).splitlines():
        match = re.search(r"libm\.so\S* => (\S+)", line)
        if match:
            mathematics = {name for _, _, name in symbols("-D", "--defined-only", match.group(1))}
    assert "lgamma_r" in mathematics
    called = {name for _, _, name in symbols("-D", "--undefined-only", installed.library)}
    known = LIBC | (mathematics - MATHEMATICS_WITH_A_GLOBAL)
    unknown = {name for name in called - known if not BLAS.fullmatch(name) and not WEAK_OF_THE_COMPILER.fullmatch(name)}
    assert "cblas_dgemm" in called and not unknown, unknown


def check_library_file(installed):
    dynamic = output_of("readelf", "-d", installed.library)
    assert "[libatom.so.0]" in dynamic and "jansson" not in dynamic and "libuv" not in dynamic
    assert (installed.library.parent / "libatom.so").resolve() == installed.library
    assert installed.flags("--modversion") == [installed.library.name.split(".so.")[1]]


def numbers(rows, jump):
    """Six numbers of one load and noise; (first, last, column, by how much) is what does not fit."""
    rng = random.Random(7)
    lines = []
    for t in range(rows):
        load = 10 + rng.gauss(0, 2)
        row = [load * gain + rng.gauss(0, 0.5) for gain in (1, 2, 3, -1, 0.5, 4)]
        if jump[0] <= t < jump[1]:
            row[jump[2]] += jump[3]
        lines.append(", ".join(f"{value:.6g}" for value in row))
    return "\n".join(lines) + "\n"


def check_example(installed):
    """The example of the documentation, by pkg-config: it finds what is there to be found, and saves values."""
    program = installed.compile("watch_numbers", EXAMPLE)
    text = numbers(1200, (1000, 1020, 2, 80))
    sent = []
    for mu in ("0", "0.002"):
        done = installed.run(program, "360", mu, input=text)
        assert done.returncode == 0, done.stderr
        alarms = re.findall(r"^row (\d+): alarm \d+: SPE \S+, Q \S+:(.*)$", done.stdout, flags=re.M)
        near = [what for row, what in alarms if 1001 <= int(row) <= 1003]
        assert len(near) == 1 and near[0].startswith(" column 3 up"), done.stdout
        assert len(alarms) <= 3, done.stdout
        count, total = map(int, re.search(r"(\d+) of (\d+) values sent", done.stdout).groups())
        assert total == 7200
        sent.append(count)
    assert sent[0] == 7200 and sent[1] < 0.95 * 7200, sent
    done = installed.run(program, input="1 2\n3\n")
    assert done.returncode == 1 and "1 numbers after row 1, which has 2" in done.stderr, done.stderr
    done = installed.run(program, "360", "1", input="1 2\n")
    assert done.returncode == 1 and "MU" in done.stderr, done.stderr


def check_clashing_names(installed):
    """Functions of the host program that are called as ours are are not called by us."""
    for name, text in (("clashing.c", CLASHING), ("clashed.c", CLASHED)):
        (installed.folder / name).write_text(text, encoding="utf-8")
    program = installed.compile("clashed", installed.folder / "clashed.c", installed.folder / "clashing.c")
    done = installed.run(program)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "1 1", (done.returncode, done.stdout)
    assert "alpha" in done.stdout


def instrumented(build):
    """By a sanitizer or for coverage: then there is more in the library than our own code."""
    options = json.loads((pathlib.Path(build) / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))
    values = {option["name"]: option["value"] for option in options}
    return values["b_sanitize"] != "none" or values["b_coverage"] or values["fuzz"]


def main():
    build = sys.argv[1]
    if instrumented(build):
        print("1..0 # SKIP an instrumented build")
        return 0
    checks = (check_exports, check_headers, check_globals, check_imports, check_library_file, check_example,
              check_clashing_names)
    failures = 0
    print(f"1..{len(checks)}")
    with tempfile.TemporaryDirectory() as folder:
        installed = Installed(build, folder)
        for number, check in enumerate(checks, 1):
            try:
                check(installed)
                print(f"ok {number} - {check.__name__}")
            except AssertionError as why:
                failures += 1
                print("# " + str(why).replace("\n", "\n# ") + f"\nnot ok {number} - {check.__name__}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
