/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mu buys and costs (paper IV-C4), the loop of tracking and monitoring closed: messages saved
 * against Delta = 0 (where a value is sent when it changes), the change of the false alarm rate,
 * and of the share of excursions that are found. An excursion lifts one column for three rows, by a
 * multiple of its deviation, every fifty rows; all other rows are taken for normal ones, which on
 * recorded data is a guess, the same for both sides. Beside the two methods of the budget, on made
 * data, the way of the paper's authors: epsilon by 1,000 draws of the eigenvalues.
 *
 * Usage: mu_bench [DATA], the folder of the recorded sets. Without, made data only.
 */
#include <glob.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/csv.h"
#include "closed_loop.h"
#include "stats/quantile.h"

enum {
	ROWS_MAX = 8000,
	MADE_COLUMNS = 21,
	MADE_SOURCES = 5,
	EXCURSION_PERIOD = 50,
	EXCURSION_ROWS = 3,
	FIRST_EXCURSION = 400,
	DRAWS = 1000,
};

#define ALPHA 0.002

DEFINE_CLEANUP(struct csv *, csv_free)
DEFINE_CLEANUP(struct closed_loop *, closed_loop_free)

static const double mus[] = {0.001, 0.005, 0.01, 0.02, 0.05};

struct matrix {
	size_t rows, columns;
	double *values, *std;
};

/* Recorded sets: files of the pattern, so many side by side as one group. */
struct set {
	const char *folder, *pattern;
	size_t together;
	double excursion; /* deviations */
};

static const struct set sets[] = {
	{"exathlon_nodes", "*.csv.xz", 1, 4},
	{"smd", "*_train.csv.xz", 1, 4},
	{"bitbrains", "vm*.csv.xz", 4, 4},
	{"alibaba_mem", "m_*.csv.xz", 5, 4},
};

/* Sums over the files of a set. */
struct tally {
	size_t values, sent, rows, alarms, excursions, found, looks;
	double power_loss;
};

/* Data */

static void free_matrix(struct matrix *matrix)
{
	free(matrix->values);
	free(matrix->std);
	*matrix = (struct matrix){0};
}

static int new_matrix(struct matrix *matrix, size_t rows, size_t columns)
{
	*matrix = (struct matrix){.rows = rows, .columns = columns};
	if (rows == 0 || columns == 0)
		return -1;
	matrix->values = calloc(rows * columns, sizeof(double));
	matrix->std = calloc(columns, sizeof(double));
	return matrix->values && matrix->std ? 0 : -1;
}

static void find_deviations(struct matrix *matrix)
{
	for (size_t j = 0; j < matrix->columns; j++) {
		double count = 0, mean = 0, squares = 0;

		for (size_t i = 0; i < matrix->rows; i++) {
			double value = matrix->values[i * matrix->columns + j], step;

			if (!isfinite(value))
				continue;
			step = value - mean;
			mean += step / ++count;
			squares += step * (value - mean);
		}
		matrix->std[j] = count > 1 ? sqrt(squares / (count - 1)) : 0;
	}
}

static double uniform(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return ((double)(*state >> 11) + 0.5) * 0x1p-53;
}

/* AR(1) sources behind AR(1) noise, variance one of either, the noise scaled by .4. */
static int make_matrix(double rho, struct matrix *matrix)
{
	double hidden[MADE_SOURCES + MADE_COLUMNS] = {0};
	uint64_t state = 3;

	if (new_matrix(matrix, ROWS_MAX, MADE_COLUMNS) < 0)
		return -1;
	for (size_t i = 0; i < matrix->rows; i++) {
		for (size_t j = 0; j < MADE_SOURCES + MADE_COLUMNS; j++)
			hidden[j] = rho * hidden[j] +
				    sqrt(1 - rho * rho) * normal_quantile(uniform(&state));
		for (size_t j = 0; j < MADE_COLUMNS; j++)
			matrix->values[i * MADE_COLUMNS + j] =
				hidden[j % MADE_SOURCES] + 0.4 * hidden[MADE_SOURCES + j];
	}
	find_deviations(matrix);
	return 0;
}

static struct csv *read_packed(const char *path)
{
	char command[4096], opened[32];
	struct csv *csv = NULL;
	struct error err = ERROR_INIT;
	FILE *pipe;

	(void)snprintf(command, sizeof(command), "exec xz -dc '%s'", path);
	pipe = popen(command, "re");
	if (!pipe)
		return NULL;
	(void)snprintf(opened, sizeof(opened), "/dev/fd/%d", fileno(pipe));
	if (csv_read(opened, &csv, &err) < 0)
		(void)fprintf(stderr, "%s: %s\n", path, err.text);
	(void)pclose(pipe);
	return csv;
}

static bool is_series(const char *name)
{
	return strcmp(name, "seconds") != 0;
}

static void copy_columns(const struct csv *csv, struct matrix *matrix, size_t *column)
{
	for (size_t j = 0; j < csv->columns; j++) {
		if (!is_series(csv->names[j]))
			continue;
		for (size_t i = 0; i < matrix->rows; i++)
			matrix->values[i * matrix->columns + *column] = csv->values[j][i];
		(*column)++;
	}
}

