/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recorded trace: CSV with columns "VM.Metric" and a first column of times. Each collect gives
 * the next row. A VM whose cells are all empty in a row does not run then; an empty cell of a
 * running VM is an absent reading.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/csv.h"
#include "hypervisor/backend.h"

enum { NO_COLUMN = -1 };

struct trace_vm {
	struct vm_uuid uuid;
	char name[HYPERVISOR_NAME_SIZE];
	long columns[METRIC_COUNT];
	uint64_t run_id;
	bool running;
};

struct trace {
	struct hypervisor common;
	struct csv *csv;
	struct trace_vm *vms;
	struct vm_reading *readings;
	size_t count, row;
	double speed;
	int64_t shift_usec;
	uv_idle_t idle;
};

DEFINE_CLEANUP(struct csv *, csv_free)

static struct trace_vm *find_vm(struct trace *trace, const char *name)
{
	for (size_t i = 0; i < trace->count; i++)
		if (strcmp(trace->vms[i].name, name) == 0)
			return &trace->vms[i];
	return NULL;
}

static struct trace_vm *add_vm(struct trace *trace, const char *name)
{
	struct trace_vm *vms = reallocarray(trace->vms, trace->count + 1, sizeof(*vms));
	struct trace_vm *vm;

	if (!vms)
		return NULL;
	trace->vms = vms;
	vm = &vms[trace->count++];
	*vm = (struct trace_vm){.uuid = vm_uuid_from_name(name)};
	(void)snprintf(vm->name, sizeof(vm->name), "%s", name);
	for (size_t i = 0; i < METRIC_COUNT; i++)
		vm->columns[i] = NO_COLUMN;
	return vm;
}

/* "vm1.CPUUtilization"; a column of another form (a label, say) is not a series. */
static int take_column(struct trace *trace, size_t column, struct error *err)
{
	const char *title = trace->csv->names[column], *dot = strrchr(title, '.');
	char name[HYPERVISOR_NAME_SIZE];
	struct trace_vm *vm;
	enum metric metric;

	if (!dot || dot == title || (size_t)(dot - title) >= sizeof(name) ||
	    metric_parse(dot + 1, &metric) < 0)
		return 0;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(dot - title), title);
	vm = find_vm(trace, name);
	if (!vm && trace->count == HYPERVISOR_VMS_MAX)
		return error_set(err, -E2BIG, "%s: more than %d VMs", trace->csv->path,
				 HYPERVISOR_VMS_MAX);
	if (!vm)
		vm = add_vm(trace, name);
	if (!vm)
		return error_set(err, -ENOMEM, "out of memory");
	vm->columns[metric] = (long)column;
	return 0;
}

static int compare_vms(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct vm_uuid));
}

static double cell(const struct trace *trace, long column)
{
	return column == NO_COLUMN ? NAN : trace->csv->values[column][trace->row];
}

/* Fills the reading of a VM; false when it does not run in this row. */
static bool read_vm(struct trace *trace, struct trace_vm *vm, struct vm_reading *reading)
{
	bool running = false;

	*reading = (struct vm_reading){.uuid = vm->uuid, .vcpus = 1};
	memcpy(reading->name, vm->name, sizeof(reading->name));
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		double value = cell(trace, vm->columns[i]);

		if (isnan(value))
			continue;
		running = true;
		reading->readings[i] = (struct reading){
			.kind = READING_VALUE,
			.value = value,
			.time_usec = trace->csv->time_usec[trace->row],
		};
	}
	if (running && !vm->running)
		vm->run_id++;
	vm->running = running;
	reading->run_id = vm->run_id;
	return running;
}

