/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, which tell what changes of the maximum errors, and the message that asks for it. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "wire/wire_internal.h"

int wire_check_changes(const struct wire_delta *items, size_t count, int code, struct error *err)
{
	int r = 0;

	if (count > WIRE_SERIES_MAX)
		return error_set(err, code, "more than %d maximum errors", WIRE_SERIES_MAX);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (items[i].series >= WIRE_SERIES_MAX ||
		    (i > 0 && items[i].series <= items[i - 1].series))
			return error_set(err, code, "maximum errors are not in the series' order");
		r = wire_check_delta(items[i].delta, code, err);
	}
	return r;
}

int wire_check_deltas(const struct wire_deltas *deltas, int code, struct error *err)
{
	if (deltas->version == 0)
		return error_set(err, code, "maximum errors without a version");
	return wire_check_changes(deltas->items, deltas->count, code, err);
}

/* The two lists of a message, owned. */
static int split(const struct wire_delta *items, size_t count, uint32_t **ret_series,
		 double **ret_deltas)
{
	cleanup(free) uint32_t *series = calloc(count + 1, sizeof(*series));
	cleanup(free) double *deltas = calloc(count + 1, sizeof(*deltas));

	if (!series || !deltas)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		series[i] = items[i].series;
		deltas[i] = items[i].delta;
	}
	*ret_series = keep(series);
	*ret_deltas = keep(deltas);
	return 0;
}

static int join(const uint32_t *series, size_t series_count, const double *deltas,
		size_t delta_count, struct wire_delta **ret_items, struct error *err)
{
	struct wire_delta *items;

	if (series_count != delta_count || series_count > WIRE_SERIES_MAX)
		return error_set(err, -EBADMSG, "%zu maximum errors for %zu series", delta_count,
				 series_count);
	if (series_count == 0)
		return 0;
	items = calloc(series_count, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < series_count; i++)
		items[i] = (struct wire_delta){series[i], deltas[i]};
	*ret_items = items;
	return 0;
}

int wire_encode_deltas(const struct wire_deltas *deltas, uint8_t **ret_data, size_t *ret_size,
		       struct error *err)
{
	cleanup(free) uint32_t *series = NULL;
	cleanup(free) double *values = NULL;
	Atom__Deltas out = ATOM__DELTAS__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	if (split(deltas->items, deltas->count, &series, &values) < 0)
		return -ENOMEM;
	out.epoch = deltas->epoch;
	out.version = deltas->version;
	out.n_series = out.n_deltas = deltas->count;
	out.series = series;
	out.deltas = values;
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_DELTAS;
	envelope.deltas = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

int wire_decode_deltas(const Atom__Deltas *in, struct wire_deltas *deltas, struct error *err)
{
	*deltas = (struct wire_deltas){
		.epoch = in->epoch, .version = in->version, .count = in->n_series};
	return join(in->series, in->n_series, in->deltas, in->n_deltas, &deltas->items, err);
}

int wire_encode_frame(const struct wire_frame *frame, uint8_t **ret_data, size_t *ret_size,
		      struct error *err)
{
	cleanup(free) uint32_t *series = NULL;
	cleanup(free) double *values = NULL;
	Atom__Frame out = ATOM__FRAME__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	if (split(frame->deltas, frame->delta_count, &series, &values) < 0)
		return -ENOMEM;
	out.epoch = frame->epoch;
	out.sequence = frame->sequence;
	out.watermark_usec = frame->watermark_usec;
	out.payload.data = frame->payload;
	out.payload.len = frame->payload_size;
	out.delta_version = frame->delta_version;
	out.n_delta_series = out.n_deltas = frame->delta_count;
	out.delta_series = series;
	out.deltas = values;
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_FRAME;
	envelope.frame = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

int wire_decode_frame(Atom__Frame *in, struct wire_frame *frame, struct error *err)
{
	*frame = (struct wire_frame){
		.epoch = in->epoch,
		.sequence = in->sequence,
		.watermark_usec = in->watermark_usec,
		.payload = in->payload.data,
		.payload_size = in->payload.len,
		.delta_version = in->delta_version,
		.delta_count = in->n_delta_series,
	};
	in->payload.data = NULL;
	in->payload.len = 0;
	return join(in->delta_series, in->n_delta_series, in->deltas, in->n_deltas, &frame->deltas,
		    err);
}
