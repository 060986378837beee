#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The setting of blas_threads.h is a matter of whom the process belongs to; which of two files is
 * linked says that. blas_threads_own.c: to us, as all our programs and tests. blas_threads_host.c:
 * to a program that embeds libatom.
 */

/* Before BLAS is used. Any thread; again costs nothing. */
void blas_threads_prepare(void);