/* So many files side by side, as long as the shortest. */
static int read_matrix(char **paths, size_t count, struct matrix *matrix)
{
	struct csv *files[8] = {0};
	size_t rows = ROWS_MAX, columns = 0, column = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		files[i] = read_packed(paths[i]);
		r = files[i] ? 0 : -1;
		for (size_t j = 0; r == 0 && j < files[i]->columns; j++)
			columns += is_series(files[i]->names[j]);
		if (r == 0 && files[i]->rows < rows)
			rows = files[i]->rows;
	}
	if (r == 0)
		r = new_matrix(matrix, rows, columns);
	for (size_t i = 0; r == 0 && i < count; i++)
		copy_columns(files[i], matrix, &column);
	for (size_t i = 0; i < count; i++)
		csv_free(files[i]);
	if (r == 0)
		find_deviations(matrix);
	return r;
}

/* The authors' way to epsilon */

static double score_of(const struct thetas *thetas, double q)
{
	double h0 = 1 - 2 * thetas->theta1 * thetas->theta3 / (3 * thetas->theta2 * thetas->theta2);
	double share = thetas->theta2 * h0 * (h0 - 1) / (thetas->theta1 * thetas->theta1);

	return thetas->theta1 * (pow(q / thetas->theta1, h0) - 1 - share) /
	       (h0 * sqrt(2 * thetas->theta2));
}

/* The largest change of the score over draws of eigenvalues within +-epsilon. */
static double drawn_change(const struct budget_spectrum *spectrum, double q, double epsilon)
{
	double exact = score_of(&spectrum->thetas, q), most = 0;
	uint64_t state = 17;

	for (int draw = 0; draw < DRAWS; draw++) {
		struct thetas thetas = {0};

		for (size_t j = 0; j < spectrum->columns - spectrum->components; j++) {
			double lambda = fmax(
				spectrum->residual[j] + epsilon * (2 * uniform(&state) - 1), 0);

			thetas.theta1 += lambda;
			thetas.theta2 += lambda * lambda;
			thetas.theta3 += lambda * lambda * lambda;
		}
		most = fmax(most, fabs(score_of(&thetas, q) - exact));
	}
	return most;
}

static void solve_as_authors(const struct budget_options *options,
			     const struct budget_spectrum *spectrum, struct budget *ret_budget)
{
	double low = 0, high = spectrum->lambda_mean, q, eta;

	*ret_budget = (struct budget){0};
	if (!(spectrum->thetas.theta3 > 0))
		return;
	q = threshold_jackson_mudholkar(&spectrum->thetas, options->alpha);
	eta = normal_quantile(1 - options->alpha) -
	      normal_quantile(1 - options->alpha - options->mu);
	while (high - low > 0.01 * high) {
		double middle = 0.5 * (low + high);

		if (drawn_change(spectrum, q, middle) <= eta)
			low = middle;
		else
			high = middle;
	}
	ret_budget->epsilon = low;
	ret_budget->variance = budget_variance(spectrum, low);
	ret_budget->delta = sqrt(3 * ret_budget->variance);
	ret_budget->power_loss = budget_power_loss(spectrum, ret_budget->variance);
}

/* Runs */

static size_t excursion_column(const struct matrix *matrix, size_t number)
{
	for (size_t i = 0; i < matrix->columns; i++) {
		size_t column = (number + i) % matrix->columns;

		if (matrix->std[column] > 0)
			return column;
	}
	return 0;
}

static bool is_abnormal(const struct row_verdict *verdict)
{
	return verdict->state == ROW_ABNORMAL || verdict->state == ROW_SHIFTED;
}

/* One row, lifted where an excursion is under way. */
static int run_row(struct closed_loop *loop, const struct matrix *matrix, size_t row, double size,
		   bool *found, struct tally *tally, double *scratch)
{
	size_t since = row < FIRST_EXCURSION ? EXCURSION_ROWS : row % EXCURSION_PERIOD;
	size_t column = excursion_column(matrix, row / EXCURSION_PERIOD);
	struct row_verdict verdict;
	int r;

	memcpy(scratch, matrix->values + row * matrix->columns, matrix->columns * sizeof(double));
	if (since < EXCURSION_ROWS)
		scratch[column] += size * matrix->std[column];
	r = closed_loop_offer(loop, scratch, &verdict);
	if (r < 0 || verdict.state == ROW_LEARNING)
		return r;
	if (since >= EXCURSION_ROWS) {
		tally->rows++;
		tally->alarms += is_abnormal(&verdict);
		return 0;
	}
	*found = (since > 0 && *found) || is_abnormal(&verdict);
	if (since == EXCURSION_ROWS - 1) {
		tally->excursions++;
		tally->found += *found;
	}
	return 0;
}

