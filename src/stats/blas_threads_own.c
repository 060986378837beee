/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/blas_threads_internal.h"

#include <threads.h>

#include "stats/blas_threads.h"

void blas_threads_prepare(void)
{
	static once_flag once = ONCE_FLAG_INIT;

	call_once(&once, blas_threads_use_one);
}
