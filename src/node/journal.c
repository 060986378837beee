/* SPDX-License-Identifier: Apache-2.0 */
#include "node/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/journal_record.h"

enum {
	SEAL_LENGTH = DIGEST_TEXT_SIZE - 1,
	RESERVE_SIZE = 4 << 20, /* for the ends of what is begun */
	COMPLAINTS_MAX = 20,
};

/* Makes what stands before it on its line no record, whatever it is. */
#define DISCARD "~\n"

#define DELAY_USEC_MIN (60 * USEC_PER_SEC)
#define DELAY_USEC_MAX (3600 * USEC_PER_SEC)

DEFINE_CLEANUP(json_t *, json_decref)

/* What is remembered of an action. */
struct known {
	uint64_t action;
	enum journal_event event; /* the last */
	enum wire_act_kind kind;
	struct vm_uuid vm;
	bool has_line; /* false: its end could not be written */
	bool is_over;  /* a containment: it is not in force, for certain */
	off_t offset;  /* of the line of that event */
	size_t length;
	char order[DIGEST_TEXT_SIZE];
};

struct journal {
	char *path;
	int fd; /* -1: cannot be had, `trouble` says why */
	struct error trouble;
	bool is_unread; /* there may be records in it */
	off_t size;
	const char *before;          /* the next record: ends a last line that has no end */
	char seal[DIGEST_TEXT_SIZE]; /* of the last record; "" before the first */
	size_t lines, bad_lines;
	char boot[RECORD_BOOT_SIZE]; /* "": not known */
	struct known *known; /* JOURNAL_ACTIONS_MAX; the one after the newest is the oldest */
	size_t known_count, newest;
	struct journal_containment containments[JOURNAL_CONTAINMENTS_MAX];
	size_t containment_count;
};

/* What is remembered */

static struct known *find_known(const struct journal *journal, uint64_t action)
{
	for (size_t i = 0; action != 0 && i < journal->known_count; i++)
		if (journal->known[i].action == action)
			return &journal->known[i];
	return NULL;
}

/* The oldest gives way. */
static struct known *add_known(struct journal *journal, uint64_t action)
{
	if (journal->known_count < JOURNAL_ACTIONS_MAX)
		journal->newest = journal->known_count++;
	else
		journal->newest = (journal->newest + 1) % JOURNAL_ACTIONS_MAX;
	journal->known[journal->newest] = (struct known){.action = action};
	return &journal->known[journal->newest];
}

static void add_containment(struct journal *journal, const struct record_summary *summary)
{
	struct journal_containment *containment;

	if (journal->containment_count == JOURNAL_CONTAINMENTS_MAX)
		return; /* whoever begins one asks first; the action itself is known */
	containment = &journal->containments[journal->containment_count++];
	*containment = (struct journal_containment){.action = summary->action,
						    .vm = summary->vm,
						    .until_usec = summary->time.wall_usec +
								  summary->expiry_usec};
	if (*summary->time.boot && strcmp(summary->time.boot, journal->boot) == 0)
		containment->until_boot_usec = summary->time.boot_usec + summary->expiry_usec;
	(void)snprintf(containment->name, sizeof(containment->name), "%s", summary->name);
}

static void end_containment(struct journal *journal, uint64_t action)
{
	struct known *known = find_known(journal, action);

	if (known && known->kind == WIRE_ACT_CONTAIN)
		known->is_over = true;
	for (size_t i = 0; i < journal->containment_count; i++)
		if (journal->containments[i].action == action) {
			journal->containments[i] =
				journal->containments[--journal->containment_count];
			return;
		}
}

/* A failed containment may be in force all the same, where it is not known that nothing was done.
 */
static void follow_containment(struct journal *journal, const struct record_summary *summary)
{
	bool is_over = summary->event != JOURNAL_BEGUN;

	if (summary->kind == WIRE_ACT_CONTAIN && !is_over)
		add_containment(journal, summary);
	else if (summary->kind == WIRE_ACT_CONTAIN &&
		 (summary->status == WIRE_OUTCOME_REFUSED || summary->nothing_done))
		end_containment(journal, summary->action);
	else if (summary->kind == WIRE_ACT_RELEASE && is_over &&
		 summary->status == WIRE_OUTCOME_DONE)
		end_containment(journal, summary->undoes);
}

