/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters (paper IV-C4): W is the t x d matrix of tracking errors in standard units, of variance
 * sigma^2; C and C^ the correlation matrices without and with W; lambda the eigenvalues, of which
 * the last n = d - k are residual; theta_i = sum_{j>k} lambda_j^i; c the normal quantile of
 * 1 - alpha.
 *
 * C^ - C = (Y'W + W'Y) / t + W'W / t, so in the mean, by Mirsky's inequality,
 * rms(lambda^ - lambda) <= ||C^ - C||_F / sqrt(d) <= 2 b sigma + a sigma^2 = epsilon,
 * with b = sqrt(mean(lambda) d / t) and a = sqrt((1/t + 1/d) d).
 */
#include "detect/budget.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "stats/quantile.h"

#define DEGREES_MAX 1e9 /* as the quantile has it */

enum { BISECTIONS = 60 };

/* A spectrum of few points: eigenvalues and how many there are of each. */
struct atoms {
	const double *lambda;
	const double *weight; /* NULL: 1 each */
	size_t count;
};

static double residual_count(const struct budget_spectrum *spectrum)
{
	return (double)(spectrum->columns - spectrum->components);
}

/* epsilon <-> sigma */

static void error_coefficients(const struct budget_spectrum *spectrum, double *ret_a, double *ret_b)
{
	double d = (double)spectrum->columns, t = (double)spectrum->rows;

	*ret_a = sqrt((1 / t + 1 / d) * d);
	*ret_b = sqrt(spectrum->lambda_mean * d / t);
}

double budget_epsilon(const struct budget_spectrum *spectrum, double variance)
{
	double a, b;

	error_coefficients(spectrum, &a, &b);
	return 2 * b * sqrt(variance) + a * variance;
}

/* The positive root, in the form that does not cancel. */
double budget_variance(const struct budget_spectrum *spectrum, double epsilon)
{
	double a, b, sigma;

	if (!(epsilon > 0))
		return 0;
	error_coefficients(spectrum, &a, &b);
	sigma = epsilon / (b + sqrt(b * b + a * epsilon));
	return sigma * sigma;
}

/* Direct: the rate with noise in the rows alone */

static struct thetas raised(const struct thetas *thetas, double n, double s)
{
	return (struct thetas){
		.theta1 = thetas->theta1 + n * s,
		.theta2 = thetas->theta2 + 2 * s * thetas->theta1 + n * s * s,
		.theta3 = thetas->theta3 + 3 * s * thetas->theta2 + 3 * s * s * thetas->theta1 +
			  n * s * s * s,
	};
}

/* P(SPE > q) for residual eigenvalues with these thetas. */
static double upper_tail(const struct thetas *thetas, double q)
{
	double ratio = thetas->theta2 / thetas->theta3;
	double v = fmin(fmax(thetas->theta2 * ratio * ratio, 1), DEGREES_MAX);

	return chi2_upper_tail(fmax(v + (q - thetas->theta1) * ratio, 0), v);
}

double budget_false_alarm_rate(const struct budget_spectrum *spectrum, double alpha,
			       double variance)
{
	struct thetas noisy = raised(&spectrum->thetas, residual_count(spectrum), variance);

	return upper_tail(&noisy, threshold_hbe(&spectrum->thetas, alpha));
}

/* What is asked of a candidate: the direct method's variance, or the paper's epsilon. */
struct question {
	const struct budget_spectrum *spectrum;
	struct atoms atoms;
	double q, limit; /* of SPE; of the rate, or of the change of X */
	double x;        /* X of the spectrum as it is */
};

typedef bool question_fits(const struct question *question, double candidate);

/* The largest candidate up to `most` that fits, where all smaller ones do. */
static double largest(question_fits *fits, const struct question *question, double most)
{
	double low = 0, high = most;

	if (fits(question, most))
		return most;
	for (int i = 0; i < BISECTIONS; i++) {
		double middle = 0.5 * (low + high);

		if (fits(question, middle))
			low = middle;
		else
			high = middle;
	}
	return low;
}

static bool keeps_rate(const struct question *question, double variance)
{
	struct thetas noisy =
		raised(&question->spectrum->thetas, residual_count(question->spectrum), variance);

	return upper_tail(&noisy, question->q) <= question->limit;
}

static double solve_direct(const struct budget_options *options,
			   const struct budget_spectrum *spectrum)
{
	struct question question = {
		.spectrum = spectrum,
		.q = threshold_hbe(&spectrum->thetas, options->alpha),
		.limit = options->alpha + options->mu,
	};

	return largest(keeps_rate, &question, BUDGET_DELTA_MAX * BUDGET_DELTA_MAX / 3);
}

/* The paper's: how far the normal variable of the threshold moves when the eigenvalues do */

