#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synthetic groups of metrics whose law is known: x = L f + noise e, about sqrt(columns) factors of
 * falling strength with normal loadings (a column's factor part has variance 1 on average), and f
 * and e Gaussian AR(1) series with the same coefficient rho, stationary from the first row. Every
 * row follows N(0, S), S = L L' + noise^2 I, and the next one, given this one, follows
 * N(rho x, (1 - rho^2) S).
 */
#include <stddef.h>
#include <stdint.h>

struct family {
	size_t columns;
	double noise, rho;
};

struct source {
	struct family family;
	size_t factors;
	double *loadings; /* columns x factors */
	double *state;    /* f, then e */
	double *row;      /* the newest */
	uint64_t random;
};

/* `seed` decides loadings and rows. -ENOMEM. */
int source_init(struct source *source, const struct family *family, uint64_t seed);
void source_deinit(struct source *source);

/* Moves on to the next row, in source->row. */
void source_next(struct source *source);

/* S, columns x columns. */
void source_covariance(const struct source *source, double *ret_covariance);