static void follow(struct journal *journal, const struct record_summary *summary, off_t offset,
		   size_t length)
{
	struct known *known = find_known(journal, summary->action);

	if (!known && summary->action != 0)
		known = add_known(journal, summary->action);
	if (known) {
		known->event = summary->event;
		known->kind = summary->kind;
		known->vm = summary->vm;
		known->has_line = true;
		known->offset = offset;
		known->length = length;
		memcpy(known->order, summary->order, sizeof(known->order));
	}
	follow_containment(journal, summary);
}

/* Reading */

static void complain(struct journal *journal, enum log_level level, const char *what)
{
	if (journal->bad_lines++ < COMPLAINTS_MAX)
		log_write(level, "%s:%zu: %s", journal->path, journal->lines, what);
}

/* `text` is a line of so many bytes without its end. */
static bool is_sealed(const char *text, size_t length)
{
	return length > SEAL_LENGTH && strlen(text) == length &&
	       strspn(text, "0123456789abcdef") == SEAL_LENGTH && text[SEAL_LENGTH] == ' ';
}

/* A whole record carries the chain on whether or not it fits, so that each place that was changed
 * is complained of, and those after it still hold each other. What is none is outside of the chain:
 * the record after it is sealed with the one before it, so that who makes a record into none is
 * found out by the next one. */
static void check_seal(struct journal *journal, const char *text)
{
	char seal[DIGEST_TEXT_SIZE];

	if (digest_seal(journal->seal, text + SEAL_LENGTH + 1, seal) < 0 ||
	    strncmp(seal, text, SEAL_LENGTH) != 0)
		complain(journal, LOG_LEVEL_ERROR,
			 "the seal of this record does not fit what stands before it: the "
			 "file was changed");
	(void)snprintf(journal->seal, sizeof(journal->seal), "%.*s", SEAL_LENGTH, text);
}

/* Whether it is a whole record. */
static bool take_line(struct journal *journal, const char *text, size_t length, off_t offset)
{
	struct record_summary summary;
	cleanup(json_decref) json_t *record = NULL;

	journal->lines++;
	if (is_sealed(text, length))
		record = json_loads(text + SEAL_LENGTH + 1, JSON_REJECT_DUPLICATES, NULL);
	if (!record) {
		complain(journal, LOG_LEVEL_WARNING,
			 "part of a record, as a crash or a full disk leaves it");
		return false;
	}
	check_seal(journal, text);
	if (record_read(record, &summary) < 0)
		complain(journal, LOG_LEVEL_ERROR, "a record that makes no sense");
	else
		follow(journal, &summary, offset, length);
	return true;
}

static int read_lines(struct journal *journal, FILE *stream, struct error *err)
{
	cleanup(free) char *line = NULL;
	size_t room = 0;
	ssize_t size;

	while ((size = getline(&line, &room, stream)) > 0) {
		bool has_end = line[size - 1] == '\n', is_record;

		if (has_end)
			line[size - 1] = '\0';
		is_record = take_line(journal, line, (size_t)size - has_end, journal->size);
		journal->before = has_end ? "" : is_record ? "\n" : DISCARD;
		journal->size += size;
	}
	if (ferror(stream))
		return error_set_errno(err, -errno, "%s", journal->path);
	if (journal->bad_lines > COMPLAINTS_MAX)
		log_error("%s: so it is with %zu lines of %zu, of which these are the first %d",
			  journal->path, journal->bad_lines, journal->lines, COMPLAINTS_MAX);
	return 0;
}

static int read_file(struct journal *journal, struct error *err)
{
	int fd = fcntl(journal->fd, F_DUPFD_CLOEXEC, 0), r;
	FILE *stream = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (!stream) {
		r = error_set_errno(err, -errno, "%s", journal->path);
		if (fd >= 0)
			(void)close(fd); /* nothing was read */
		return r;
	}
	r = read_lines(journal, stream, err);
	(void)fclose(stream); /* only read */
	return r;
}

