#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. */
#include <jansson.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "notify/notify.h"

DEFINE_CLEANUP(json_t *, json_decref)

enum notify_lines { NOTIFY_ONE_LINE, NOTIFY_MANY_LINES };

/* Any bytes as printable UTF-8 of at most `limit` bytes, cut between characters: "?" is what cannot
 * be shown. With many lines, line feeds stay. Returns owned, NULL when memory is out. */
char *notify_clean(const char *text, size_t limit, enum notify_lines lines);

/* "web2, web3, 4 more". Returns owned, NULL when memory is out. */
char *notify_vm_list(const struct notify_alert *alert);
/* "https://atom.example.org/alarms/7", or "". Returns owned, NULL when memory is out. */
char *notify_alarm_url(const struct notify_alert *alert);

/* mail.c: a whole message. Returns owned, NULL when memory is out. */
char *notify_render_mail(const struct notify_receiver *receiver, const struct notify_alert *alert);

/* What every delivery begins with. */
struct notify_delivery {
	notify_done *done; /* NULL: abandoned */
	void *userdata;
	void (*end)(struct notify_delivery *delivery);
};

/* post.c */
int notify_post(uv_loop_t *loop, const struct notify_receiver *receiver, const char *body,
		int64_t timeout_usec, const struct notify_delivery *delivery,
		struct notify_delivery **ret_delivery);
/* program.c */
int notify_run(uv_loop_t *loop, const struct notify_receiver *receiver, const char *body,
	       int64_t timeout_usec, const struct notify_delivery *delivery,
	       struct notify_delivery **ret_delivery);
