/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mail (RFC 5322, MIME) as sendmail(8) reads it. Headers hold only cleaned text, so that no name
 * can begin a header of its own; the subject is encoded (RFC 2047) where it is not plain, the text
 * always (quoted-printable), so that no line is too long for any server.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "notify/notify_internal.h"

enum {
	WORD_BYTES_MAX = 39, /* in base64 and with "Subject: " less than a line of 76 */
	SUBJECT_MAX = 200,
	TEXT_LINE_MAX = 75, /* and a "=" that says that it goes on */
};

/* RFC 5322, 3.3, whatever the locale. */
static void write_date(FILE *stream, int64_t wall_usec)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(wall_usec / USEC_PER_SEC);
	struct tm parts = {0};

	(void)gmtime_r(&seconds, &parts); /* fails only for years that do not fit an int */
	(void)fprintf(stream, "Date: %s, %d %s %d %02d:%02d:%02d +0000\n", days[parts.tm_wday],
		      parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
		      parts.tm_min, parts.tm_sec);
}

/* base64, RFC 4648 */
static void write_base64(FILE *stream, const unsigned char *bytes, size_t size)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		unsigned bits = (unsigned)bytes[i] << 16;

		if (left > 1)
			bits |= (unsigned)bytes[i + 1] << 8;
		if (left > 2)
			bits |= bytes[i + 2];
		(void)fputc(letters[bits >> 18], stream);
		(void)fputc(letters[bits >> 12 & 63], stream);
		(void)fputc(left > 1 ? letters[bits >> 6 & 63] : '=', stream);
		(void)fputc(left > 2 ? letters[bits & 63] : '=', stream);
	}
}

/* Plain: ASCII that no reader takes for an encoded word. */
static bool is_plain(const char *text)
{
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c >= 0x7f)
			return false;
	return strstr(text, "=?") == NULL;
}

static void write_subject(FILE *stream, const char *text)
{
	if (is_plain(text)) {
		(void)fprintf(stream, "Subject: %s\n", text);
		return;
	}
	(void)fputs("Subject:", stream);
	while (*text) {
		size_t size = 0, step;

		while ((step = utf8_length(text + size)) > 0 && size + step <= WORD_BYTES_MAX)
			size += step;
		(void)fputs(" =?utf-8?B?", stream);
		write_base64(stream, (const unsigned char *)text, size);
		(void)fputs("?=\n", stream);
		text += size;
	}
}

static bool is_literal(const char *c)
{
	if (*c == ' ') /* none at the end of a line: servers take them away */
		return c[1] != '\0' && c[1] != '\n';
	return *c > ' ' && *c < 0x7f && *c != '=';
}

/* Quoted-printable, RFC 2045, 6.7 */
static void write_quoted(FILE *stream, const char *text)
{
	int column = 0;

	for (const char *c = text; *c; c++) {
		int width = is_literal(c) ? 1 : 3;

		if (*c == '\n') {
			(void)fputc('\n', stream);
			column = 0;
			continue;
		}
		if (column + width > TEXT_LINE_MAX) {
			(void)fputs("=\n", stream);
			column = 0;
		}
		if (width == 1)
			(void)fputc(*c, stream);
		else
			(void)fprintf(stream, "=%02X", (unsigned char)*c);
		column += width;
	}
}

/* Ends a memory stream; frees the text of one that ran out of memory. */
static char *finish_text(FILE *stream, char **text)
{
	bool is_whole = stream && !ferror(stream);

	if (stream && fclose(stream) != 0)
		is_whole = false;
	if (is_whole)
		return *text;
	free(*text);
	return NULL;
}

struct parts {
	char *summary, *details, *group, *state, *event, *project, *vms, *url;
};

static bool clean_parts(const struct notify_alert *alert, struct parts *ret_parts)
{
	*ret_parts = (struct parts){
		.summary = notify_clean(alert->summary, NOTIFY_SUMMARY_MAX, NOTIFY_ONE_LINE),
		.details = notify_clean(alert->details, NOTIFY_DETAILS_MAX, NOTIFY_MANY_LINES),
		.group = notify_clean(alert->group, NOTIFY_NAME_MAX, NOTIFY_ONE_LINE),
		.state = notify_clean(alert->state, NOTIFY_NAME_MAX, NOTIFY_ONE_LINE),
		.event = notify_clean(alert->event, NOTIFY_NAME_MAX, NOTIFY_ONE_LINE),
		.project = notify_clean(alert->project, NOTIFY_NAME_MAX, NOTIFY_ONE_LINE),
		.vms = notify_vm_list(alert),
		.url = notify_alarm_url(alert),
	};
	return ret_parts->summary && ret_parts->details && ret_parts->group && ret_parts->state &&
	       ret_parts->event && ret_parts->project && ret_parts->vms && ret_parts->url;
}

