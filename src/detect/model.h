#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCA model of a window (paper IV-C1): mean and standard deviation of each column with floors,
 * the correlation matrix's eigenpairs, the number k of principal components by cumulative percent
 * variance, and the sums theta of the residual eigenvalues. A model covers some of the window's
 * columns; `columns[i]` is the window column of model column i. One owner.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "detect/threshold.h"

struct window;
struct model;

enum { MODEL_NO_COLUMN = -1 };

/* Returns owned, or NULL when memory is out. Empty until built. */
struct model *model_new(void);
struct model *model_free(struct model *model);

/* Builds the model of the window's rows for the columns with use[column] (at least one), floors by
 * window column. At least two rows. Allocates only when there are more columns or rows than ever
 * before. */
int model_build(struct model *model, const struct window *window, const bool *use,
		const double *floors, double cpv, struct error *err);

/* Makes `copy` the same model. -ENOMEM leaves it as it was. */
int model_copy(struct model *copy, const struct model *model);

/* A window column has been taken out: model columns follow, that of the column itself becomes
 * MODEL_NO_COLUMN. */
void model_forget_column(struct model *model, size_t window_column);

size_t model_columns(const struct model *model);
/* The window column of model column i, or MODEL_NO_COLUMN. */
long model_window_column(const struct model *model, size_t column);
size_t model_components(const struct model *model);
const struct thetas *model_thetas(const struct model *model);
double model_mean(const struct model *model, size_t column);
double model_std(const struct model *model, size_t column); /* never below the floor */
double model_floor(const struct model *model, size_t column);
const double *model_eigenvalues(const struct model *model);
/* The energy of columns that stand still (each as if off by its floor): no limit of SPE can be
 * lower. */
double model_floor_energy(const struct model *model);

/* Standardises a row of the window's layout into ret_x (model columns; missing values are 0) and
 * returns how many values it had. */
size_t model_standardise(const struct model *model, const double *row, double *ret_x);

/* ret_residual = (I - P1 P1') x; returns its squared length, the SPE. */
double model_residual(const struct model *model, const double *x, double *ret_residual);

/* y_j of paper IV-C3: the mean squared residual of a column over the window's own rows. */
double model_residual_variance(const struct model *model, size_t column);
