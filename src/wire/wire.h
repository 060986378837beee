#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between atom-node and atomd, as plain structs; src/wire/atom.proto is the schema and
 * docs/protocol.md tells the story. A connection goes: node HELLO; controller SETTINGS or REFUSED;
 * node EPOCH and a first FRAME that holds every series; then one FRAME per tick. Any change of the
 * set of series or their order is a new EPOCH, again followed by a full frame; a change of some
 * Deltas, which DELTAS asks for, is told by the frame from which on they are in force. SETTINGS and
 * DELTAS may come at any time, as may the pairs INTROSPECT, FINDINGS and ACT, OUTCOME. Decoded
 * messages own their memory. All limits are checked on both ways; strings are valid UTF-8 without
 * control characters.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "metric/metric.h"

enum {
	WIRE_VERSION = 1,
	WIRE_MESSAGE_SIZE_MAX = 4 << 20,
	WIRE_NAME_MAX = 255, /* bytes of any name */
	WIRE_VMS_MAX = 4096,
	WIRE_SERIES_MAX = 65536,
	WIRE_VIEWS_MAX = 16,
	WIRE_ABNORMAL_MAX = 64, /* metrics named in one request */
	WIRE_INTERVAL_USEC_MAX = 60000000,
	WIRE_BUDGET_USEC_MAX = 60000000,
	WIRE_ADDRESS_MAX = 63, /* bytes of an address as text: [0-9a-fA-F:.] */
};

#define WIRE_ACT_TIMEOUT_USEC_MAX INT64_C(3600000000)
#define WIRE_ACT_EXPIRY_USEC_MIN INT64_C(1000000)
#define WIRE_ACT_EXPIRY_USEC_MAX INT64_C(604800000000)

enum wire_type {
	WIRE_HELLO,
	WIRE_SETTINGS,
	WIRE_REFUSED,
	WIRE_EPOCH,
	WIRE_FRAME,
	WIRE_INTROSPECT,
	WIRE_FINDINGS,
	WIRE_ACT,
	WIRE_OUTCOME,
	WIRE_DELTAS
};

/* Node -> controller, first. */
struct wire_hello {
	uint32_t version;  /* WIRE_VERSION */
	char *node;        /* must be the common name of the node's certificate */
	char *host;        /* host name, for people */
	uint64_t instance; /* random per process: tells a reconnect from a second node of the same
			      name */
	char *software;    /* "0.1.0" */
	char *hypervisor;  /* "libvirt (qemu:///system)", "qemu", "trace FILE" */
};

/* Controller -> node. */
struct wire_settings {
	int64_t interval_usec;
	metric_set metrics;          /* always includes METRIC_SET_PAPER */
	double deltas[METRIC_COUNT]; /* maximum tracking error per metric, >= 0 */
};

struct wire_refused {
	char *reason; /* a sentence that says what to do */
};

struct wire_vm {
	struct vm_uuid uuid;
	char *name;     /* domain name */
	char *instance; /* the cloud's name of it, "" when it has none */
	char *project;  /* the cloud's project or tenant, "" */
	uint32_t vcpus;
};

/* Node -> controller: what the series of the following frames are. Series number
 * vm * metric_count + position of the metric among the set bits of `metrics`. */
struct wire_epoch {
	uint64_t epoch; /* grows with every epoch of a node name */
	int64_t interval_usec;
	metric_set metrics;
	struct wire_vm *vms;
	size_t vm_count;
	double *deltas;         /* one per series */
	uint64_t delta_version; /* of the newest DELTAS in them; 0: none since the settings */
};

/* The maximum error of one series of an epoch. */
struct wire_delta {
	uint32_t series;
	double delta; /* >= 0 */
};

/* Controller -> node: other maximum errors for some series, in rising order of series. A node
 * passes over those of an epoch that is over; the answer is the next frame, or the next epoch. */
struct wire_deltas {
	uint64_t epoch;
	uint64_t version; /* > 0; grows with each message to a node */
	struct wire_delta *items;
	size_t count;
};

struct wire_frame {
	uint64_t epoch;
	uint64_t sequence;      /* 0 for the full frame after an epoch, then +1 */
	int64_t watermark_usec; /* the wall-clock time of the tick: the values hold up to here */
	uint8_t *payload;       /* src/wire/codec.h */
	size_t payload_size;
	/* in force from this frame on, its payload included; in rising order of series */
	uint64_t delta_version; /* 0: nothing changes, and there are none */
	struct wire_delta *deltas;
	size_t delta_count;
};

struct wire_abnormal {
	enum metric metric;
	double stddev, change; /* deviation in standard deviations; relative change of the mean */
};

/* Controller -> node: look inside a VM (paper V). A node answers each with one FINDINGS. */
struct wire_introspect {
	uint64_t request; /* comes back with the findings */
	int64_t alarm;    /* 0: a person asks */
	struct vm_uuid vm;
	char *views[WIRE_VIEWS_MAX]; /* of atom-vmi, [a-z]+ */
	size_t view_count;
	int64_t interval_usec; /* between two samples */
	int64_t budget_usec;   /* for the reading */
	struct wire_abnormal metrics[WIRE_ABNORMAL_MAX];
	size_t metric_count;
};

