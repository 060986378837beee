#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications: what a receiver is, what it is told of an alarm, and how one message gets there.
 * A message is rendered once into text, which can be kept on disk, and delivered from that text
 * alone, so that it is the same when it is tried again after a restart. Names and texts of an alert
 * come from guests and clouds: whatever bytes they hold, what is rendered is well-formed. Knows
 * nothing of queues and retries. On the loop's thread; SIGPIPE must be ignored.
 */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum notify_kind {
	NOTIFY_WEBHOOK,      /* POST of the payload that Alertmanager's webhooks have (version 4) */
	NOTIFY_ALERTMANAGER, /* POST to Alertmanager's /api/v2/alerts */
	NOTIFY_MAIL,         /* a message to sendmail(8) */
	NOTIFY_COMMAND,      /* a program with JSON on its standard input; no shell */
	NOTIFY_KIND_COUNT
};
const char *notify_kind_name(enum notify_kind kind); /* "webhook", ... */

enum {
	NOTIFY_NAME_MAX = 255,      /* bytes of a name or word of an alert; the rest is cut */
	NOTIFY_SUMMARY_MAX = 1024,  /* ... of its summary */
	NOTIFY_DETAILS_MAX = 32768, /* ... of its details */
	NOTIFY_VMS_MAX = 64,        /* VMs that are named; of the rest the number is said */
	NOTIFY_TEXT_SIZE = 512,     /* of why a message was not delivered */
};

/* What is not of its kind is not looked at. */
struct notify_receiver {
	const char *name;
	enum notify_kind kind;
	const char *url;        /* webhook: of the whole; alertmanager: without /api/v2/alerts */
	const char *token_file; /* holds a bearer token, read anew each time; "": none */
	const char *ca_file;    /* PEM; "": the system's authorities */
	const char *from;       /* mail: an address of printable ASCII without spaces */
	const char *const *to;  /* mail: such addresses */
	size_t to_count;
	const char *const *command; /* program and arguments; mail: none is /usr/sbin/sendmail */
	size_t command_count;
	int64_t resend_usec; /* alertmanager: how often a firing alert is said again */
};

enum notify_status { NOTIFY_FIRING, NOTIFY_RESOLVED };

/* An alarm at an instant. Texts are never NULL. */
struct notify_alert {
	int64_t alarm; /* its id */
	const char *group;
	const char *state; /* "open", "shifted", "cleared" */
	enum notify_status status;
	int64_t opened_usec, closed_usec; /* wall clock; closed 0 while firing */
	int64_t time_usec;                /* of the instant */
	uint32_t level;                   /* abnormal rows so far */
	const char *summary;              /* one line */
	const char *details;              /* lines: suspects, patterns, actions; may be "" */
	const char *const *vms;
	size_t vm_count;
	const char *project;      /* that all of its VMs are of; "": none, or several */
	const char *event;        /* why now: "opened", "named", "suspect", "cleared", ... */
	const char *external_url; /* how people reach this atomd; "": not known */
};

/* The text to deliver. Returns owned, NULL when memory is out.
 * webhook: the v4 payload with this one alert. alertmanager: a list of this one alert, whose labels
 * are the same over the alarm's life; a firing one ends by itself four resend intervals after
 * alert->time_usec. mail: RFC 5322 with LF, as sendmail reads it. command: the alert of the
 * webhook's payload. */
char *notify_render(const struct notify_receiver *receiver, const struct notify_alert *alert);

enum notify_outcome {
	NOTIFY_DELIVERED, /* a 2xx; exit status 0 */
	NOTIFY_AGAIN,     /* may work later: no answer, 5xx, 408, 425, 429; exit status 69, 71, 74,
			     75, too late, a signal */
	NOTIFY_REFUSED,   /* will not: any other answer or exit status, no such program or URL */
};

/* `text`: why not, one line of printable text; "" when delivered. */
typedef void notify_done(void *userdata, enum notify_outcome outcome, const char *text);

struct notify_delivery;

/* Begins to deliver what notify_render() gave for a receiver of that kind. `done` is called once
 * from the loop, never from within this call; all else is copied. Takes at most timeout_usec (> 0)
 * and a second or two. -ENOMEM. */
int notify_deliver(uv_loop_t *loop, const struct notify_receiver *receiver, const char *body,
		   int64_t timeout_usec, notify_done *done, void *userdata,
		   struct notify_delivery **ret_delivery);

/* Ends it early, delivered or not: `done` is not called. The loop must run until it is idle. */
void notify_abandon(struct notify_delivery *delivery);
