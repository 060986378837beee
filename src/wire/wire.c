/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/wire.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "atom.pb-c.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "wire/wire_internal.h"

#define INTERVAL_USEC_MIN (100 * USEC_PER_MSEC)
#define INTERVAL_USEC_MAX (300 * USEC_PER_SEC)
#define METRIC_SET_ALL ((metric_set)((1u << METRIC_COUNT) - 1))

static void free_envelope(Atom__Envelope *envelope)
{
	atom__envelope__free_unpacked(envelope, NULL);
}

DEFINE_CLEANUP(Atom__Envelope *, free_envelope)

size_t wire_metric_count(metric_set metrics)
{
	return (size_t)__builtin_popcount(metrics);
}

enum metric wire_metric_at(metric_set metrics, size_t position)
{
	for (; position > 0; position--)
		metrics &= metrics - 1;
	return (enum metric)__builtin_ctz(metrics);
}

size_t wire_series_count(const struct wire_epoch *epoch)
{
	return epoch->vm_count * wire_metric_count(epoch->metrics);
}

/* Checks, the same on the way out (-EINVAL) and in (-EBADMSG). */

int wire_check_text(const char *text, const char *what, int code, struct error *err)
{
	size_t length = strlen(text);

	if (length > WIRE_NAME_MAX)
		return error_set(err, code, "%s is longer than %d bytes", what, WIRE_NAME_MAX);
	for (const char *c = text; *c;) {
		size_t step = utf8_printable_length(c);

		if (step == 0)
			return error_set(err, code, "%s is not printable UTF-8", what);
		c += step;
	}
	return 0;
}

void wire_make_text(const char *bytes, size_t size, char *ret_text)
{
	enum { CHARACTER_MAX = 4 };
	size_t used = 0;

	for (size_t i = 0, step; i < size; i += step) {
		size_t rest = size - i;
		char next[CHARACTER_MAX + 1] = "";
		size_t length;

		memcpy(next, bytes + i, rest < CHARACTER_MAX ? rest : CHARACTER_MAX);
		length = utf8_printable_length(next);
		step = length ? length : 1;
		if (used + step > WIRE_NAME_MAX)
			break;
		memcpy(ret_text + used, length ? next : "?", step);
		used += step;
	}
	ret_text[used] = '\0';
}

int wire_check_delta(double delta, int code, struct error *err)
{
	if (isfinite(delta) && delta >= 0)
		return 0;
	return error_set(err, code, "a maximum error is negative or not finite");
}

static int check_observation(int64_t interval_usec, metric_set metrics, int code, struct error *err)
{
	if (interval_usec < INTERVAL_USEC_MIN || interval_usec > INTERVAL_USEC_MAX)
		return error_set(err, code, "the interval is outside 100 ms .. 5 min");
	if ((metrics & METRIC_SET_PAPER) != METRIC_SET_PAPER || metrics & ~METRIC_SET_ALL)
		return error_set(err, code, "the set of metrics is unknown to this version");
	return 0;
}

static int check_hello(const struct wire_hello *hello, int code, struct error *err)
{
	int r = wire_check_text(hello->node, "node name", code, err);

	if (r == 0)
		r = wire_check_text(hello->host, "host name", code, err);
	if (r == 0)
		r = wire_check_text(hello->software, "software version", code, err);
	if (r == 0)
		r = wire_check_text(hello->hypervisor, "hypervisor", code, err);
	return r;
}

static int check_settings(const struct wire_settings *settings, int code, struct error *err)
{
	int r = check_observation(settings->interval_usec, settings->metrics, code, err);

	for (size_t i = 0; r == 0 && i < wire_metric_count(settings->metrics); i++)
		r = wire_check_delta(settings->deltas[wire_metric_at(settings->metrics, i)], code,
				     err);
	return r;
}

