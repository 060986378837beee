/* SPDX-License-Identifier: Apache-2.0 */
#include "suspect/suspect_usage.h"

#include <errno.h>
#include <math.h>

#include "suspect/suspect_internal.h"

enum { COMING_AND_GOING_LEAST = 50 /* connections, of nobody or opened between the samples */ };

static bool is_whole(const struct facts *facts, enum table table)
{
	return facts->tables[table] >= 0 &&
	       !report_table_is_cut(facts->report, (size_t)facts->tables[table]);
}

static bool is_cut(const struct facts *facts, enum table table)
{
	return facts->tables[table] >= 0 && !is_whole(facts, table);
}

static bool knows(const struct facts *facts, enum field field)
{
	return facts->columns[TABLE_TOP][field] >= 0;
}

static bool comes_and_goes(const struct facts *facts)
{
	double count = facts->opened;

	for (size_t i = 0; i < facts->target_count; i++)
		count += facts->targets[i].unheld;
	return count >= COMING_AND_GOING_LEAST;
}

static void add_up(const struct facts *facts, struct suspect_usage *ret_usage)
{
	bool has_traffic = knows(facts, FIELD_RECEIVED_PER_SEC) &&
			   knows(facts, FIELD_SENT_PER_SEC) && !is_cut(facts, TABLE_PEERS) &&
			   !comes_and_goes(facts);

	*ret_usage = (struct suspect_usage){
		.cpu_percent = knows(facts, FIELD_CPU_PERCENT) ? facts->cpu : NAN,
		.received_per_sec = has_traffic ? facts->received_rate : NAN,
		.sent_per_sec = has_traffic ? facts->sent_rate : NAN,
		.read_per_sec = knows(facts, FIELD_READ_PER_SEC) ? facts->read_rate : NAN,
		.written_per_sec = knows(facts, FIELD_WRITE_PER_SEC) ? facts->write_rate : NAN,
	};
}

int suspect_usage_read(const struct report *report, struct suspect_usage *ret_usage)
{
	const struct suspect_context context = {NULL, 0, 0, 0, 0};
	struct facts facts;
	int r = suspect_facts_read(report, &context, &facts);

	if (r < 0)
		return r;
	if (is_whole(&facts, TABLE_TOP))
		add_up(&facts, ret_usage);
	else
		r = -ENODATA;
	suspect_facts_deinit(&facts);
	return r;
}
