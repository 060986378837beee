#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Computes by NumPy what pca_figures printed, and compares. Output is TAP."""
import math
import subprocess
import sys

try:
    import numpy as np
except ImportError:
    print("1..0 # SKIP python3-numpy is not installed")
    sys.exit(0)


def read_figures(program):
    figures = {}
    for line in subprocess.run([program], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.splitlines():
        name, *values = line.split()
        figures.setdefault(name, []).append([float(value) for value in values])
    return figures


def chi2_upper_tail(x, v):
    """P(chi2_v > x) by Simpson's rule on the density in the variable s = sqrt(x), far enough out."""
    top = math.sqrt(max(x, v) + 60 * math.sqrt(2 * v) + 200)
    grid = np.linspace(math.sqrt(x), top, 200001)
    log_density = ((v - 1) * np.log(np.maximum(grid, 1e-300)) - grid ** 2 / 2
                   + math.log(2) - v / 2 * math.log(2) - math.lgamma(v / 2))
    density = np.exp(log_density)
    weights = np.ones(grid.size)
    weights[1:-1:2] = 4
    weights[2:-1:2] = 2
    return float((density * weights).sum() * (grid[1] - grid[0]) / 3)


def bisect(function, low, high):
    """Where a falling function crosses zero."""
    for _ in range(100):
        middle = (low + high) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def thresholds(residual, alpha):
    theta = [float((residual ** power).sum()) for power in (1, 2, 3)]
    h0 = 1 - 2 * theta[0] * theta[2] / (3 * theta[1] ** 2)
    c = bisect(lambda z: 0.5 * math.erfc(z / math.sqrt(2)) - alpha, 0, 10)
    s = c * math.sqrt(2 * theta[1]) / theta[0] + theta[1] * (h0 - 1) / theta[0] ** 2
    jackson_mudholkar = theta[0] * (1 + h0 * s) ** (1 / h0)
    v = theta[1] ** 3 / theta[2] ** 2
    quantile = bisect(lambda x: chi2_upper_tail(x, v) - alpha, v, v + 60 * math.sqrt(2 * v) + 100)
    return jackson_mudholkar, theta[0] + theta[2] / theta[1] * (quantile - v)


def direct_variance(residual, alpha, mu):
    """The sigma^2 that, added to every residual eigenvalue, lifts the rate over the limit to alpha + mu."""
    limit = thresholds(residual, alpha)[1]

    def spare(variance):
        theta = [float(((residual + variance) ** power).sum()) for power in (1, 2, 3)]
        v = theta[1] ** 3 / theta[2] ** 2
        return alpha + mu - chi2_upper_tail(max(v + (limit - theta[0]) * theta[1] / theta[2], 0), v)

    return bisect(spare, 0, 1 / 3)


def paper_variance(residual, every, rows, alpha, mu):
    """Through epsilon: the largest common error of the eigenvalues that moves X by at most eta."""
    limit = thresholds(residual, alpha)[0]

    def score(values):
        if not values.any():
            return math.inf
        theta = [float((values ** power).sum()) for power in (1, 2, 3)]
        h0 = 1 - 2 * theta[0] * theta[2] / (3 * theta[1] ** 2)
        bracket = (limit / theta[0]) ** h0 - 1 - theta[1] * h0 * (h0 - 1) / theta[0] ** 2
        return theta[0] * bracket / (h0 * math.sqrt(2 * theta[1]))

    def quantile(p):
        return bisect(lambda z: 0.5 * math.erfc(z / math.sqrt(2)) - p, -10, 10)

    def spare(epsilon):
        moved = [score(residual + epsilon), score(np.maximum(residual - epsilon, 0))]
        return quantile(alpha) - quantile(alpha + mu) - max(abs(x - score(residual)) for x in moved)

    epsilon = bisect(spare, 0, every.mean())
    d, mean = len(every), every.mean()
    delta = ((math.sqrt(3 * mean * d + 3 * epsilon * math.sqrt(rows ** 2 + rows * d))
              - math.sqrt(3 * mean * d)) / math.sqrt(rows + d))
    return delta ** 2 / 3, epsilon


def check_budgets(figures, residual, every, rows, alpha):
    for method, mu, variance, epsilon in figures["budget"]:
        if method == 0:
            # the tail is integrated numerically
            yield f"direct budget of {mu}", close(variance, direct_variance(residual, alpha, mu), 1e-6)
        else:
            expected = paper_variance(residual, every, rows, alpha, mu)
            yield f"paper's budget of {mu}", close((variance, epsilon), expected, 1e-7)


def model_of(normal, floors, cpv):
    mean = normal.mean(axis=0)
    floor = np.maximum(floors, 1e-9 * np.abs(mean))
    std = np.maximum(normal.std(axis=0, ddof=1), floor)
    y = (normal - mean) / std
    values, vectors = np.linalg.eigh(y.T @ y / (len(normal) - 1))
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    share = np.cumsum(values) / values.sum()
    k = int(np.argmax(share > cpv)) + 1
    return mean, std, floor, y, values, vectors, k


def close(actual, expected, relative):
    return bool(np.all(np.abs(np.asarray(actual) - np.asarray(expected))
                       <= relative * np.maximum(np.abs(expected), 1e-12)))


def compare(figures):
    normal, abnormal = np.array(figures["normal"]), np.array(figures["abnormal"])
    alpha, cpv = figures["alpha"][0][0], figures["cpv"][0][0]
    mean, std, floor, y, values, vectors, k = model_of(normal, np.array(figures["floors"][0]), cpv)
    b = (abnormal - mean) / std
    project = np.eye(len(mean)) - vectors[:, :k] @ vectors[:, :k].T
    b_residual, y_residual = b @ project, y @ project
    a_j, y_j = (b_residual ** 2).mean(axis=0), (y_residual ** 2).mean(axis=0)
    stddev = np.abs(b).mean(axis=0)
    jackson_mudholkar, hbe = thresholds(values[k:], alpha)
    columns = sorted(figures["column"])
    # rounding of sums over 120 x 21 products; the quantile is integrated numerically
    yield "eigenvalues", np.allclose(figures["eigenvalues"][0], values, rtol=0, atol=1e-11)
    yield "components", figures["components"][0][0] == k
    yield "SPE", close(np.array(figures["spe"])[:, 0], (b_residual ** 2).sum(axis=1), 1e-9)
    yield "Jackson-Mudholkar", close(figures["jackson_mudholkar"][0][0], jackson_mudholkar, 1e-9)
    yield "Hall-Buckley-Eagleson", close(figures["hbe"][0][0], hbe, 1e-7)
    yield "every column", [int(column[0]) for column in columns] == list(range(len(mean)))
    varying = [j for j in range(len(mean)) if y_j[j] > 1e-9]
    yield "rd", close([columns[j][1] for j in varying],
                      [(a_j[j] - y_j[j]) / y_j[j] for j in varying], 1e-7)
    yield "stddev", close([column[2] for column in columns], stddev, 1e-9)
    expected = (abnormal.mean(axis=0) - mean) / np.where(mean == 0, 1, mean)
    quotients = [j for j in range(len(mean)) if abs(mean[j]) >= floor[j] and mean[j] != 0]
    yield "meandiff", bool(np.allclose([columns[j][3] for j in quotients],
                                       [expected[j] for j in quotients], rtol=1e-9, atol=1e-13))
    named = {j for j in range(len(mean)) if columns[j][5]}
    yield "names the shifted columns", {4, 9} <= named
    yield from check_budgets(figures, values[k:], values, len(normal), alpha)


def main():
    results = list(compare(read_figures(sys.argv[1])))
    print(f"1..{len(results)}")
    for number, (name, good) in enumerate(results, 1):
        print(f"{'' if good else 'not '}ok {number} - {name}")
    return 0 if all(good for _, good in results) else 1


if __name__ == "__main__":
    sys.exit(main())
