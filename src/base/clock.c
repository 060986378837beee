/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now); /* cannot fail for these clocks */
	return (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000;
}

int64_t clock_wall_usec(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_mono_usec(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_boot_usec(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

char *clock_format(int64_t wall_usec, char *text)
{
	int64_t fraction = ((wall_usec % USEC_PER_SEC) + USEC_PER_SEC) % USEC_PER_SEC;
	time_t seconds = (time_t)((wall_usec - fraction) / USEC_PER_SEC);
	char head[CLOCK_TEXT_SIZE - 8];
	struct tm parts;

	if (!gmtime_r(&seconds, &parts) ||
	    !strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &parts))
		head[0] = '\0';
	(void)snprintf(text, CLOCK_TEXT_SIZE, "%s.%03dZ", head, (int)(fraction / USEC_PER_MSEC));
	return text;
}

static int parse_epoch(const char *text, int64_t *ret_wall_usec)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !isfinite(seconds) || fabs(seconds) > 253402300799.0)
		return -EINVAL;
	*ret_wall_usec = (int64_t)llround(seconds * (double)USEC_PER_SEC);
	return 0;
}

int clock_parse(const char *text, int64_t *ret_wall_usec)
{
	struct tm parts = {0};
	double fraction = 0;
	char *end;

	if (strcmp(text, "now") == 0) {
		*ret_wall_usec = clock_wall_usec();
		return 0;
	}
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
	if (!end)
		return parse_epoch(text, ret_wall_usec);
	if (*end == '.' && isdigit((unsigned char)end[1]))
		fraction = strtod(end, &end);
	if (*end != 'Z' || end[1] || fraction >= 1)
		return -EINVAL;
	*ret_wall_usec = (int64_t)timegm(&parts) * USEC_PER_SEC +
			 (int64_t)llround(fraction * (double)USEC_PER_SEC);
	return 0;
}