/* One record by itself; owned. */
static json_t *read_record(const struct journal *journal, const struct known *known)
{
	cleanup(free) char *text = malloc(known->length + 1);

	if (!text ||
	    pread(journal->fd, text, known->length, known->offset) != (ssize_t)known->length)
		return NULL;
	text[known->length] = '\0';
	return json_loads(text + SEAL_LENGTH + 1, 0, NULL);
}

/* Writing */

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, data, size);

		if (done < 0 && errno != EINTR)
			return -errno;
		data += done > 0 ? done : 0;
		size -= done > 0 ? (size_t)done : 0;
	}
	return 0;
}

/* What a failed write has left is no record, even if only the line's end is missing: who asked was
 * told that it is not recorded. */
static int write_line(struct journal *journal, const char *line, size_t size, struct error *err)
{
	int r = write_all(journal->fd, line, size);
	off_t end = lseek(journal->fd, 0, SEEK_END);

	if (r < 0) {
		if (end > journal->size)
			journal->before = DISCARD;
		journal->size = end;
		return error_set_errno(err, r, "%s", journal->path);
	}
	journal->size = end;
	journal->before = "";
	return 0;
}

static int append(struct journal *journal, const json_t *record, struct error *err)
{
	cleanup(free) char *text = json_dumps(record, JSON_COMPACT), *line = NULL;
	char seal[DIGEST_TEXT_SIZE];
	struct record_summary summary;
	int size, r;

	if (!text || record_read(record, &summary) < 0)
		return error_set(err, -EINVAL, "this action makes no record");
	if (digest_seal(journal->seal, text, seal) < 0)
		return error_set(err, -EIO, "this machine's libcrypto makes no SHA-256");
	size = asprintf(&line, "%s%s %s\n", journal->before, seal, text);
	if (size < 0) {
		line = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	r = write_line(journal, line, (size_t)size, err);
	if (r < 0)
		return r;
	memcpy(journal->seal, seal, sizeof(seal));
	size = (int)(SEAL_LENGTH + 1 + strlen(text));
	follow(journal, &summary, journal->size - 1 - size, (size_t)size);
	if (summary.event != JOURNAL_REFUSED && fdatasync(journal->fd) < 0)
		return error_set_errno(err, -errno, "%s", journal->path);
	return 0;
}

/* This process knows it all the same; the next one asks again, and finds out. */
static void note_unwritten_end(struct journal *journal, const struct journal_record *record)
{
	struct known *known = find_known(journal, record->act->action);
	const struct record_summary summary = {.event = record->event,
					       .action = record->act->action,
					       .kind = record->act->kind,
					       .status = record->outcome->status,
					       .nothing_done = record->nothing_done,
					       .undoes = record->act->undoes};

	if (known) {
		known->event = record->event;
		known->has_line = false;
	}
	follow_containment(journal, &summary);
}

static int try_append(struct journal *journal, const struct journal_record *record,
		      struct error *err)
{
	bool is_end = record->event == JOURNAL_ENDED || record->event == JOURNAL_INTERRUPTED;
	cleanup(json_decref) json_t *object = NULL;
	struct record_time time;

	if (journal->fd < 0)
		return error_set(err, journal->trouble.code, "%s", journal->trouble.text);
	if (journal->size > JOURNAL_SIZE_MAX - (is_end ? 0 : RESERVE_SIZE))
		return error_set(err, -EFBIG,
				 "%s is full: atom-node(8) says how to begin a new one",
				 journal->path);
	time.wall_usec = clock_wall_usec();
	time.boot_usec = clock_boot_usec();
	(void)snprintf(time.boot, sizeof(time.boot), "%s", journal->boot);
	object = record_make(record, &time);
	if (!object)
		return error_set(err, -ENOMEM, "this action makes no record");
	return append(journal, object, err);
}

int journal_append(struct journal *journal, const struct journal_record *record, struct error *err)
{
	int r = try_append(journal, record, err);

	if (r < 0 && record->event != JOURNAL_BEGUN)
		note_unwritten_end(journal, record);
	return r;
}

/* Asking */

enum journal_state journal_find(const struct journal *journal, const struct wire_act *act)
{
	const struct known *known = find_known(journal, act->action);
	char order[DIGEST_TEXT_SIZE];

	if (journal->is_unread)
		return JOURNAL_UNREAD;
	if (!known)
		return JOURNAL_NEW;
	if (record_order(act, order) < 0 || strcmp(order, known->order) != 0)
		return JOURNAL_OTHER;
	return known->event == JOURNAL_BEGUN ? JOURNAL_OPEN : JOURNAL_CLOSED;
}

int journal_outcome(const struct journal *journal, uint64_t action,
		    struct wire_outcome *ret_outcome, struct error *err)
{
	const struct known *known = find_known(journal, action);
	cleanup(json_decref) json_t *record = NULL;
	int r;

	if (!known)
		return error_set(err, -ENOENT, "no such action is known");
	if (!known->has_line)
		return error_set(err, -EIO, "its end could not be recorded; look again");
	record = read_record(journal, known);
	if (!record)
		return error_set(err, -EIO, "its record cannot be read again; look again");
	r = record_read_outcome(record, ret_outcome);
	return r < 0 ? error_set(err, r, "its record makes no sense; look again") : 0;
}

const char *journal_trouble(const struct journal *journal)
{
	return journal->trouble.text;
}

size_t journal_containment_count(const struct journal *journal)
{
	return journal->containment_count;
}

int64_t journal_containment_left_usec(const struct journal_containment *containment)
{
	return containment->until_boot_usec > 0 ? containment->until_boot_usec - clock_boot_usec()
						: containment->until_usec - clock_wall_usec();
}

static int64_t wait_usec(const struct journal_containment *containment)
{
	int64_t delay_usec = containment->not_before_usec - clock_mono_usec();
	int64_t time_usec = journal_containment_left_usec(containment);

	return containment->delay_usec > 0 && delay_usec > time_usec ? delay_usec : time_usec;
}

const struct journal_containment *journal_first_containment(const struct journal *journal,
							    int64_t *ret_wait_usec)
{
	const struct journal_containment *first = NULL;
	int64_t least_usec = INT64_MAX;

	for (size_t i = 0; i < journal->containment_count; i++) {
		int64_t usec = wait_usec(&journal->containments[i]);

		if (usec >= least_usec)
			continue;
		least_usec = usec;
		first = &journal->containments[i];
	}
	if (first)
		*ret_wait_usec = least_usec;
	return first;
}

static struct journal_containment *find_containment(struct journal *journal, uint64_t action)
{
	for (size_t i = 0; i < journal->containment_count; i++)
		if (journal->containments[i].action == action)
			return &journal->containments[i];
	return NULL;
}

void journal_put_off_containment(struct journal *journal, uint64_t action)
{
	struct journal_containment *found = find_containment(journal, action);

	if (!found)
		return;
	found->delay_usec = found->delay_usec > 0 ? 2 * found->delay_usec : DELAY_USEC_MIN;
	if (found->delay_usec > DELAY_USEC_MAX)
		found->delay_usec = DELAY_USEC_MAX;
	found->not_before_usec = clock_mono_usec() + found->delay_usec;
}

enum journal_containment_state journal_find_containment(const struct journal *journal,
							uint64_t action, const struct vm_uuid *vm)
{
	const struct known *known = find_known(journal, action);

	for (size_t i = 0; i < journal->containment_count; i++)
		if (journal->containments[i].action == action)
			return vm_uuid_equal(&journal->containments[i].vm, vm)
				       ? JOURNAL_CONTAINMENT_IN_FORCE
				       : JOURNAL_CONTAINMENT_NONE;
	if (!known)
		return JOURNAL_CONTAINMENT_UNKNOWN;
	if (known->kind != WIRE_ACT_CONTAIN || known->event == JOURNAL_REFUSED ||
	    !vm_uuid_equal(&known->vm, vm))
		return JOURNAL_CONTAINMENT_NONE;
	return known->is_over ? JOURNAL_CONTAINMENT_OVER : JOURNAL_CONTAINMENT_IN_FORCE;
}

const struct journal_containment *journal_containment_at(const struct journal *journal,
							 size_t place)
{
	return &journal->containments[place];
}

int journal_read_flow(const struct journal *journal, uint64_t action, struct journal_flow *ret_flow)
{
	const struct known *known = find_known(journal, action);
	cleanup(json_decref) json_t *record = NULL;

	if (!known || known->event != JOURNAL_ENDED || !known->has_line)
		return -ENOENT;
	record = read_record(journal, known);
	return record ? record_read_flow(record, ret_flow) : -EIO;
}

/* Life */

/* So that the file's name is on the disk as well. */
static void sync_folder(const char *folder)
{
	cleanup(close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		(void)fsync(fd); /* some file systems cannot */
}

static int open_file(struct journal *journal, struct error *err)
{
	char copy[PATH_MAX];
	const char *folder;
	struct stat status;

	if (snprintf(copy, sizeof(copy), "%s", journal->path) >= (int)sizeof(copy))
		return error_set(err, -ENAMETOOLONG, "action.journal: the path is too long");
	folder = dirname(copy);
	(void)mkdir(folder, 0700); /* what fails here fails clearly below */
	journal->fd =
		open(journal->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (journal->fd < 0)
		return error_set_errno(err, -errno, "%s", journal->path);
	if (fstat(journal->fd, &status) < 0 || !S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "%s is no file", journal->path);
	if (flock(journal->fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -errno, "%s is another atom-node's", journal->path);
	sync_folder(folder);
	return 0;
}

static void close_interrupted(struct journal *journal)
{
	struct error err = ERROR_INIT;
	int r = 0;

	for (size_t i = 0; i < journal->known_count && r >= 0; i++) {
		const struct known *known = &journal->known[i];
		cleanup(json_decref) json_t *begun = NULL, *record = NULL;

		if (known->event != JOURNAL_BEGUN)
			continue;
		log_warning("action %llu was begun and has no end: nobody knows what became of it",
			    (unsigned long long)known->action);
		begun = read_record(journal, known);
		record = begun ? record_make_interrupted(begun, clock_wall_usec()) : NULL;
		r = record ? append(journal, record, &err) : -ENOMEM;
	}
	if (r < 0)
		log_error("an interruption cannot be recorded: %s", error_text(&err, r));
}

/* Which start of the machine this is. */
static void read_boot(char ret_boot[RECORD_BOOT_SIZE])
{
	FILE *stream = fopen("/proc/sys/kernel/random/boot_id", "re");
	size_t size = stream ? fread(ret_boot, 1, RECORD_BOOT_SIZE - 1, stream) : 0;

	ret_boot[size] = '\0';
	if (stream)
		(void)fclose(stream); /* only read */
}

static int start(struct journal *journal, struct error *err)
{
	int r = *journal->path ? open_file(journal, err)
			       : error_set(err, -ENOENT, "action.journal names no file");

	if (r == 0)
		r = read_file(journal, err);
	return r;
}

struct journal *journal_new(const char *path)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	int r;

	if (!journal)
		return NULL;
	journal->fd = -1;
	journal->before = "";
	read_boot(journal->boot);
	journal->path = strdup(path);
	journal->known = calloc(JOURNAL_ACTIONS_MAX, sizeof(*journal->known));
	if (!journal->path || !journal->known)
		return journal_free(journal);
	r = start(journal, &journal->trouble);
	if (r == 0) {
		close_interrupted(journal);
		return journal;
	}
	journal->is_unread = r != -ENOENT && r != -ENOTDIR;
	log_error("no action will be carried out: %s", error_text(&journal->trouble, r));
	if (journal->fd >= 0)
		(void)close(journal->fd); /* nothing was written */
	journal->fd = -1;
	return journal;
}

struct journal *journal_free(struct journal *journal)
{
	if (!journal)
		return NULL;
	if (journal->fd >= 0)
		(void)close(journal->fd); /* what counts was synced */
	free(journal->path);
	free(journal->known);
	free(journal);
	return NULL;
}
