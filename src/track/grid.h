#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grid on which sent values lie: multiples of 2^exponent, with 2^exponent <= delta / 4, so that
 * differences of sent values are small integers. Observer, codec and tracker derive it from delta
 * alone (facts: a value anywhere in the valid set serves, so the set's centre may move to the
 * nearest grid point).
 */
#include <stdbool.h>

/* Returns false when delta is so small (or zero) that there is no grid: then values are sent
 * exactly. */
bool track_grid_exponent(double delta, int *ret_exponent);