static void free_parts(struct parts *parts)
{
	free(parts->summary);
	free(parts->details);
	free(parts->group);
	free(parts->state);
	free(parts->event);
	free(parts->project);
	free(parts->vms);
	free(parts->url);
}

static void write_line(FILE *stream, const char *name, const char *text)
{
	if (*text)
		(void)fprintf(stream, "%-9s%s\n", name, text);
}

/* NULL when memory is out. */
static char *make_text(const struct notify_alert *alert, const struct parts *parts)
{
	char time[CLOCK_TEXT_SIZE], level[16], *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	(void)fprintf(stream, "%s\n\n", parts->summary);
	(void)snprintf(level, sizeof(level), "%u", alert->level);
	(void)fprintf(stream, "alarm    %lld, %s\n", (long long)alert->alarm, parts->state);
	write_line(stream, "event", parts->event);
	write_line(stream, "group", parts->group);
	write_line(stream, "VMs", parts->vms);
	write_line(stream, "project", parts->project);
	write_line(stream, "level", level);
	write_line(stream, "opened", clock_format(alert->opened_usec, time));
	if (alert->closed_usec)
		write_line(stream, "closed", clock_format(alert->closed_usec, time));
	if (*parts->details)
		(void)fprintf(stream, "\n%s\n", parts->details);
	if (*parts->url)
		(void)fprintf(stream, "\n%s\n", parts->url);
	return finish_text(stream, &text);
}

static void write_identity(FILE *stream, const struct notify_receiver *receiver,
			   const struct notify_alert *alert)
{
	const char *at = strchr(receiver->from, '@');
	const char *host = at && at[1] ? at + 1 : "localhost";
	uint64_t random = 0;

	(void)getrandom(&random, sizeof(random), 0); /* the time is most of it */
	(void)fprintf(stream, "Message-ID: <atom.%lld.%lld.%016llx@%s>\n", (long long)alert->alarm,
		      (long long)alert->time_usec, (unsigned long long)random, host);
	/* what is said of one alarm belongs together */
	(void)fprintf(stream, "References: <atom.%lld.%lld@%s>\n", (long long)alert->alarm,
		      (long long)alert->opened_usec, host);
}

static void write_headers(FILE *stream, const struct notify_receiver *receiver,
			  const struct notify_alert *alert, const char *subject)
{
	(void)fprintf(stream, "From: %s\nTo: ", receiver->from);
	for (size_t i = 0; i < receiver->to_count; i++)
		(void)fprintf(stream, "%s%s", i ? ",\n " : "", receiver->to[i]);
	(void)fputc('\n', stream);
	write_subject(stream, subject);
	write_date(stream, alert->time_usec);
	write_identity(stream, receiver, alert);
	(void)fputs("Auto-Submitted: auto-generated\n"
		    "MIME-Version: 1.0\n"
		    "Content-Type: text/plain; charset=utf-8\n"
		    "Content-Transfer-Encoding: quoted-printable\n\n",
		    stream);
}

/* "[firing] web2: NetworkOut up (alarm 7, opened)" */
static char *make_subject(const struct notify_alert *alert, const struct parts *parts)
{
	cleanup(free) char *summary = notify_clean(parts->summary, SUBJECT_MAX, NOTIFY_ONE_LINE);
	char *subject = NULL;

	if (!summary || asprintf(&subject, "[%s] %s (alarm %lld, %s)",
				 alert->status == NOTIFY_FIRING ? "firing" : "resolved", summary,
				 (long long)alert->alarm, parts->event) < 0)
		return NULL;
	return subject;
}

static char *make_message(const struct notify_receiver *receiver, const struct notify_alert *alert,
			  const struct parts *parts)
{
	cleanup(free) char *text = make_text(alert, parts), *subject = make_subject(alert, parts);
	char *message = NULL;
	size_t size;
	FILE *stream = text && subject ? open_memstream(&message, &size) : NULL;

	if (!stream)
		return NULL;
	write_headers(stream, receiver, alert, subject);
	write_quoted(stream, text);
	return finish_text(stream, &message);
}

char *notify_render_mail(const struct notify_receiver *receiver, const struct notify_alert *alert)
{
	char *message = NULL;
	struct parts parts;

	if (clean_parts(alert, &parts))
		message = make_message(receiver, alert, &parts);
	free_parts(&parts);
	return message;
}
