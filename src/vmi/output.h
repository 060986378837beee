#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report for people and for programs. Whatever the guest wrote is escaped. For main threads.
 *
 * People get tables under titles in upper case, "name: value" lines for what is no list, a heading
 * per table where there are several, and the notes on a stream of their own. In texts a control
 * character or a byte that is no UTF-8 is \xNN, a backslash is \\, and the text "-" is \x2d, since
 * "-" stands for unknown. Sizes have prefixes of 1024 (1.2M), durations are 1:02.30 (minutes),
 * 3h05m, 2d04h or, below 10 ms, 4.2ms; times are UTC.
 *
 * Programs get one JSON object: per table its name with an array of objects or, for what is no
 * list, one object or null; "<name>_cut": true where rows are missing; and "notes". Keys are in the
 * order of the columns, one row a line. Unknown is null. Counts, sizes and durations (nanoseconds)
 * are integers, those above INT64_MAX decimal strings; addresses are strings "0x...", times RFC
 * 3339 in UTC. Text that is no valid UTF-8 has U+FFFD for its odd bytes and a member "<column>_hex"
 * of all of them beside it.
 *
 * Times past the year 9999 are damage and count as unknown.
 */
#include <stdio.h>

#include "wire/report.h"

/* Both: 0, -ENOMEM, or -EIO when the stream cannot be written. */
int output_table(const struct report *report, FILE *stream, FILE *notes);
int output_json(const struct report *report, FILE *stream);
