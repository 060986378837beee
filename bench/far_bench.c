/* SPDX-License-Identifier: Apache-2.0 */
/*
 * far_bench: the false alarm rate of every preset of the monitor on synthetic families of which
 * every row is normal, with confidence intervals, beside the exact probability of a false alarm and
 * the nominal alpha; at the end, whether the goals are met. bench/README.md explains the columns.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "far_run.h"
#include "stats/quantile.h"

#define RATE_TOLERANCE 0.3
#define CONFIDENCE 0.95

enum { RUNS = 8, JOBS_MAX = 64, LOCKOUT_MAX = 30, CHOICES_MAX = 4, SETTINGS_MAX = 256 };

/* Presets: as monitor.h offers them. */

static void fill_calibrated(struct monitor_options *options)
{
	monitor_options_preset(options, MONITOR_CALIBRATED);
}

static void fill_paper(struct monitor_options *options)
{
	monitor_options_preset(options, MONITOR_PAPER);
}

static const struct preset presets[] = {
	{"calibrated", fill_calibrated},
	{"paper", fill_paper},
};

enum { PRESETS = sizeof(presets) / sizeof(presets[0]) };

struct options {
	size_t sizes[CHOICES_MAX], size_count;
	double noises[CHOICES_MAX], rhos[CHOICES_MAX];
	size_t noise_count, rho_count;
	size_t rows; /* per setting; 0: by size */
	size_t jobs;
	bool quick;
};

struct setting {
	struct family family;
	const struct preset *preset;
	size_t rows; /* of each of RUNS runs */
};

/* Shared by the worker processes. */
struct board {
	size_t next; /* job */
	struct tally tallies[SETTINGS_MAX * RUNS];
};

static size_t rows_by_size(const struct options *options, size_t columns)
{
	if (options->rows > 0)
		return options->rows;
	if (options->quick)
		return 8000;
	return columns <= 100 ? 120000 : columns <= 300 ? 40000 : 16000;
}

static size_t list_settings(const struct options *options, struct setting *ret_settings)
{
	size_t families = options->size_count * options->rho_count * options->noise_count;
	size_t count = 0;

	for (size_t i = 0; i < families * PRESETS; i++) {
		size_t family = i / PRESETS, noise = family % options->noise_count;
		size_t rho = family / options->noise_count % options->rho_count;
		size_t size = family / options->noise_count / options->rho_count;

		ret_settings[count++] = (struct setting){
			.family = {.columns = options->sizes[size],
				   .noise = options->noises[noise],
				   .rho = options->rhos[rho]},
			.preset = &presets[i % PRESETS],
			.rows = (rows_by_size(options, options->sizes[size]) + RUNS - 1) / RUNS,
		};
	}
	return count;
}

/* Runs of a family have the same seeds for every preset. */
static void work(struct board *board, const struct setting *settings, size_t count)
{
	for (;;) {
		size_t job = __atomic_fetch_add(&board->next, 1, __ATOMIC_RELAXED);
		const struct setting *setting = &settings[job / RUNS];
		struct plan plan;

		if (job >= count * RUNS)
			return;
		plan = (struct plan){
			.family = setting->family,
			.preset = setting->preset,
			.seed = 1 + job % RUNS,
			.rows = setting->rows,
			.exact_rows = setting->family.columns <= 100 ? 50 : 200,
		};
		far_run(&plan, &board->tallies[job]);
	}
}

static void fork_workers(struct board *board, const struct setting *settings, size_t count,
			 size_t jobs)
{
	pid_t children[JOBS_MAX];

	for (size_t i = 0; i < jobs; i++) {
		children[i] = fork();
		if (children[i] < 0) {
			perror("fork");
			exit(1);
		}
		if (children[i] == 0) {
			work(board, settings, count);
			_exit(0);
		}
	}
	for (size_t i = 0; i < jobs; i++) {
		int status;

		if (waitpid(children[i], &status, 0) < 0 || status != 0) {
			(void)fprintf(stderr, "a worker failed\n");
			exit(1);
		}
	}
}

struct interval {
	double low, high;
};

/* Clopper and Pearson's interval of a share. Alarms that come in clusters count as fewer: both
 * counts are divided by how much more the batches vary than independent alarms would. */
static struct interval share_interval(const struct tally *tally)
{
	double batches = (double)tally->batches, mean = tally->batch_sum / batches;
	double variance = (tally->batch_squares - batches * mean * mean) / fmax(batches - 1, 1);
	double spread = mean > 0 ? fmax(variance / mean, 1) : 1;
	double n = (double)tally->rows / spread, tail = 0.5 * (1 - CONFIDENCE);
	double k = (double)tally_false_alarms(tally) / spread;
	struct interval interval = {0, 1};
	double f;

	if (k >= 0.5) {
		f = f_upper_quantile(tail, 2 * (n - k + 1), 2 * k);
		interval.low = k / (k + (n - k + 1) * f);
	}
	if (n - k >= 0.5) {
		f = f_upper_quantile(tail, 2 * (k + 1), 2 * (n - k));
		interval.high = (k + 1) * f / (n - k + (k + 1) * f);
	}
	return interval;
}

static void print_exact(const struct tally *tally)
{
	if (tally->exact_off > tally->exact_count / 100)
		printf("       -      -");
	else if (tally->exact_count > 0)
		printf("  %6.3f %6.3f", 100 * tally->next_sum / (double)tally->exact_count,
		       100 * tally->fresh_sum / (double)tally->exact_count);
}

