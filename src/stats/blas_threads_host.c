/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/blas_threads_internal.h"

void blas_threads_prepare(void)
{
	/* The setting is the host's. */
}
