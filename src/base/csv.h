#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of CSV files of numbers: one header line, then rows of as many cells. An empty
 * cell, "nan" or "null" is NaN. A first column named t, time, timestamp, date or datetime holds
 * times (seconds since 1970, or RFC 3339); it is not one of the columns. Anything else is an error
 * "FILE:LINE: column 'X': ...". A file packed by xz or gzip is unpacked on the way. The whole file
 * is held in memory, column by column. One owner.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct csv {
	char *path;
	size_t columns, rows;
	char **names;       /* per column */
	double **values;    /* values[column][row] */
	int64_t *time_usec; /* per row, or NULL when there is no time column */
};

enum {
	CSV_COLUMNS_MAX = 16384,
	CSV_ROWS_MAX = 10000000,
	CSV_LINE_SIZE_MAX = 1 << 20,
	CSV_CELLS_MAX = 200000000,
};
#define CSV_FILE_SIZE_MAX (UINT64_C(4) << 30) /* unpacked */

/* Returns owned. Errors: the open's errno; -EINVAL for contents; -E2BIG for a limit; what
 * unpack_read() says; -ENOMEM. */
int csv_read(const char *path, struct csv **ret_csv, struct error *err);
struct csv *csv_free(struct csv *csv);

/* The column of that exact name, or -1. */
long csv_find(const struct csv *csv, const char *name);