static int check_vm(const struct wire_vm *vm, int code, struct error *err)
{
	int r = wire_check_text(vm->name, "VM name", code, err);

	if (r == 0)
		r = wire_check_text(vm->instance, "instance name", code, err);
	if (r == 0)
		r = wire_check_text(vm->project, "project name", code, err);
	if (r == 0 && (vm->vcpus == 0 || vm->vcpus > 65536))
		r = error_set(err, code, "VM '%s' has %u vCPUs", vm->name, vm->vcpus);
	return r;
}

static int compare_uuid(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct vm_uuid));
}

static int check_distinct(const struct wire_epoch *epoch, int code, struct error *err)
{
	cleanup(free) struct vm_uuid *uuids = calloc(epoch->vm_count + 1, sizeof(*uuids));

	if (!uuids)
		return -ENOMEM;
	for (size_t i = 0; i < epoch->vm_count; i++)
		uuids[i] = epoch->vms[i].uuid;
	qsort(uuids, epoch->vm_count, sizeof(*uuids), compare_uuid);
	for (size_t i = 1; i < epoch->vm_count; i++)
		if (vm_uuid_equal(&uuids[i - 1], &uuids[i]))
			return error_set(err, code, "a VM is listed twice");
	return 0;
}

static int check_epoch(const struct wire_epoch *epoch, int code, struct error *err)
{
	int r = check_observation(epoch->interval_usec, epoch->metrics, code, err);

	if (r == 0 &&
	    (epoch->vm_count > WIRE_VMS_MAX || wire_series_count(epoch) > WIRE_SERIES_MAX))
		r = error_set(err, code, "more than %d VMs or %d series", WIRE_VMS_MAX,
			      WIRE_SERIES_MAX);
	for (size_t i = 0; r == 0 && i < epoch->vm_count; i++)
		r = check_vm(&epoch->vms[i], code, err);
	for (size_t i = 0; r == 0 && i < wire_series_count(epoch); i++)
		r = wire_check_delta(epoch->deltas[i], code, err);
	return r == 0 ? check_distinct(epoch, code, err) : r;
}

static int check_message(const struct wire_message *message, int code, struct error *err)
{
	switch (message->type) {
	case WIRE_HELLO:
		return check_hello(&message->hello, code, err);
	case WIRE_SETTINGS:
		return check_settings(&message->settings, code, err);
	case WIRE_REFUSED:
		return wire_check_text(message->refused.reason, "reason", code, err);
	case WIRE_EPOCH:
		return check_epoch(&message->epoch, code, err);
	case WIRE_FRAME:
		/* the payload is the codec's, the times are the controller's to judge */
		return wire_check_changes(message->frame.deltas, message->frame.delta_count, code,
					  err);
	case WIRE_INTROSPECT:
		return wire_check_introspect(&message->introspect, code, err);
	case WIRE_FINDINGS:
		return wire_check_findings(&message->findings, code, err);
	case WIRE_ACT:
		return wire_check_act(&message->act, code, err);
	case WIRE_OUTCOME:
		return wire_check_outcome(&message->outcome, code, err);
	case WIRE_DELTAS:
		return wire_check_deltas(&message->deltas, code, err);
	}
	return -EINVAL;
}

/* Encoding: the generated structs borrow from ours. */

int wire_pack(const Atom__Envelope *envelope, uint8_t **ret_data, size_t *ret_size,
	      struct error *err)
{
	size_t size = atom__envelope__get_packed_size(envelope);
	uint8_t *data;

	if (size > WIRE_MESSAGE_SIZE_MAX)
		return error_set(err, -EINVAL, "message of %zu bytes is too long", size);
	data = malloc(size + 1);
	if (!data)
		return -ENOMEM;
	*ret_size = atom__envelope__pack(envelope, data);
	*ret_data = data;
	return 0;
}