/* Jackson and Mudholkar's X, nearly standard normal, of a row whose SPE is q. */
static double normal_score(const struct thetas *thetas, double q)
{
	double theta1 = thetas->theta1, theta2 = thetas->theta2;
	double h0 = 1 - 2 * theta1 * thetas->theta3 / (3 * theta2 * theta2);
	double log_ratio = log(q / theta1);
	double power = fabs(h0) < 1e-9 ? log_ratio : expm1(h0 * log_ratio) / h0;

	return theta1 / sqrt(2 * theta2) * (power - theta2 * (h0 - 1) / (theta1 * theta1));
}

static struct thetas lowered(const struct atoms *atoms, double epsilon)
{
	struct thetas thetas = {0};

	for (size_t i = 0; i < atoms->count; i++) {
		double lambda = fmax(atoms->lambda[i] - epsilon, 0);
		double weight = atoms->weight ? atoms->weight[i] : 1;

		thetas.theta1 += weight * lambda;
		thetas.theta2 += weight * lambda * lambda;
		thetas.theta3 += weight * lambda * lambda * lambda;
	}
	return thetas;
}

/* X falls with every eigenvalue, so its change is largest where all are off the same way. */
static bool keeps_score(const struct question *question, double epsilon)
{
	struct thetas high =
		raised(&question->spectrum->thetas, residual_count(question->spectrum), epsilon);
	struct thetas low = lowered(&question->atoms, epsilon);

	return low.theta3 > 0 &&
	       fabs(normal_score(&high, question->q) - question->x) <= question->limit &&
	       fabs(normal_score(&low, question->q) - question->x) <= question->limit;
}

/* Two eigenvalues and their numbers with the same n, theta1, theta2 and theta3: the nodes and
 * weights of Gauss's quadrature. Returns how many there are: one when all are equal. */
static size_t two_atoms(const struct thetas *thetas, double n, double *lambda, double *weight)
{
	double mean = thetas->theta1 / n;
	double spread = thetas->theta2 - mean * thetas->theta1, sum, product, root;

	lambda[0] = mean;
	weight[0] = n;
	if (!(spread > 1e-12 * thetas->theta2))
		return 1;
	sum = (thetas->theta3 - mean * thetas->theta2) / spread;
	product = sum * mean - thetas->theta2 / n;
	root = sqrt(fmax(sum * sum - 4 * product, 0));
	lambda[0] = 0.5 * (sum + root);
	lambda[1] = fmax(0.5 * (sum - root), 0);
	if (!(lambda[0] > lambda[1]))
		return 1;
	weight[0] = (thetas->theta1 - n * lambda[1]) / (lambda[0] - lambda[1]);
	weight[1] = n - weight[0];
	return 2;
}

static double solve_paper(const struct budget_options *options,
			  const struct budget_spectrum *spectrum)
{
	double n = residual_count(spectrum), lambda[2], weight[2], epsilon;
	struct question question = {
		.spectrum = spectrum,
		.atoms = {spectrum->residual, NULL, spectrum->columns - spectrum->components},
		.q = threshold_jackson_mudholkar(&spectrum->thetas, options->alpha),
		.limit = normal_quantile(1 - options->alpha) -
			 normal_quantile(1 - options->alpha - options->mu),
	};

	question.x = normal_score(&spectrum->thetas, question.q);
	if (!spectrum->residual)
		question.atoms = (struct atoms){lambda, weight,
						two_atoms(&spectrum->thetas, n, lambda, weight)};
	epsilon = largest(keeps_score, &question, spectrum->lambda_mean);
	return fmin(budget_variance(spectrum, epsilon), BUDGET_DELTA_MAX * BUDGET_DELTA_MAX / 3);
}

double budget_power_loss(const struct budget_spectrum *spectrum, double mean_variance)
{
	if (!(spectrum->thetas.theta1 > 0))
		return 0;
	return residual_count(spectrum) * mean_variance / spectrum->thetas.theta1;
}

void budget_solve(const struct budget_options *options, const struct budget_spectrum *spectrum,
		  struct budget *ret_budget)
{
	double variance = 0, per_variance = budget_power_loss(spectrum, 1);

	assert(options->mu > 0 && options->alpha > 0 && options->alpha + options->mu < 1 &&
	       options->power_loss_max > 0 && spectrum->components < spectrum->columns);
	if (spectrum->thetas.theta3 > 0)
		variance = options->method == BUDGET_DIRECT ? solve_direct(options, spectrum)
							    : solve_paper(options, spectrum);
	if (per_variance > 0)
		variance = fmin(variance, options->power_loss_max / per_variance);
	*ret_budget = (struct budget){
		.variance = variance,
		.delta = sqrt(3 * variance),
		.epsilon = budget_epsilon(spectrum, variance),
		.power_loss = budget_power_loss(spectrum, variance),
	};
}