enum wire_findings_status { WIRE_FINDINGS_DONE, WIRE_FINDINGS_REFUSED, WIRE_FINDINGS_FAILED };

/* Node -> controller. */
struct wire_findings {
	uint64_t request;
	enum wire_findings_status status;
	char *reason; /* a sentence; "" when all went well */
	uint8_t *
		report; /* a report_encode()d report, to be decoded as hostile; empty when failed */
	size_t report_size;
};

enum wire_act_kind {
	WIRE_ACT_END_PROCESS,
	WIRE_ACT_CONTAIN,
	WIRE_ACT_RELEASE,
	WIRE_ACT_PAUSE,
	WIRE_ACT_RESUME,
	WIRE_ACT_SNAPSHOT,
	WIRE_ACT_KIND_COUNT
};

/* Controller -> node: do something to a VM. Said again under the same number after a reconnect; the
 * node does it once, and answers it with one OUTCOME. */
struct wire_act {
	uint64_t action; /* the controller's number of it; never used twice */
	int64_t alarm;   /* 0: none */
	struct vm_uuid vm;
	enum wire_act_kind kind;
	bool dry_run;         /* says what would be done, and changes nothing */
	int64_t timeout_usec; /* from its arrival; > 0, at most WIRE_ACT_TIMEOUT_USEC_MAX */
	char *who;            /* for the node's journal: "operator anna", "rule stop-floods" */
	/* WIRE_ACT_END_PROCESS: the process as a look gave it */
	uint32_t pid;        /* 1 .. INT32_MAX */
	uint64_t start_nsec; /* 0: not known, good for a dry run only */
	char *command;       /* "" any, and with the other kinds */
	/* WIRE_ACT_CONTAIN; "" and 0 with the other kinds */
	char *peer, *address; /* as text; `address` is the VM's own, "" any */
	uint32_t rate;        /* new connections per second let through; 0: none */
	int64_t expiry_usec;  /* WIRE_ACT_EXPIRY_USEC_MIN .. MAX */
	/* WIRE_ACT_RELEASE */
	uint64_t undoes; /* the number of the contain */
};

enum wire_outcome_status {
	WIRE_OUTCOME_DONE,    /* a dry run: it would be possible */
	WIRE_OUTCOME_REFUSED, /* nothing is done: the node's policy, another process by now ... */
	WIRE_OUTCOME_FAILED,  /* it could not be done; the reason says what may have happened */
	WIRE_OUTCOME_PENDING, /* SIGKILL is pending; the process sleeps where nothing wakes it */
	WIRE_OUTCOME_UNKNOWN  /* the node was ended in the middle of it, or has lost its record */
};

/* Node -> controller. */
struct wire_outcome {
	uint64_t action;
	enum wire_outcome_status status;
	char *reason;    /* a sentence; "" when it is done and there is nothing to say */
	uint8_t *report; /* a report_encode()d report, to be decoded as hostile; or empty */
	size_t report_size;
};

struct wire_message {
	enum wire_type type;
	union {
		struct wire_hello hello;
		struct wire_settings settings;
		struct wire_refused refused;
		struct wire_epoch epoch;
		struct wire_frame frame;
		struct wire_introspect introspect;
		struct wire_findings findings;
		struct wire_act act;
		struct wire_outcome outcome;
		struct wire_deltas deltas;
	};
};

/* Returns an owned buffer to free(); -EINVAL when the message breaks a limit, -ENOMEM. */
int wire_encode(const struct wire_message *message, uint8_t **ret_data, size_t *ret_size,
		struct error *err);

/* -EBADMSG with the reason. Unknown fields are skipped, an unknown message type is -ENOTSUP. */
int wire_decode(const uint8_t *data, size_t size, struct wire_message *ret_message,
		struct error *err);
void wire_message_deinit(struct wire_message *message);

/* "end-process", "contain" ...: the word of the API, the audit and the journal. */
const char *wire_act_kind_name(enum wire_act_kind kind);
/* -EINVAL. */
int wire_act_kind_parse(const char *name, enum wire_act_kind *ret_kind);

/* "done", "refused", "failed", "pending", "unknown". */
const char *wire_outcome_status_name(enum wire_outcome_status status);
/* -EINVAL. */
int wire_outcome_status_parse(const char *name, enum wire_outcome_status *ret_status);

/* Any bytes as a text that a message takes: "?" is what cannot be shown, and it is cut, between
 * characters, at WIRE_NAME_MAX. `ret_text` has WIRE_NAME_MAX + 1. */
void wire_make_text(const char *bytes, size_t size, char *ret_text);

size_t wire_metric_count(metric_set metrics);
size_t wire_series_count(const struct wire_epoch *epoch);
/* The metric at `position` among the set bits. */
enum metric wire_metric_at(metric_set metrics, size_t position);