static int run_matrix(const struct matrix *matrix, const struct closed_loop_options *options,
		      double size, struct tally *tally)
{
	cleanup(free) double *deltas = calloc(matrix->columns, sizeof(*deltas));
	cleanup(free) double *scratch = calloc(matrix->columns, sizeof(*scratch));
	cleanup(closed_loop_free) struct closed_loop *loop =
		closed_loop_new(options, deltas, matrix->columns);
	bool found = false;

	if (!deltas || !scratch || !loop)
		return -1;
	for (size_t i = 0; i < matrix->rows; i++) {
		if (run_row(loop, matrix, i, size, &found, tally, scratch) < 0)
			return -1;
		if (i % options->period_rows != 0 || !(loop->budget.variance > 0))
			continue;
		tally->looks++;
		tally->power_loss += loop->budget.power_loss;
	}
	tally->values += matrix->rows * matrix->columns;
	tally->sent += loop->sent;
	return 0;
}

struct method {
	const char *name;
	budget_solver *solve;
	enum budget_method method;
	bool made_only;
};

static const struct method methods[] = {
	{"direct", budget_solve, BUDGET_DIRECT, false},
	{"paper", budget_solve, BUDGET_PAPER, false},
	{"authors", solve_as_authors, BUDGET_PAPER, true},
};

static int run_all(const struct matrix *matrices, size_t count, const struct method *method,
		   double mu, double size, struct tally *ret_tally)
{
	struct closed_loop_options options = {
		.solve = method ? method->solve : NULL,
		.budget = {method ? method->method : BUDGET_DIRECT, ALPHA, mu, INFINITY},
		.period_rows = 60,
	};

	monitor_options_preset(&options.monitor, MONITOR_CALIBRATED);
	*ret_tally = (struct tally){0};
	for (size_t i = 0; i < count; i++)
		if (run_matrix(&matrices[i], &options, size, ret_tally) < 0)
			return -1;
	return 0;
}

static double percent(size_t part, size_t whole)
{
	return whole ? 100 * (double)part / (double)whole : NAN;
}

static void print_tally(const char *name, double mu, const struct tally *tally,
			const struct tally *exact)
{
	double far = percent(tally->alarms, tally->rows);

	printf("  %-8s %5.1f  %6.1f  %6.1f  %8.2f  %+8.2f  %6.1f  %9.3f\n", name, 100 * mu,
	       percent(tally->sent, tally->values),
	       100 - 100 * (double)tally->sent / (double)exact->sent, far,
	       far - percent(exact->alarms, exact->rows), percent(tally->found, tally->excursions),
	       tally->looks ? tally->power_loss / (double)tally->looks : 0);
	(void)fflush(stdout);
}

static int sweep(const char *name, const struct matrix *matrices, size_t count, double size,
		 bool made)
{
	struct tally exact, tally;

	printf("%s: %zu group(s) of %zu columns, excursions of %.1f std\n"
	       "  method    mu %%  sent %%  saved %%   alarms %%  change pp  found %%  power "
	       "loss\n",
	       name, count, matrices[0].columns, size);
	if (run_all(matrices, count, NULL, 0, size, &exact) < 0)
		return -1;
	print_tally("exact", 0, &exact, &exact);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (methods[i].made_only && !made)
			continue;
		for (size_t j = 0; j < sizeof(mus) / sizeof(mus[0]); j++) {
			if (run_all(matrices, count, &methods[i], mus[j], size, &tally) < 0)
				return -1;
			print_tally(methods[i].name, mus[j], &tally, &exact);
		}
	}
	return 0;
}

static int sweep_made(double rho, double size)
{
	struct matrix matrix;
	char name[64];
	int r = make_matrix(rho, &matrix);

	(void)snprintf(name, sizeof(name), "made data, rho %.2f", rho);
	if (r == 0)
		r = sweep(name, &matrix, 1, size, true);
	free_matrix(&matrix);
	return r;
}

static int sweep_set(const char *data, const struct set *set)
{
	cleanup(free) struct matrix *matrices = NULL;
	char pattern[4096];
	glob_t found;
	size_t count = 0;
	int r = 0;

	(void)snprintf(pattern, sizeof(pattern), "%s/%s/%s", data, set->folder, set->pattern);
	if (glob(pattern, 0, NULL, &found) != 0) {
		printf("%s: no data, nothing is measured\n", set->folder);
		return 0;
	}
	matrices = calloc(found.gl_pathc, sizeof(*matrices));
	for (size_t i = 0; matrices && r == 0 && i + set->together <= found.gl_pathc;
	     i += set->together)
		r = read_matrix(found.gl_pathv + i, set->together, &matrices[count++]);
	globfree(&found);
	if (r == 0 && count > 0)
		r = sweep(set->folder, matrices, count, set->excursion, false);
	for (size_t i = 0; i < count; i++)
		free_matrix(&matrices[i]);
	return matrices ? r : -1;
}

int main(int argc, char **argv)
{
	int r = sweep_made(0, 2);

	if (r == 0)
		r = sweep_made(0.9, 2);
	if (r == 0)
		r = sweep_made(0.99, 2);
	if (argc < 2)
		printf("no folder of recorded data is given: made data only\n");
	for (size_t i = 0; r == 0 && argc > 1 && i < sizeof(sets) / sizeof(sets[0]); i++)
		r = sweep_set(argv[1], &sets[i]);
	if (r < 0)
		(void)fprintf(stderr, "mu_bench: a run has failed\n");
	return r < 0 ? 1 : 0;
}
