/* SPDX-License-Identifier: Apache-2.0 */
/*
 * K(s) = log E e^(sQ) = sum_i [ -log(1 - 2 w_i s) / 2 + m_i^2 w_i s / (1 - 2 w_i s) ].
 * P(Q > x) = 1 / (2 pi i) * integral of e^phi(s) ds, phi(s) = K(s) - x s - log s, over a path from
 * below to above that crosses the real line between 0 and the branch point 1 / (2 w_max); crossing
 * it left of 0 instead gives P(Q > x) - 1 (the residue at 0). On either side phi of the real line
 * is convex (left: with log(-s)); the path crosses at its minimum s0 and bends to the right, where
 * e^(-x s) decays, along a hyperbola: s0 + bend y^2 + i y at first, never flatter than 45 degrees,
 * within which |e^phi| falls for any weights (-log |1 - 2 z - 2 i z| / 2 - z < 0 for every z > 0).
 * The trapezoidal rule in y then converges geometrically. Weights are scaled so that w_max = 1.
 */
#include "stats/imhof.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#define NEGLIGIBLE_LOG 42.0 /* e^-42 of the integrand's peak is left out */
#define AGREEMENT 1e-8      /* of two step lengths: halving the step squares the error */
#define EXPONENT_MIN 760.0  /* e^-760 is zero */

enum { SADDLE_STEPS = 200 };

struct saddle {
	const struct quadratic_form *form;
	double scale; /* 1 / w_max */
	double x;     /* of the scaled form */
	double s0, phi0, width, bend;
};

struct derivatives {
	double first, second, third;
};

static double square_shift(const struct quadratic_form *form, size_t i)
{
	return form->shifts ? form->shifts[i] * form->shifts[i] : 0;
}

/* K', K'', K''' at a real s. */
static struct derivatives cumulant_derivatives(const struct saddle *at, double s)
{
	struct derivatives sum = {0};

	for (size_t i = 0; i < at->form->count; i++) {
		double w = at->form->weights[i] * at->scale, m2 = square_shift(at->form, i);
		double r = w / (1 - 2 * w * s), n = m2 / (1 - 2 * w * s);

		sum.first += r * (1 + n);
		sum.second += 2 * r * r * (1 + 2 * n);
		sum.third += 8 * r * r * r * (1 + 3 * n);
	}
	return sum;
}

/* s0 by bisection: it need not be exact, any crossing gives the same integral. */
static double find_crossing(const struct saddle *at, bool right, double mean)
{
	double low = right ? 0 : -(0.5 * (double)at->form->count + 1 + mean) / at->x;
	double high = right ? 0.5 : 0;

	for (int i = 0; i < SADDLE_STEPS; i++) {
		double s = 0.5 * (low + high);

		if (s == low || s == high || high - low < 1e-6 * fmin(fabs(s), fabs(0.5 - s)))
			break;
		if (cumulant_derivatives(at, s).first - at->x - 1 / s < 0)
			low = s;
		else
			high = s;
	}
	return 0.5 * (low + high);
}

/* phi(s) - phi0 at s = re + i im, im > 0: real part and imaginary part. */
static void exponent(const struct saddle *at, double re, double im, double *ret_real,
		     double *ret_imaginary)
{
	double real = -at->x * re - 0.5 * log(re * re + im * im) - at->phi0;
	double imaginary = -at->x * im - atan2(im, re);

	for (size_t i = 0; i < at->form->count; i++) {
		double w = at->form->weights[i] * at->scale, m2 = square_shift(at->form, i);
		double a = 1 - 2 * w * re, b = -2 * w * im, norm = a * a + b * b;

		real -= 0.25 * log(norm);
		imaginary -= 0.5 * atan2(b, a);
		if (m2 > 0) {
			/* w s / (1 - 2 w s) = (1 / (1 - 2 w s) - 1) / 2 */
			real += 0.5 * m2 * (a / norm - 1);
			imaginary -= 0.5 * m2 * b / norm;
		}
	}
	*ret_real = real;
	*ret_imaginary = imaginary;
}

static void place_path(struct saddle *at, bool right, double mean)
{
	struct derivatives k;
	double second, third, imaginary;

	at->s0 = find_crossing(at, right, mean);
	k = cumulant_derivatives(at, at->s0);
	second = k.second + 1 / (at->s0 * at->s0);
	third = k.third - 2 / (at->s0 * at->s0 * at->s0);
	at->width = 1 / sqrt(second);
	/* steepest descent to third order, but never to the left */
	at->bend = fmax(third / (6 * second), 0.05 / at->width);
	at->phi0 = 0;
	exponent(at, at->s0, 0, &at->phi0, &imaginary);
}

/* s(y) = re + i y and the slope d re / d y. */
static double path_real(const struct saddle *at, double y, double *ret_slope)
{
	double u = 2 * at->bend * y, root = sqrt(1 + u * u);

	*ret_slope = u / root;
	return at->s0 + u * y / (1 + root);
}

/* The sum of Im(e^(phi - phi0) s'(y)) over y = first, first + step, ... until it is negligible. */
static double sum_path(const struct saddle *at, double first, double step, size_t *points)
{
	double sum = 0;

	for (size_t i = 0; *points < IMHOF_POINTS_MAX; i++, ++*points) {
		double y = first + (double)i * step, slope, real, imaginary;

		exponent(at, path_real(at, y, &slope), y, &real, &imaginary);
		if (real < -NEGLIGIBLE_LOG)
			break;
		/* s' = slope + i */
		sum += exp(real) * (slope * sin(imaginary) + cos(imaginary));
	}
	return sum;
}

/* The integral over the path, divided by e^phi0: step lengths are halved until two agree. */
static double integrate_path(const struct saddle *at, double sign)
{
	double step = 0.5 * at->width, sum, value;
	size_t points = 0;

	/* at y = 0 the integrand is e^phi0 with the sign of s0 */
	sum = 0.5 * sign + sum_path(at, step, step, &points);
	value = sum * step;
	for (;;) {
		double before = value;

		sum += sum_path(at, 0.5 * step, step, &points);
		step *= 0.5;
		value = sum * step;
		if (fabs(value - before) <= AGREEMENT * fabs(value) || points >= IMHOF_POINTS_MAX)
			return value / M_PI;
	}
}

double imhof_upper_tail(const struct quadratic_form *form, double x)
{
	struct saddle at = {.form = form};
	double largest = 0, mean = 0, shifts = 0, tail;
	bool right;

	for (size_t i = 0; i < form->count; i++) {
		assert(form->weights[i] >= 0);
		largest = fmax(largest, form->weights[i]);
		shifts += square_shift(form, i);
	}
	if (!(x > 0) || largest == 0)
		return x < 0 || (x == 0 && largest > 0) ? 1 : 0;
	at.scale = 1 / largest;
	at.x = x / largest;
	mean = cumulant_derivatives(&at, 0).first;
	/* by Markov's inequality for e^(Q/4), and by the density of one chi2_1 near 0 */
	if (0.25 * at.x - 0.5 * mean > EXPONENT_MIN)
		return 0;
	if (at.x < 1e-34)
		return 1;
	right = at.x > mean;
	place_path(&at, right, shifts);
	tail = exp(at.phi0) * integrate_path(&at, right ? 1 : -1);
	return fmin(fmax(right ? tail : 1 + tail, 0), 1);
}
