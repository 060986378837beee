#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the model share. Letters (paper IV-C): M is t x d, Y its standardised form, C =
 * Y'Y / (t - 1) with eigenpairs lambda, v; P1 the first k of v; theta_i = sum_{j>k} lambda_j^i.
 *
 * A missing cell of Y is 0, and a column with n < t values is scaled so that C is a Gram matrix
 * with a unit diagonal. A column whose deviation is below its floor is divided by the floor: its
 * diagonal is below one, and its variance lies in the residual.
 */
#include "detect/model.h"
#include "stats/eigen.h"
#include "stats/gram.h"
#include "stats/moments.h"
#include "stats/subspace.h"
#include "stats/symmetric.h"

/* Of the trace: smaller eigenvalues are rounding. */
#define MODEL_RANK_TOLERANCE 1e-10
/* Of the square of a column's values about the shift: when its variance is below, the sums have
 * lost eight of their sixteen digits. */
#define MODEL_CANCELLATION 1e-8
/* Share of a column's gaps x squared drift of its mean, in variances: the error that its products
 * with others may have before the sums are made anew. */
#define MODEL_GAP_ERROR 0.001

enum {
	MODEL_EXTRA = 8,      /* vectors in the block beyond the k */
	MODEL_BLOCK_MAX = 64, /* vectors in the block */
	MODEL_GATHER = 64     /* rows, or columns, that are gathered at a time */
};

/* The leading eigenpairs of a matrix of `size` rows: of C, or of the centred K / (t - 1), which has
 * the same values. */
struct pairs {
	size_t size, stride;
	double *array; /* borrowed: the lower triangle holds the products, the upper is scratch */
	double *scale, *g, *h, *diagonal;
	double *scale_before, *h_before; /* BLOCK: those of the newest step; NULL else */
	bool images_hold;                /* the subspace's images are of that step */
	struct eigen *eigen;
	struct subspace *subspace; /* NULL in FULL */
	double *cube_work;
	double *kept; /* the vectors where no step is taken: k of them */
	size_t kept_places;
	bool warm;    /* a step per settle, in the subspace; else `kept` until the next solution */
	size_t block; /* vectors in the subspace */
	size_t since_solution, since_cube;
	bool has_gaps;
	double shape; /* theta3 / theta2^1.5 */
};

/* What GRAM has beside the moments. */
struct rows {
	struct gram gram;
	size_t oldest;        /* slot of the window's oldest row */
	double *factor;       /* e: y = (value - shift) e */
	double *sums;         /* K 1 */
	double *y, *products; /* the row that was scored last, and its products with all rows */
	bool products_hold;   /* ... are those of Y as it is */
	bool has_gaps;
	double *before, *after; /* MODEL_GATHER columns of Y */
	size_t *drifted;        /* columns */
	size_t since_build;
};

struct model {
	struct model_options options;
	enum model_form form; /* AUTO: nothing built yet */
	bool frozen, settled, build_due;
	size_t d, t, capacity, k, known;
	size_t slides, slides_unsettled; /* since the newest build; since it was settled */
	bool was_full;                   /* the newest slide took a row out */
	long *columns;
	double *mean, *std, *given_floor, *floor, *diagonal;
	double *lambda;
	struct thetas thetas;
	const double *vectors; /* P1': k vectors of d places; NULL in GRAM while warm */
	double *p1;            /* GRAM's vectors while not warm, and a copy's */
	size_t p1_places, lambda_places;
	double *x, *scores, *lifted, *partial; /* workspace of a score */
	size_t score_places;
	double *gathered; /* MODEL_GATHER rows; one in GRAM */
	struct moments moments;
	struct pairs pairs;
	struct rows rows;
};

/* At least `places` places, contents not kept. -ENOMEM. */
int model_reserve(double **array, size_t *places, size_t wanted);

/* model_full.c: what sliding cross-products give. */
int model_full_build(struct model *model, const struct window *window, struct error *err);
void model_full_slide(struct model *model, const struct window *window, const double *row);
int model_full_settle(struct model *model, struct error *err);
void model_gather(const struct model *model, const double *row, double *ret_values);
/* Means of the columns into moments.shift. */
void model_find_shift(struct model *model, const struct window *window);
double model_column_floor(const struct model *model, size_t column, double mean);
/* Gaps in a column that has drifted from the shift, or digits that are gone. */
bool model_sums_are_bad(const struct model *model, size_t column);

/* model_block.c: the pairs. */
int model_pairs_init(struct pairs *pairs, size_t size, double *array, bool with_block,
		     struct error *err);
void model_pairs_deinit(struct pairs *pairs);
size_t model_pairs_bytes(const struct pairs *pairs);
/* From scratch: k, lambda, thetas and the vectors. */
int model_pairs_solve(struct model *model, struct error *err);
/* One settle: a step, or nothing, or from scratch; positive where the kept vectors are others than
 * before. */
int model_pairs_follow(struct model *model, struct error *err);

/* model_components.c */
struct spectrum {
	const double *values; /* falling */
	size_t known, size;   /* of them, and of the matrix */
	double trace;
};
enum { MODEL_UNKNOWN_COMPONENTS = -1 };
/* k, or MODEL_UNKNOWN_COMPONENTS where it lies beyond the known values. */
long model_choose_components(const struct model_options *options, const struct spectrum *spectrum,
			     size_t cap, size_t previous);

/* model_gram.c */
int model_gram_init(struct model *model, struct error *err);
void model_gram_deinit(struct rows *rows);
int model_gram_build(struct model *model, const struct window *window, struct error *err);
void model_gram_slide(struct model *model, const struct window *window, const double *row);
int model_gram_settle(struct model *model, struct error *err);
void model_gram_scores(struct model *model, const double *row, size_t present);
/* P1' of `width` columns: ret[i * width + c]. */
void model_gram_lift_columns(struct model *model, const size_t *columns, size_t width, double *ret);
void model_gram_lift(const struct model *model, double *ret_vectors);

/* model_score.c */
int model_reserve_score(struct model *model);
