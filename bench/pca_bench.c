/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row costs that is scored, enters the window and changes the model, beside the same by
 * LAPACK from scratch (standardise, dsyrk, dsyevd of all pairs), run in turns.
 *
 * pca_bench [COLUMNS [ROWS [gap|cpv [NOISE [RHO]]]]]: one size, or a table of sizes. Prints one
 * line per size (thread CPU time): columns, rows of the window, form, k, microseconds per row
 * (mean, median, worst), of them for the score; microseconds of LAPACK (0: not run, it would take
 * minutes), the ratio, and the model's memory over the window's.
 */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "detect/model.h"
#include "detect/window.h"

enum { SOURCES = 20, ROWS_TIMED_MAX = 800, LAPACK_COLUMNS_MAX = 2100, COLUMNS_MAX = 16384 };

static uint64_t state = 3;

static double uniform(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(state >> 11) * 0x1p-53 - 0.5;
}

struct setting {
	size_t columns, rows;
	enum components_rule rule;
	double noise, rho;
};

/* Sources of variance one spread over all columns by +-1, and noise; each follows its own past by
 * rho. */
static void make_row(const struct setting *setting, double *row)
{
	static double sources[SOURCES], noise[COLUMNS_MAX];
	size_t count = setting->columns < 5 * SOURCES ? setting->columns / 5 : SOURCES;
	double rho = setting->rho, fresh = sqrt(3 * (1 - rho * rho));

	for (size_t i = 0; i < count; i++)
		sources[i] =
			rho * sources[i] + fresh * (uniform() + uniform() + uniform() + uniform());
	for (size_t j = 0; j < setting->columns; j++) {
		uint32_t signs = (uint32_t)(j * 2654435761U) ^ (uint32_t)(j * j * 40503U);

		noise[j] = rho * noise[j] + fresh * (uniform() + uniform() + uniform() + uniform());
		row[j] = setting->noise * noise[j];
		for (size_t i = 0; i < count; i++)
			row[j] += (signs >> i & 1 ? 1 : -1) * sources[i] / sqrt((double)count);
	}
}

struct bench {
	struct setting setting;
	struct window *window;
	struct model *model;
	double *row, *y, *c, *values;
	double times[ROWS_TIMED_MAX], score_usec;
};

static void *allocate(size_t count)
{
	void *places = calloc(count, sizeof(double));

	if (!places)
		exit(1);
	return places;
}

