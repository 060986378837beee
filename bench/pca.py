#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A row of the model beside refits: bench/pca.py BUILD/bench/pca_bench [COLUMNS...]

For each size: pca_bench (ours, and LAPACK from scratch in C), then NumPy (standardise, Y'Y, eigh)
and scikit-learn (PCA with as many components) fitted to a window of that size, CPU time on one
thread. Prints microseconds per row, how many times as long the others take, memory over the
window's, and how our time grows from one number of columns, or of rows, to the next.
"""
import os
import subprocess
import sys
import time

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
try:
    import numpy as np
except ImportError:
    np = None
try:
    from sklearn.decomposition import PCA
except ImportError:
    PCA = None

ROWS = (360, 720, 1440)
COLUMNS = (21, 70, 210, 700, 2100, 7000)
SECONDS = 1.0
CELLS_MAX = 2100 * 2100  # a refit by eigh of more takes minutes


def run_ours(program, columns, rows):
    fields = subprocess.run([program, str(columns), str(rows)], check=True, text=True,
                            stdout=subprocess.PIPE).stdout.split()
    return {"form": fields[2], "k": int(fields[3]), "mean": float(fields[4]),
            "median": float(fields[5]), "worst": float(fields[6]), "score": float(fields[7]),
            "lapack": float(fields[8]), "memory": float(fields[10])}


def standardise(window):
    return (window - window.mean(axis=0)) / window.std(axis=0, ddof=1)


def refit_numpy(window, _):
    y = standardise(window)
    np.linalg.eigh(y.T @ y / (len(y) - 1))


def refit_sklearn(window, k):
    PCA(n_components=max(1, min(k, min(window.shape) - 1)), svd_solver="full").fit(
        standardise(window))


def measure(refit, window, k):
    """Microseconds, the least of as many runs as go into a second, but one at least."""
    best, end = float("inf"), time.monotonic() + SECONDS
    while True:
        start = time.process_time()
        refit(window, k)
        best = min(best, time.process_time() - start)
        if time.monotonic() > end:
            return best * 1e6


def ratio(other, ours):
    return f"{other / ours:9.1f}" if other else f"{'-':>9}"


def report(program, sizes):
    generator = np.random.default_rng(1) if np is not None else None
    means = {}
    print(f"{'d':>5} {'t':>5} {'form':>6} {'k':>3} {'us/row':>9} {'median':>9} {'worst':>9} "
          f"{'score':>8} | times as long: {'LAPACK':>8} {'NumPy':>9} {'sklearn':>9} | "
          f"{'memory':>6} {'x with d':>8} {'x with t':>8}")
    for i, columns in enumerate(sizes):
        for j, rows in enumerate(ROWS):
            ours = run_ours(program, columns, rows)
            others = {"numpy": 0, "sklearn": 0}
            if np is not None and columns * columns <= CELLS_MAX:
                window = generator.standard_normal((rows, columns))
                others["numpy"] = measure(refit_numpy, window, ours["k"])
                if PCA is not None:
                    others["sklearn"] = measure(refit_sklearn, window, ours["k"])
            mean = means[columns, rows] = ours["mean"]
            with_d = mean / means[sizes[i - 1], rows] if i else 0
            with_t = mean / means[columns, ROWS[j - 1]] if j else 0
            print(f"{columns:5} {rows:5} {ours['form']:>6} {ours['k']:3} {mean:9.1f} "
                  f"{ours['median']:9.1f} {ours['worst']:9.0f} {ours['score']:8.1f} | "
                  f"{'':14} {ratio(ours['lapack'], mean)} {ratio(others['numpy'], mean)} "
                  f"{ratio(others['sklearn'], mean)} | {ours['memory']:6.2f} "
                  f"{with_d:8.1f} {with_t:8.1f}", flush=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if np is None:
        print("NumPy is not installed: its refit is left out, and scikit-learn's")
    elif PCA is None:
        print("scikit-learn is not installed: its refit is left out")
    report(sys.argv[1], [int(value) for value in sys.argv[2:]] or list(COLUMNS))


if __name__ == "__main__":
    main()