static int encode_hello(const struct wire_hello *hello, uint8_t **ret_data, size_t *ret_size,
			struct error *err)
{
	Atom__Hello out = ATOM__HELLO__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	out.version = hello->version;
	out.node = hello->node;
	out.host = hello->host;
	out.instance = hello->instance;
	out.software = hello->software;
	out.hypervisor = hello->hypervisor;
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_HELLO;
	envelope.hello = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

static int encode_settings(const struct wire_settings *settings, uint8_t **ret_data,
			   size_t *ret_size, struct error *err)
{
	double deltas[METRIC_COUNT];
	Atom__Settings out = ATOM__SETTINGS__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	out.interval_usec = settings->interval_usec;
	out.metrics = settings->metrics;
	out.n_deltas = wire_metric_count(settings->metrics);
	out.deltas = deltas;
	for (size_t i = 0; i < out.n_deltas; i++)
		deltas[i] = settings->deltas[wire_metric_at(settings->metrics, i)];
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_SETTINGS;
	envelope.settings = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

static int encode_refused(const struct wire_refused *refused, uint8_t **ret_data, size_t *ret_size,
			  struct error *err)
{
	Atom__Refused out = ATOM__REFUSED__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	out.reason = refused->reason;
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_REFUSED;
	envelope.refused = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

static void fill_vm(const struct wire_vm *vm, Atom__Vm *out)
{
	atom__vm__init(out);
	out->uuid.data = (uint8_t *)vm->uuid.bytes; /* only read */
	out->uuid.len = sizeof(vm->uuid.bytes);
	out->name = vm->name;
	out->instance = vm->instance;
	out->project = vm->project;
	out->vcpus = vm->vcpus;
}

static int encode_epoch(const struct wire_epoch *epoch, uint8_t **ret_data, size_t *ret_size,
			struct error *err)
{
	cleanup(free) Atom__Vm *vms = calloc(epoch->vm_count + 1, sizeof(*vms));
	cleanup(free) Atom__Vm **pointers = calloc(epoch->vm_count + 1, sizeof(Atom__Vm *));
	Atom__Epoch out = ATOM__EPOCH__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	if (!vms || !pointers)
		return -ENOMEM;
	for (size_t i = 0; i < epoch->vm_count; i++) {
		fill_vm(&epoch->vms[i], &vms[i]);
		pointers[i] = &vms[i];
	}
	out.epoch = epoch->epoch;
	out.interval_usec = epoch->interval_usec;
	out.metrics = epoch->metrics;
	out.n_vms = epoch->vm_count;
	out.vms = pointers;
	out.n_deltas = wire_series_count(epoch);
	out.deltas = epoch->deltas;
	out.delta_version = epoch->delta_version;
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_EPOCH;
	envelope.epoch = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

int wire_encode(const struct wire_message *message, uint8_t **ret_data, size_t *ret_size,
		struct error *err)
{
	int r = check_message(message, -EINVAL, err);

	if (r < 0)
		return r;
	switch (message->type) {
	case WIRE_HELLO:
		return encode_hello(&message->hello, ret_data, ret_size, err);
	case WIRE_SETTINGS:
		return encode_settings(&message->settings, ret_data, ret_size, err);
	case WIRE_REFUSED:
		return encode_refused(&message->refused, ret_data, ret_size, err);
	case WIRE_EPOCH:
		return encode_epoch(&message->epoch, ret_data, ret_size, err);
	case WIRE_FRAME:
		return wire_encode_frame(&message->frame, ret_data, ret_size, err);
	case WIRE_INTROSPECT:
		return wire_encode_introspect(&message->introspect, ret_data, ret_size, err);
	case WIRE_FINDINGS:
		return wire_encode_findings(&message->findings, ret_data, ret_size, err);
	case WIRE_ACT:
		return wire_encode_act(&message->act, ret_data, ret_size, err);
	case WIRE_OUTCOME:
		return wire_encode_outcome(&message->outcome, ret_data, ret_size, err);
	case WIRE_DELTAS:
		return wire_encode_deltas(&message->deltas, ret_data, ret_size, err);
	}
	return -EINVAL;
}

/* Decoding: what is kept is taken out of the generated structs before they are freed. */

char *wire_take_text(char **text)
{
	char *taken = *text;

	/* protobuf-c's empty string is static and not ours to keep */
	if (!taken || taken == (const char *)protobuf_c_empty_string)
		return strdup("");
	*text = NULL;
	return taken;
}

static int decode_hello(Atom__Hello *in, struct wire_hello *hello)
{
	*hello = (struct wire_hello){
		.version = in->version,
		.node = wire_take_text(&in->node),
		.host = wire_take_text(&in->host),
		.instance = in->instance,
		.software = wire_take_text(&in->software),
		.hypervisor = wire_take_text(&in->hypervisor),
	};
	return hello->node && hello->host && hello->software && hello->hypervisor ? 0 : -ENOMEM;
}

static int decode_settings(const Atom__Settings *in, struct wire_settings *settings,
			   struct error *err)
{
	int r = check_observation(in->interval_usec, in->metrics, -EBADMSG, err);

	if (r < 0)
		return r;
	if (in->n_deltas != wire_metric_count(in->metrics))
		return error_set(err, -EBADMSG, "settings have %zu maximum errors for %zu metrics",
				 in->n_deltas, wire_metric_count(in->metrics));
	*settings =
		(struct wire_settings){.interval_usec = in->interval_usec, .metrics = in->metrics};
	for (size_t i = 0; i < in->n_deltas; i++)
		settings->deltas[wire_metric_at(in->metrics, i)] = in->deltas[i];
	return 0;
}

static int decode_vm(Atom__Vm *in, struct wire_vm *vm, struct error *err)
{
	if (in->uuid.len != sizeof(vm->uuid.bytes))
		return error_set(err, -EBADMSG, "a VM's UUID has %zu bytes", in->uuid.len);
	memcpy(vm->uuid.bytes, in->uuid.data, sizeof(vm->uuid.bytes));
	vm->name = wire_take_text(&in->name);
	vm->instance = wire_take_text(&in->instance);
	vm->project = wire_take_text(&in->project);
	vm->vcpus = in->vcpus;
	return vm->name && vm->instance && vm->project ? 0 : -ENOMEM;
}

static int decode_epoch(Atom__Epoch *in, struct wire_epoch *epoch, struct error *err)
{
	int r;

	*epoch = (struct wire_epoch){.epoch = in->epoch,
				     .interval_usec = in->interval_usec,
				     .metrics = in->metrics,
				     .delta_version = in->delta_version};
	if (in->n_vms > WIRE_VMS_MAX)
		return error_set(err, -EBADMSG, "more than %d VMs", WIRE_VMS_MAX);
	r = check_observation(in->interval_usec, in->metrics, -EBADMSG, err);
	if (r < 0)
		return r;
	if (in->n_deltas != in->n_vms * wire_metric_count(in->metrics))
		return error_set(err, -EBADMSG, "epoch has %zu maximum errors for %zu VMs",
				 in->n_deltas, in->n_vms);
	epoch->vms = calloc(in->n_vms + 1, sizeof(*epoch->vms));
	epoch->deltas = calloc(in->n_deltas + 1, sizeof(*epoch->deltas));
	if (!epoch->vms || !epoch->deltas)
		return -ENOMEM;
	for (size_t i = 0; i < in->n_vms; i++) {
		epoch->vm_count = i + 1;
		r = decode_vm(in->vms[i], &epoch->vms[i], err);
		if (r < 0)
			return r;
	}
	if (in->n_deltas > 0)
		memcpy(epoch->deltas, in->deltas, in->n_deltas * sizeof(*epoch->deltas));
	return 0;
}

static int decode_message(Atom__Envelope *in, struct wire_message *message, struct error *err)
{
	switch (in->message_case) {
	case ATOM__ENVELOPE__MESSAGE_HELLO:
		message->type = WIRE_HELLO;
		return decode_hello(in->hello, &message->hello);
	case ATOM__ENVELOPE__MESSAGE_SETTINGS:
		message->type = WIRE_SETTINGS;
		return decode_settings(in->settings, &message->settings, err);
	case ATOM__ENVELOPE__MESSAGE_REFUSED:
		message->type = WIRE_REFUSED;
		message->refused.reason = wire_take_text(&in->refused->reason);
		return message->refused.reason ? 0 : -ENOMEM;
	case ATOM__ENVELOPE__MESSAGE_EPOCH:
		message->type = WIRE_EPOCH;
		return decode_epoch(in->epoch, &message->epoch, err);
	case ATOM__ENVELOPE__MESSAGE_FRAME:
		message->type = WIRE_FRAME;
		return wire_decode_frame(in->frame, &message->frame, err);
	case ATOM__ENVELOPE__MESSAGE_INTROSPECT:
		message->type = WIRE_INTROSPECT;
		return wire_decode_introspect(in->introspect, &message->introspect, err);
	case ATOM__ENVELOPE__MESSAGE_FINDINGS:
		message->type = WIRE_FINDINGS;
		return wire_decode_findings(in->findings, &message->findings, err);
	case ATOM__ENVELOPE__MESSAGE_ACT:
		message->type = WIRE_ACT;
		return wire_decode_act(in->act, &message->act, err);
	case ATOM__ENVELOPE__MESSAGE_OUTCOME:
		message->type = WIRE_OUTCOME;
		return wire_decode_outcome(in->outcome, &message->outcome);
	case ATOM__ENVELOPE__MESSAGE_DELTAS:
		message->type = WIRE_DELTAS;
		return wire_decode_deltas(in->deltas, &message->deltas, err);
	case ATOM__ENVELOPE__MESSAGE__NOT_SET:
	case _ATOM__ENVELOPE__MESSAGE__CASE_IS_INT_SIZE:
		break;
	}
	return error_set(err, -ENOTSUP, "a message of a type that this version does not know");
}

int wire_decode(const uint8_t *data, size_t size, struct wire_message *ret_message,
		struct error *err)
{
	cleanup(free_envelope) Atom__Envelope *envelope = NULL;
	struct wire_message message = {.type = WIRE_FRAME};
	int r;

	if (size > WIRE_MESSAGE_SIZE_MAX)
		return error_set(err, -EBADMSG, "message of %zu bytes is too long", size);
	envelope = atom__envelope__unpack(NULL, size, data);
	if (!envelope)
		return error_set(err, -EBADMSG, "not a message of this protocol");
	r = decode_message(envelope, &message, err);
	if (r == 0)
		r = check_message(&message, -EBADMSG, err);
	if (r < 0) {
		wire_message_deinit(&message);
		return r == -ENOMEM ? error_set(err, r, "out of memory") : r;
	}
	*ret_message = message;
	return 0;
}

static void deinit_epoch(struct wire_epoch *epoch)
{
	for (size_t i = 0; i < epoch->vm_count; i++) {
		free(epoch->vms[i].name);
		free(epoch->vms[i].instance);
		free(epoch->vms[i].project);
	}
	free(epoch->vms);
	free(epoch->deltas);
}

void wire_message_deinit(struct wire_message *message)
{
	switch (message->type) {
	case WIRE_HELLO:
		free(message->hello.node);
		free(message->hello.host);
		free(message->hello.software);
		free(message->hello.hypervisor);
		break;
	case WIRE_SETTINGS:
		break;
	case WIRE_REFUSED:
		free(message->refused.reason);
		break;
	case WIRE_EPOCH:
		deinit_epoch(&message->epoch);
		break;
	case WIRE_FRAME:
		free(message->frame.payload);
		free(message->frame.deltas);
		break;
	case WIRE_INTROSPECT:
		for (size_t i = 0; i < message->introspect.view_count; i++)
			free(message->introspect.views[i]);
		break;
	case WIRE_FINDINGS:
		free(message->findings.reason);
		free(message->findings.report);
		break;
	case WIRE_ACT:
		free(message->act.who);
		free(message->act.command);
		free(message->act.peer);
		free(message->act.address);
		break;
	case WIRE_OUTCOME:
		free(message->outcome.reason);
		free(message->outcome.report);
		break;
	case WIRE_DELTAS:
		free(message->deltas.items);
		break;
	}
	*message = (struct wire_message){.type = WIRE_FRAME};
}
