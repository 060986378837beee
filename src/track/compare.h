#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tracking is compared with. Each function counts the values that its method would send for
 * `count` samples with maximum error `delta`; NaN and infinities are gaps, counted as one message
 * at their start and followed by a fresh start, as the observer does.
 */
#include <stddef.h>

size_t compare_send_always(const double *samples, size_t count);

/* Sends the sample itself whenever it is more than delta from the last one sent (paper III,
 * "naive"). */
size_t compare_send_on_delta(const double *samples, size_t count, double delta);

/* The offline optimum: the greedy longest segments with max - min <= 2 delta. No method that holds
 * one value at a time and answers at once can send less. */
size_t compare_offline_optimum(const double *samples, size_t count, double delta);