static int by_size(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static int64_t now_nsec(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void setup(struct bench *bench)
{
	size_t d = bench->setting.columns;
	struct model_options options = {.components = bench->setting.rule, .cpv = 0.9};
	bool *use = calloc(d, sizeof(*use));
	double *floors = allocate(d);

	bench->window = window_new(bench->setting.rows);
	bench->model = model_new(&options);
	bench->row = allocate(d);
	if (!use || !bench->window || !bench->model)
		exit(1);
	for (size_t j = 0; j < d; j++) {
		use[j] = true;
		if (window_add_column(bench->window) < 0)
			exit(1);
	}
	for (size_t i = 0; i < bench->setting.rows; i++) {
		make_row(&bench->setting, bench->row);
		window_push(bench->window, bench->row);
	}
	if (model_build(bench->model, bench->window, use, floors, NULL) < 0)
		exit(1);
	free(use);
	free(floors);
}

static double time_row(struct bench *bench)
{
	struct model_score score;
	int64_t start, scored;

	make_row(&bench->setting, bench->row);
	start = now_nsec();
	(void)model_score(bench->model, bench->row, &score);
	scored = now_nsec();
	if (model_slide(bench->model, bench->window, bench->row, NULL) < 0)
		exit(1);
	window_push(bench->window, bench->row);
	if (model_settle(bench->model, bench->window, NULL) < 0)
		exit(1);
	bench->score_usec += (double)(scored - start) / 1e3;
	return (double)(now_nsec() - start) / 1e3;
}

/* The paper's step as it stands, for the window as it is. */
static double time_lapack(struct bench *bench)
{
	lapack_int d = (lapack_int)bench->setting.columns;
	size_t t = bench->setting.rows, columns = bench->setting.columns;
	int64_t start = now_nsec();

	for (size_t j = 0; j < columns; j++) {
		double sum = 0, square = 0;

		for (size_t i = 0; i < t; i++)
			sum += window_row(bench->window, i)[j];
		for (size_t i = 0; i < t; i++) {
			double deviation = window_row(bench->window, i)[j] - sum / (double)t;

			bench->y[i * columns + j] = deviation;
			square += deviation * deviation;
		}
		cblas_dscal((blasint)t, 1 / sqrt(square), bench->y + j, (blasint)columns);
	}
	cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, d, (blasint)t, 1, bench->y, d, 0,
		    bench->c, d);
	if (LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', d, bench->c, d, bench->values) != 0)
		exit(1);
	return (double)(now_nsec() - start) / 1e3;
}

/* Rows of ours, and now and then one of LAPACK's between them. */
static double measure(struct bench *bench, size_t rows, size_t lapack_rows)
{
	double lapack = 0;

	for (size_t i = 0; i < rows; i++) {
		bench->times[i] = time_row(bench);
		if (lapack_rows > 0 && i % (rows / lapack_rows) == 0)
			lapack += time_lapack(bench) / (double)lapack_rows;
	}
	return lapack;
}

static void run(struct setting setting)
{
	static const char *const forms[] = {"auto", "full", "block", "gram"};
	static struct bench bench;
	size_t d = setting.columns, rows = ROWS_TIMED_MAX, lapack_rows;
	double mean = 0, lapack, window_bytes = (double)(d * setting.rows * sizeof(double));

	bench = (struct bench){.setting = setting};
	setup(&bench);
	if (d * setting.rows > 1000000)
		rows = 200;
	lapack_rows = d > LAPACK_COLUMNS_MAX ? 0 : (d > 500 ? 2 : 100);
	if (lapack_rows > 0) {
		bench.y = allocate(d * setting.rows);
		bench.c = allocate(d * d);
		bench.values = allocate(d);
	}
	for (size_t i = 0; i < 20; i++)
		(void)time_row(&bench);
	bench.score_usec = 0;
	lapack = measure(&bench, rows, lapack_rows);
	for (size_t i = 0; i < rows; i++)
		mean += bench.times[i] / (double)rows;
	qsort(bench.times, rows, sizeof(double), by_size);
	printf("%zu %zu %s %zu %.1f %.1f %.1f %.1f %.1f %.1f %.2f\n", d, setting.rows,
	       forms[model_form(bench.model)], model_components(bench.model), mean,
	       bench.times[rows / 2], bench.times[rows - 1], bench.score_usec / (double)rows,
	       lapack, lapack / mean, (double)model_bytes(bench.model) / window_bytes);
	(void)fflush(stdout);
	window_free(bench.window);
	model_free(bench.model);
	free(bench.row);
	free(bench.y);
	free(bench.c);
	free(bench.values);
}

int main(int argc, char **argv)
{
	static const size_t columns[] = {21, 70, 210, 700, 2100, 7000}, rows[] = {360, 720, 1440};
	struct setting setting = {.rule = COMPONENTS_GAP, .noise = 0.3, .rows = 720};

	setting.columns = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	setting.rows = argc > 2 ? strtoul(argv[2], NULL, 10) : 720;
	if (argc > 3 && strcmp(argv[3], "cpv") == 0)
		setting.rule = COMPONENTS_CPV;
	if (argc > 4)
		setting.noise = strtod(argv[4], NULL);
	if (argc > 5)
		setting.rho = strtod(argv[5], NULL);
	if (setting.columns > COLUMNS_MAX)
		return 2;
	if (setting.columns > 0) {
		run(setting);
		return 0;
	}
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++) {
			setting.columns = columns[i];
			setting.rows = rows[j];
			run(setting);
		}
	return 0;
}