static void give_row(uv_idle_t *idle)
{
	struct trace *trace = idle->data;
	struct hypervisor_snapshot snapshot = {.vms = trace->readings};

	(void)uv_idle_stop(idle);
	if (trace->row == trace->csv->rows) {
		trace->common.ops.ended(trace->common.userdata);
		return;
	}
	for (size_t i = 0; i < trace->count; i++)
		snapshot.count += read_vm(trace, &trace->vms[i], &trace->readings[snapshot.count]);
	snapshot.watermark_usec = trace->csv->time_usec[trace->row] + trace->shift_usec;
	trace->row++;
	trace->common.ops.tick(trace->common.userdata, &snapshot);
}

static int collect(struct hypervisor *hypervisor, int64_t deadline_usec)
{
	struct trace *trace = (struct trace *)hypervisor;

	if (uv_is_active((uv_handle_t *)&trace->idle))
		return -EBUSY;
	return uv_idle_start(&trace->idle, give_row);
}

static int64_t pace_usec(const struct hypervisor *hypervisor, int64_t interval_usec)
{
	const struct trace *trace = (const struct trace *)hypervisor;
	const int64_t *times = trace->csv->time_usec;
	int64_t distance = interval_usec;

	if (trace->row > 0 && trace->row < trace->csv->rows)
		distance = times[trace->row] - times[trace->row - 1];
	return (int64_t)((double)distance / trace->speed);
}

static const char *problem(const struct hypervisor *hypervisor)
{
	return NULL;
}

static void free_trace(uv_handle_t *handle)
{
	struct trace *trace = handle->data;

	csv_free(trace->csv);
	free(trace->vms);
	free(trace->readings);
	free(trace);
}

static void close_trace(struct hypervisor *hypervisor)
{
	struct trace *trace = (struct trace *)hypervisor;

	uv_close((uv_handle_t *)&trace->idle, free_trace);
}

static const struct backend trace_backend = {collect, pace_usec, problem, NULL, close_trace};

static int check_times(const struct csv *csv, struct error *err)
{
	if (csv->rows == 0)
		return error_set(err, -EINVAL, "%s: there are no rows", csv->path);
	if (!csv->time_usec)
		return error_set(err, -EINVAL,
				 "%s:1: the first column must be the time and be called t or time",
				 csv->path);
	for (size_t i = 1; i < csv->rows; i++)
		if (csv->time_usec[i] <= csv->time_usec[i - 1])
			return error_set(err, -EINVAL, "%s:%zu: the time does not grow", csv->path,
					 i + 2);
	return 0;
}

static int take_columns(struct trace *trace, struct error *err)
{
	for (size_t i = 0; i < trace->csv->columns; i++) {
		int r = take_column(trace, i, err);

		if (r < 0)
			return r;
	}
	if (trace->count == 0)
		return error_set(err, -EINVAL, "%s:1: no column is called VM.Metric, as in vm1.%s",
				 trace->csv->path, metric_info(METRIC_CPU_UTILIZATION)->name);
	qsort(trace->vms, trace->count, sizeof(*trace->vms), compare_vms);
	trace->readings = calloc(trace->count, sizeof(*trace->readings));
	return trace->readings ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int trace_open(const struct hypervisor_options *options, const char *path,
	       struct hypervisor *common, struct hypervisor **ret_hypervisor, struct error *err)
{
	cleanup(csv_free) struct csv *csv = NULL;
	struct trace *trace;
	int r = csv_read(path, &csv, err);

	if (r == 0)
		r = check_times(csv, err);
	if (r < 0)
		return r;
	trace = calloc(1, sizeof(*trace));
	if (!trace)
		return error_set(err, -ENOMEM, "out of memory");
	trace->common = *common;
	trace->common.backend = &trace_backend;
	trace->speed = options->speed;
	trace->csv = keep(csv);
	if (strcmp(options->start, "now") == 0)
		trace->shift_usec = clock_wall_usec() - trace->csv->time_usec[0];
	(void)uv_idle_init(common->loop, &trace->idle); /* cannot fail */
	trace->idle.data = trace;
	r = take_columns(trace, err);
	if (r < 0) {
		close_trace(&trace->common);
		return r;
	}
	*ret_hypervisor = &trace->common;
	return 0;
}