static void print_setting(const struct setting *setting, const struct tally *tally)
{
	double rows = (double)tally->rows, far = (double)tally_false_alarms(tally) / rows;
	struct interval interval = share_interval(tally);

	printf("%5zu %5.2f %5.1f  %-16s %6.1f %7zu  %7.3f [%6.3f, %6.3f] %5.2f",
	       setting->family.columns, setting->family.rho, setting->family.noise,
	       setting->preset->name, tally->components / rows, tally->rows, 100 * far,
	       100 * interval.low, 100 * interval.high, far / tally->alpha);
	print_exact(tally);
	printf("  %7.3f %7.3f %7.3f  %5zu %5zu %5zu %5zu\n",
	       100 * (double)tally->states[ROW_NORMAL] / rows,
	       100 * (double)tally->states[ROW_ABNORMAL] / rows,
	       100 * (double)tally->states[ROW_SHIFTED] / rows, tally->longest_run,
	       tally->longest_episode, tally->episodes, tally->unlocks);
}

/* PASS or FAIL by the measured value; "unsettled" when the interval holds the other answer too. */
static void print_goal(const struct setting *setting, const struct tally *tally)
{
	double far = (double)tally_false_alarms(tally) / (double)tally->rows / tally->alpha;
	struct interval interval = share_interval(tally);
	double low = 1 - RATE_TOLERANCE, high = 1 + RATE_TOLERANCE;
	bool inside = far >= low && far <= high;
	bool settled =
		inside ? interval.low >= low * tally->alpha && interval.high <= high * tally->alpha
		       : interval.low > high * tally->alpha || interval.high < low * tally->alpha;

	printf("%-4s %zu columns, rho %.2f, noise %.1f, %s: ",
	       (setting->family.rho > 0.9 ? tally->longest_run <= LOCKOUT_MAX : inside) ? "PASS"
											: "FAIL",
	       setting->family.columns, setting->family.rho, setting->family.noise,
	       setting->preset->name);
	if (setting->family.rho > 0.9)
		printf("longest lock-out %zu rows, goal at most %d\n", tally->longest_run,
		       LOCKOUT_MAX);
	else
		printf("%.2f of alpha, goal %.1f to %.1f%s\n", far, low, high,
		       settled ? "" : " (unsettled: more rows are needed)");
}

static void report(const struct board *board, const struct setting *settings, size_t count)
{
	struct tally *sums = calloc(count, sizeof(*sums));

	if (!sums)
		exit(1);
	printf("  d     rho noise  preset                k    rows    FAR %% [95 %% interval]   / "
	       "alpha"
	       "  next %% fresh %%  normal%% abnorm.%% shifted%%  run   epis. number unlocks\n");
	for (size_t i = 0; i < count; i++) {
		for (size_t run = 0; run < RUNS; run++)
			tally_add(&sums[i], &board->tallies[i * RUNS + run]);
		if (sums[i].failed < 0)
			printf("%5zu %5.2f %5.1f  %-16s failed: %s\n", settings[i].family.columns,
			       settings[i].family.rho, settings[i].family.noise,
			       settings[i].preset->name, strerror(-sums[i].failed));
		else
			print_setting(&settings[i], &sums[i]);
	}
	printf("\n");
	for (size_t i = 0; i < count; i++)
		if (sums[i].failed == 0)
			print_goal(&settings[i], &sums[i]);
	free(sums);
}

static void usage(void)
{
	(void)fprintf(
		stderr,
		"far_bench [--quick] [--columns D]... [--rows N] [--jobs N]\n"
		"  --columns D  columns of the families, may be repeated; 21 by default\n"
		"  --rows N     rows per line of the table, over %d runs; by default 120000,\n"
		"               40000 beyond 100 columns, 16000 beyond 300\n",
		RUNS);
	exit(2);
}

static size_t parse_count(const char *text, size_t least, size_t most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value < least || value > most)
		usage();
	return value;
}

static double parse_share(const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (*end || end == text || !(value >= least && value <= most))
		usage();
	return value;
}

static void parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{"quick", no_argument, NULL, 'q'},
		{"columns", required_argument, NULL, 'c'},
		{"rho", required_argument, NULL, 'a'},
		{"noise", required_argument, NULL, 'n'},
		{"rows", required_argument, NULL, 'r'},
		{"jobs", required_argument, NULL, 'j'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 'q')
			options->quick = true;
		else if (option == 'c' && options->size_count < CHOICES_MAX)
			options->sizes[options->size_count++] = parse_count(optarg, 2, 10000);
		else if (option == 'a' && options->rho_count < CHOICES_MAX)
			options->rhos[options->rho_count++] = parse_share(optarg, 0, 0.9999);
		else if (option == 'n' && options->noise_count < CHOICES_MAX)
			options->noises[options->noise_count++] = parse_share(optarg, 0.01, 10);
		else if (option == 'r')
			options->rows = parse_count(optarg, RUNS * FAR_BATCH, 400000);
		else if (option == 'j')
			options->jobs = parse_count(optarg, 1, JOBS_MAX);
		else
			usage();
	}
}

/* The families of every choice that was not made. */
static void complete(struct options *options)
{
	static const double noises[] = {0.2, 0.4, 0.5}, rhos[] = {0, 0.9, 0.99};

	if (options->size_count == 0)
		options->sizes[options->size_count++] = 21;
	if (options->noise_count == 0) {
		memcpy(options->noises, noises, sizeof(noises));
		options->noise_count = 3;
	}
	if (options->rho_count == 0) {
		memcpy(options->rhos, rhos, sizeof(rhos));
		options->rho_count = 3;
	}
}

int main(int argc, char **argv)
{
	static struct setting settings[SETTINGS_MAX];
	struct options options = {.jobs = 1};
	struct board *board;
	size_t count;

	parse(argc, argv, &options);
	complete(&options);
	count = list_settings(&options, settings);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	fork_workers(board, settings, count, options.jobs);
	report(board, settings, count);
	return 0;
}
