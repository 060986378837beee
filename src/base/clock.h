#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times are int64_t microseconds: `_usec` values of the wall clock since 1970-01-01 UTC, or of the
 * monotonic clock where the name says mono. Any thread.
 */
#include <stddef.h>
#include <stdint.h>

#define USEC_PER_SEC INT64_C(1000000)
#define USEC_PER_MSEC INT64_C(1000)

int64_t clock_wall_usec(void);
int64_t clock_mono_usec(void);
/* Since the machine was started; unlike the monotonic clock it counts while the machine sleeps. */
int64_t clock_boot_usec(void);

enum { CLOCK_TEXT_SIZE = 32 };

/* "2026-11-24T10:36:41.123Z" (UTC) into text of CLOCK_TEXT_SIZE bytes; returns text. */
char *clock_format(int64_t wall_usec, char *text);

/* Seconds since 1970 ("1795487205.567"), or RFC 3339 UTC ("2026-11-24T10:36:41Z", fraction
 * allowed), or "now". Returns -EINVAL for anything else. */
int clock_parse(const char *text, int64_t *ret_wall_usec);
