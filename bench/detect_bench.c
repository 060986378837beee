/* SPDX-License-Identifier: Apache-2.0 */
/* Microseconds per accepted row, model rebuilt, at several sizes, beside the bare
 * eigendecomposition of that size. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "detect/monitor.h"
#include "stats/eigen.h"

enum { WINDOW = 720 };

static uint64_t state = 3;

static double uniform(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(state >> 11) * 0x1p-53 - 0.5;
}

static void make_row(double *row, size_t columns)
{
	double sources[5];

	for (int i = 0; i < 5; i++)
		sources[i] = 4 * uniform();
	for (size_t j = 0; j < columns; j++)
		row[j] = sources[j % 5] + uniform();
}

static double time_rows(size_t columns, int rows)
{
	double *row = calloc(columns, sizeof(*row));
	struct monitor_options options;
	struct row_verdict verdict;
	struct monitor *monitor;
	int64_t start;

	monitor_options_default(&options);
	options.window_rows = WINDOW;
	options.min_rows = WINDOW;
	if (!row || monitor_new(&options, &monitor, NULL) < 0)
		exit(1);
	for (size_t j = 0; j < columns; j++)
		(void)monitor_add_column(monitor, 0, NULL);
	for (int i = 0; i < WINDOW; i++) {
		make_row(row, columns);
		(void)monitor_offer(monitor, row, &verdict, NULL);
	}
	start = clock_mono_usec();
	for (int i = 0; i < rows; i++) {
		make_row(row, columns);
		(void)monitor_offer(monitor, row, &verdict, NULL);
	}
	monitor_free(monitor);
	free(row);
	return (double)(clock_mono_usec() - start) / rows;
}

static double time_eigen(size_t columns, int rounds)
{
	double *matrix = calloc(columns * columns, sizeof(*matrix));
	struct eigen *eigen;
	int64_t start;

	if (!matrix || eigen_new(columns, &eigen, NULL) < 0)
		exit(1);
	for (size_t i = 0; i < columns; i++)
		for (size_t j = 0; j <= i; j++)
			matrix[i * columns + j] = matrix[j * columns + i] =
				(i == j) + 0.1 * uniform();
	start = clock_mono_usec();
	for (int i = 0; i < rounds; i++)
		(void)eigen_solve(eigen, matrix, NULL);
	eigen_free(eigen);
	free(matrix);
	return (double)(clock_mono_usec() - start) / rounds;
}

int main(void)
{
	static const size_t sizes[] = {21, 70, 210};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int rounds = sizes[i] > 100 ? 50 : 1000;
		double row = time_rows(sizes[i], rounds), eigen = time_eigen(sizes[i], rounds);

		printf("%zu columns, window %d: %.0f us per row, eigenpairs alone %.0f us, ratio "
		       "%.2f\n",
		       sizes[i], WINDOW, row, eigen, row / eigen);
	}
	return 0;
}
