/* SPDX-License-Identifier: Apache-2.0 */
/* The messages about looking inside a VM. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "wire/wire_internal.h"

static int check_view(const char *view, int code, struct error *err)
{
	size_t length = strspn(view, "abcdefghijklmnopqrstuvwxyz");

	if (length == 0 || view[length] || length > WIRE_NAME_MAX)
		return error_set(err, code, "a view's name is no lower-case word");
	return 0;
}

static int check_abnormal(const struct wire_abnormal *abnormal, int code, struct error *err)
{
	if ((unsigned)abnormal->metric >= METRIC_COUNT || isnan(abnormal->stddev) ||
	    isnan(abnormal->change))
		return error_set(err, code, "an abnormal metric is unknown or not a number");
	return 0;
}

int wire_check_introspect(const struct wire_introspect *introspect, int code, struct error *err)
{
	int r = 0;

	if (introspect->view_count == 0 || introspect->view_count > WIRE_VIEWS_MAX ||
	    introspect->metric_count > WIRE_ABNORMAL_MAX)
		return error_set(err, code, "a request for %zu views because of %zu metrics",
				 introspect->view_count, introspect->metric_count);
	if (introspect->interval_usec < 0 || introspect->interval_usec > WIRE_INTERVAL_USEC_MAX ||
	    introspect->budget_usec <= 0 || introspect->budget_usec > WIRE_BUDGET_USEC_MAX)
		return error_set(err, code, "a request's times are out of range");
	for (size_t i = 0; r == 0 && i < introspect->view_count; i++)
		r = check_view(introspect->views[i], code, err);
	for (size_t i = 0; r == 0 && i < introspect->metric_count; i++)
		r = check_abnormal(&introspect->metrics[i], code, err);
	return r;
}

int wire_encode_introspect(const struct wire_introspect *introspect, uint8_t **ret_data,
			   size_t *ret_size, struct error *err)
{
	Atom__AbnormalMetric metrics[WIRE_ABNORMAL_MAX], *pointers[WIRE_ABNORMAL_MAX];
	Atom__Introspect out = ATOM__INTROSPECT__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	for (size_t i = 0; i < introspect->metric_count; i++) {
		atom__abnormal_metric__init(&metrics[i]);
		metrics[i].metric = introspect->metrics[i].metric;
		metrics[i].stddev = introspect->metrics[i].stddev;
		metrics[i].change = introspect->metrics[i].change;
		pointers[i] = &metrics[i];
	}
	out.request = introspect->request;
	out.alarm = introspect->alarm;
	out.vm.data = (uint8_t *)introspect->vm.bytes; /* only read */
	out.vm.len = sizeof(introspect->vm.bytes);
	out.n_views = introspect->view_count;
	out.views = (char **)introspect->views;
	out.interval_usec = introspect->interval_usec;
	out.budget_usec = introspect->budget_usec;
	out.n_metrics = introspect->metric_count;
	out.metrics = pointers;
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_INTROSPECT;
	envelope.introspect = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

int wire_decode_introspect(Atom__Introspect *in, struct wire_introspect *introspect,
			   struct error *err)
{
	*introspect = (struct wire_introspect){.request = in->request,
					       .alarm = in->alarm,
					       .interval_usec = in->interval_usec,
					       .budget_usec = in->budget_usec};
	if (in->vm.len != sizeof(introspect->vm.bytes))
		return error_set(err, -EBADMSG, "a VM's UUID has %zu bytes", in->vm.len);
	if (in->n_views > WIRE_VIEWS_MAX || in->n_metrics > WIRE_ABNORMAL_MAX)
		return error_set(err, -EBADMSG, "a request for %zu views because of %zu metrics",
				 in->n_views, in->n_metrics);
	memcpy(introspect->vm.bytes, in->vm.data, sizeof(introspect->vm.bytes));
	for (size_t i = 0; i < in->n_views; i++) {
		introspect->views[i] = wire_take_text(&in->views[i]);
		if (!introspect->views[i])
			return -ENOMEM;
		introspect->view_count++;
	}
	for (size_t i = 0; i < in->n_metrics; i++)
		introspect->metrics[i] =
			(struct wire_abnormal){(enum metric)in->metrics[i]->metric,
					       in->metrics[i]->stddev, in->metrics[i]->change};
	introspect->metric_count = in->n_metrics;
	return 0;
}

int wire_check_findings(const struct wire_findings *findings, int code, struct error *err)
{
	if ((unsigned)findings->status > WIRE_FINDINGS_FAILED)
		return error_set(err, code, "findings of unknown status %d", (int)findings->status);
	return wire_check_text(findings->reason, "reason", code, err);
}

int wire_encode_findings(const struct wire_findings *findings, uint8_t **ret_data, size_t *ret_size,
			 struct error *err)
{
	Atom__Findings out = ATOM__FINDINGS__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	out.request = findings->request;
	out.status = findings->status;
	out.reason = findings->reason;
	out.report.data = findings->report;
	out.report.len = findings->report_size;
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_FINDINGS;
	envelope.findings = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

int wire_decode_findings(Atom__Findings *in, struct wire_findings *findings, struct error *err)
{
	(void)err; /* what is wrong with it, its check says */
	*findings = (struct wire_findings){
		.request = in->request,
		.status = (enum wire_findings_status)in->status,
		.reason = wire_take_text(&in->reason),
		.report = in->report.data,
		.report_size = in->report.len,
	};
	in->report.data = NULL;
	in->report.len = 0;
	return findings->reason ? 0 : -ENOMEM;
}
