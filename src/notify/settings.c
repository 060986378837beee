/* SPDX-License-Identifier: Apache-2.0 */
#include "notify/settings.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "notify/notify.h"

#define AT(member) offsetof(struct notify_settings, member)

static const struct config_key keys[] = {
	{"name", CONFIG_STRING, AT(name), NULL,
	 .help = "What the receiver is called, in logs and to itself."},
	{"kind", CONFIG_CHOICE, AT(kind), NULL, .choices = "webhook|alertmanager|mail|command",
	 .help = "How it is told."},
	{"url", CONFIG_STRING, AT(url), "",
	 .help = "webhook: where to POST; alertmanager: its address, without /api/v2/alerts."},
	{"token_file", CONFIG_STRING, AT(token_file), "",
	 .help = "webhook, alertmanager: file with a bearer token in its first line."},
	{"ca_file", CONFIG_STRING, AT(ca_file), "",
	 .help = "webhook, alertmanager: authorities to trust (PEM); empty: the system's."},
	{"to", CONFIG_STRINGS, AT(to), "", .help = "mail: addresses, as in [ops@example.org]."},
	{"from", CONFIG_STRING, AT(from), "", .help = "mail: the sender's address."},
	{"command", CONFIG_STRINGS, AT(command), "",
	 .help = "command: program and arguments, no shell. mail: what takes the place of "
		 "/usr/sbin/sendmail."},
	{"groups", CONFIG_STRINGS, AT(groups), "",
	 .help = "Only alarms of groups that one of these shell patterns fits. None: any."},
	{"project", CONFIG_STRING, AT(project), "",
	 .help = "Only alarms whose VMs are of a project that this shell pattern fits. Empty: "
		 "any."},
	{"events", CONFIG_STRINGS, AT(events), "",
	 .choices = "opened|named|suspect|pattern|action|verdict|shifted|grown|reopened|cleared",
	 .help = "Only when one of these has happened. None: any."},
	{"min_level", CONFIG_INTEGER, AT(min_level), "0", 0, 1000000, .unit = "rows",
	 .help = "Only alarms with so many abnormal rows; told when they have become so many."},
	{"per_hour", CONFIG_INTEGER, AT(per_hour), "60", 0, 3600, .unit = "messages",
	 .help = "More wait, and of each alarm only the newest. 0: no limit. Not for "
		 "alertmanager."},
	{"timeout", CONFIG_DURATION, AT(timeout_usec), "10s", 0.1, 300,
	 .help = "How long one attempt may take."},
	{"resend", CONFIG_DURATION, AT(resend_usec), "1min", 1, 3600,
	 .help = "alertmanager: how often a firing alert is said again; it ends by itself after "
		 "four times as long."},
	{"retry_for", CONFIG_DURATION, AT(retry_for_usec), "24h", 1, 2.6e6,
	 .help = "For how long a message is tried again, after 5 s and then less and less often, "
		 "at least every 10 minutes or so."},
};

bool settings_is_url(const char *text)
{
	size_t scheme = strncasecmp(text, "https://", 8) == 0  ? 8
			: strncasecmp(text, "http://", 7) == 0 ? 7
							       : 0;

	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return scheme > 0 && text[scheme] && text[scheme] != '/';
}

/* What may stand in a header and among the arguments of sendmail as it is. */
static bool is_address(const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("<>(),;:\\\"[]", *c))
			return false;
	return *text && *text != '-' && *text != '@';
}

static bool is_name(const char *text)
{
	size_t size = strlen(text), step = 0;

	for (size_t at = 0; at < size; at += step) {
		step = utf8_printable_length(text + at);
		if (step == 0)
			return false;
	}
	return size > 0 && size <= NOTIFY_NAME_MAX;
}

static int wrong(const struct notify_settings *notify, const char *what, struct error *err)
{
	return error_set(err, -EINVAL, "notify '%.60s': kind %s %s", notify->name,
			 notify_kind_name((enum notify_kind)notify->kind), what);
}

static int check_http(const struct notify_settings *notify, struct error *err)
{
	if (!settings_is_url(notify->url))
		return wrong(notify, "needs a url that begins with http:// or https://", err);
	if (notify->to.count > 0 || *notify->from)
		return wrong(notify, "has neither to nor from", err);
	if (notify->command.count > 0)
		return wrong(notify, "has no command", err);
	return 0;
}

static int check_mail(const struct notify_settings *notify, struct error *err)
{
	if (!is_address(notify->from))
		return wrong(notify, "needs an address as from, as in atom@example.org", err);
	if (notify->to.count == 0)
		return wrong(notify, "needs addresses as to, as in [ops@example.org]", err);
	for (size_t i = 0; i < notify->to.count; i++)
		if (!is_address(notify->to.items[i]))
			return error_set(err, -EINVAL, "notify '%.60s': '%.100s' is no address",
					 notify->name, notify->to.items[i]);
	return 0;
}

static int check_program(const struct notify_settings *notify, struct error *err)
{
	if (*notify->url || *notify->token_file || *notify->ca_file)
		return wrong(notify, "has neither url nor token_file nor ca_file", err);
	if (notify->command.count > 0 && !*notify->command.items[0])
		return wrong(notify, "needs a program as the first item of command", err);
	if (notify->kind == NOTIFY_MAIL)
		return check_mail(notify, err);
	if (notify->to.count > 0 || *notify->from)
		return wrong(notify, "has neither to nor from", err);
	if (notify->command.count == 0)
		return wrong(notify, "needs a command, as in [/usr/local/bin/tell, them]", err);
	return 0;
}

static int check_one(const void *settings, struct error *err)
{
	const struct notify_settings *notify = settings;

	if (!is_name(notify->name))
		return error_set(err, -EINVAL,
				 "notify: a name must be 1 to %d bytes of printable text",
				 NOTIFY_NAME_MAX);
	return notify->kind == NOTIFY_WEBHOOK || notify->kind == NOTIFY_ALERTMANAGER
		       ? check_http(notify, err)
		       : check_program(notify, err);
}

const struct config_table settings_notify_table = {"notify", sizeof(struct notify_settings), keys,
						   sizeof(keys) / sizeof(keys[0]), check_one};

int settings_notify_check(const struct config_records *list, struct error *err)
{
	const struct notify_settings *items = list->items;

	if (list->count > SETTINGS_NOTIFY_MAX)
		return error_set(err, -E2BIG, "notify: more than %d receivers",
				 SETTINGS_NOTIFY_MAX);
	for (size_t i = 0; i < list->count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(items[i].name, items[j].name) == 0)
				return error_set(err, -EINVAL,
						 "notify: two receivers are called '%.60s'",
						 items[i].name);
	return 0;
}
