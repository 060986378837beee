/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/blas_threads.h"

#include <cblas.h>

void blas_threads_use_one(void)
{
	if (openblas_get_num_threads() != 1)
		openblas_set_num_threads(1);
}
