/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/gram.h"

#include <cblas.h>

void gram_columns(const double *y, size_t rows, size_t columns, double scale, double *ret_gram)
{
	cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (blasint)columns, (blasint)rows, scale,
		    y, (blasint)columns, 0, ret_gram, (blasint)columns);
}
