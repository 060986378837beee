#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows Y of a window that is wider than long, and their products K = YY': one row, or some
 * columns, are replaced without touching the rest. Rows have fixed slots 0 .. rows - 1; K is kept
 * as its lower triangle by columns at stride `capacity`, and its upper one is free for others (the
 * diagonal apart). One owner, one thread at a time.
 */
#include <stddef.h>

struct gram {
	size_t capacity, columns, rows;
	double *y; /* row-major: slot i at y + i * columns */
	double *k;
};

/* Without rows. -ENOMEM leaves an object for gram_deinit(). */
int gram_init(struct gram *gram, size_t capacity, size_t columns);
void gram_deinit(struct gram *gram);
size_t gram_bytes(const struct gram *gram);

/* K anew from the rows that the caller has written. */
void gram_rebuild(struct gram *gram);

/* ret_products[i] = row i . y, for all rows: reads Y once. */
void gram_products(const struct gram *gram, const double *y, double *ret_products);

/* The row y, whose products with the rows and with itself the caller has, into a slot: an old one,
 * or the next new one. */
void gram_replace(struct gram *gram, size_t slot, const double *y, const double *products,
		  double square);

/* K of a Y in which `count` columns were `before` and are now `after` (vector c at + c * capacity,
 * by slot); Y itself is the caller's to write. */
void gram_exchange_columns(struct gram *gram, size_t count, const double *before,
			   const double *after);

/* ret = K 1: the products of each row with the sum of all. */
void gram_row_sums(const struct gram *gram, double *ret_sums);

/* Vectors over the columns out of vectors over the rows: ret_i = factors[i] Y'u_i, vector u_i at u
 * + i * capacity, ret_i at ret + i * columns. */
void gram_lift(const struct gram *gram, const double *u, size_t count, const double *factors,
	       double *ret);
/* The same for the columns of a block gathered by the caller (column c at block + c * capacity):
 * ret[i * width + c]. */
void gram_lift_block(const struct gram *gram, const double *u, size_t count, const double *factors,
		     const double *block, size_t width, double *ret);
