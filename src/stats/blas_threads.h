#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On how many threads BLAS runs: a setting of the whole process. One is fastest at the sizes of a
 * host's VMs, and where several threads use BLAS at once, several can be many times slower, since
 * they wait for each other. Our programs run it on one by themselves; libatom leaves the setting of
 * its host program alone, which may ask for one here.
 */

/* For the whole process from now on; before threads use BLAS. Any thread; again costs nothing. */
void blas_threads_use_one(void);
