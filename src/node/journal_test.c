/* SPDX-License-Identifier: Apache-2.0 */
/* A journal that is written, closed and read again. */
#include "node/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"
#include "digest/digest.h"

DEFINE_CLEANUP(struct journal *, journal_free)

enum { TEXT_SIZE = 65536, PATH_SIZE = 96 };

#define DAY_USEC (86400 * USEC_PER_SEC)

struct world {
	char folder[40], path[PATH_SIZE];
	struct journal *journal;
};

static void open_journal(struct world *world)
{
	world->journal = journal_new(world->path);
	if (!world->journal)
		abort();
}

static void open_world(struct world *world)
{
	*world = (struct world){.folder = "/tmp/atom-journal-XXXXXX"};
	if (!mkdtemp(world->folder))
		abort();
	/* its folder is to be made too */
	(void)snprintf(world->path, sizeof(world->path), "%s/state/actions.journal", world->folder);
	log_init("journal_test", (enum log_level)0); /* what is complained of is in the tests */
	open_journal(world);
}

static void reopen(struct world *world)
{
	world->journal = journal_free(world->journal);
	open_journal(world);
}

static void close_world(struct world *world)
{
	char command[128];

	world->journal = journal_free(world->journal);
	(void)snprintf(command, sizeof(command), "rm -r %s", world->folder);
	if (system(command) != 0)
		abort();
}

static char *read_text(const struct world *world)
{
	static char text[TEXT_SIZE];
	FILE *stream = fopen(world->path, "re");

	text[stream ? fread(text, 1, sizeof(text) - 1, stream) : 0] = '\0';
	if (stream)
		(void)fclose(stream);
	return text;
}

static void write_text(const struct world *world, const char *text, const char *mode)
{
	FILE *stream = fopen(world->path, mode);

	if (!stream || fputs(text, stream) < 0 || fclose(stream) != 0)
		abort();
}

static struct wire_act make_act(uint64_t action, enum wire_act_kind kind)
{
	return (struct wire_act){.action = action,
				 .alarm = 5,
				 .vm = {.bytes = {0xb9, 1}},
				 .kind = kind,
				 .timeout_usec = USEC_PER_SEC,
				 .who = "operator anna",
				 .command = "",
				 .peer = "",
				 .address = ""};
}

static struct wire_act make_contain(uint64_t action, int64_t expiry_usec)
{
	struct wire_act act = make_act(action, WIRE_ACT_CONTAIN);

	act.peer = "192.0.2.7";
	act.expiry_usec = expiry_usec;
	return act;
}

static int begin(struct world *world, const struct wire_act *act)
{
	const struct journal_record record = {JOURNAL_BEGUN, act,  "web1",
					      "controller",  NULL, false};

	return journal_append(world->journal, &record, NULL);
}

static int end_as(struct world *world, const struct wire_act *act, enum wire_outcome_status status,
		  bool nothing_done)
{
	static uint8_t report[] = {0, 0x9a, 0xff};
	struct wire_outcome outcome = {.action = act->action,
				       .status = status,
				       .reason = "it is \"over\"",
				       .report = report,
				       .report_size = sizeof(report)};
	const struct journal_record record = {status == WIRE_OUTCOME_REFUSED ? JOURNAL_REFUSED
									     : JOURNAL_ENDED,
					      act,
					      "web1",
					      "controller",
					      &outcome,
					      nothing_done};

	return journal_append(world->journal, &record, NULL);
}

static int end(struct world *world, const struct wire_act *act, enum wire_outcome_status status)
{
	return end_as(world, act, status, false);
}

/* NULL: none. */
static const struct journal_containment *first_of(const struct world *world)
{
	int64_t wait_usec;

	return journal_first_containment(world->journal, &wait_usec);
}

/* Each line's seal by a second way: sha256 of what the seal of the line before and the text say. */
static bool is_chain(char *text)
{
	char seal[DIGEST_TEXT_SIZE] = "", joined[4096];

	for (char *line; (line = strsep(&text, "\n")) && *line;) {
		(void)snprintf(joined, sizeof(joined), "%s\n%s", seal, line + 65);
		if (digest_text(joined, strlen(joined), seal) < 0 || strncmp(seal, line, 64) != 0)
			return false;
	}
	return true;
}

static void test_journal_lines_are_sealed_in_a_chain(void)
{
	struct wire_act act = make_act(7, WIRE_ACT_END_PROCESS);
	struct world world;
	struct stat status;

	open_world(&world);
	act.pid = 114;
	act.start_nsec = 12345;
	act.command = "x\"\\y";
	check_int(begin(&world, &act), 0);
	check_int(end(&world, &act, WIRE_OUTCOME_DONE), 0);
	act = make_act(8, WIRE_ACT_PAUSE);
	check_int(end(&world, &act, WIRE_OUTCOME_REFUSED), 0);
	check_int(stat(world.path, &status), 0);
	check_int(status.st_mode & 0777, 0600);
	check(strstr(read_text(&world),
		     "\"event\":\"begun\",\"action\":7,\"alarm\":5,\"vm\":\"b9010000-0000-0000-"
		     "0000-"
		     "000000000000\",\"name\":\"web1\",\"kind\":\"end-process\",\"arguments\":{"
		     "\"pid\":114,\"start_nsec\":12345,\"command\":\"x\\\"\\\\y\"},\"who\":"
		     "\"operator anna\",\"controller\":\"controller\"}\n") != NULL);
	check(strstr(read_text(&world),
		     "\"controller\":\"controller\",\"status\":\"done\",\"reason\":\"it is "
		     "\\\"over\\\"\",\"report\":\"009aff\"}\n") != NULL);
	check(is_chain(read_text(&world)));
	reopen(&world);
	check_int(begin(&world, &act), 0);
	check(is_chain(read_text(&world)));
	close_world(&world);
}

static void test_journal_knows_what_was_before(void)
{
	struct wire_act done = make_act(1, WIRE_ACT_PAUSE), refused = make_act(2, WIRE_ACT_RESUME),
			fresh = make_act(3, WIRE_ACT_PAUSE), other = make_act(1, WIRE_ACT_RESUME);
	struct wire_outcome outcome;
	struct world world;

	open_world(&world);
	check_int(begin(&world, &done), 0);
	check_int(journal_find(world.journal, &done), JOURNAL_OPEN);
	check_int(end(&world, &done, WIRE_OUTCOME_PENDING), 0);
	check_int(end(&world, &refused, WIRE_OUTCOME_REFUSED), 0);
	for (int round = 0; round < 2; round++) {
		check_int(journal_find(world.journal, &done), JOURNAL_CLOSED);
		check_int(journal_find(world.journal, &refused), JOURNAL_CLOSED);
		check_int(journal_find(world.journal, &fresh), JOURNAL_NEW);
		check_int(journal_find(world.journal, &other), JOURNAL_OTHER);
		check_int(journal_outcome(world.journal, 1, &outcome, NULL), 0);
		check_int(outcome.action, 1);
		check_int(outcome.status, WIRE_OUTCOME_PENDING);
		check_string(outcome.reason, "it is \"over\"");
		check_int(outcome.report_size, 3);
		check(memcmp(outcome.report, "\0\x9a\xff", 3) == 0);
		free(outcome.reason);
		free(outcome.report);
		reopen(&world);
	}
	check_int(journal_outcome(world.journal, 3, &outcome, NULL), -ENOENT);
	/* who says it, and for how long, makes no other order */
	done.who = "operator otto";
	done.timeout_usec = 1;
	check_int(journal_find(world.journal, &done), JOURNAL_CLOSED);
	done.alarm = 6;
	check_int(journal_find(world.journal, &done), JOURNAL_OTHER);
	close_world(&world);
}

static void test_journal_begun_without_an_end_is_interrupted(void)
{
	struct wire_act act = make_act(9, WIRE_ACT_SNAPSHOT);
	struct wire_outcome outcome;
	struct world world;

	open_world(&world);
	check_int(begin(&world, &act), 0);
	for (int round = 0; round < 2; round++) {
		reopen(&world);
		check_int(journal_find(world.journal, &act), JOURNAL_CLOSED);
		check_int(journal_outcome(world.journal, 9, &outcome, NULL), 0);
		check_int(outcome.status, WIRE_OUTCOME_UNKNOWN);
		check_string(outcome.reason, "atom-node was ended in the middle of it; look again "
					     "before ordering anew");
		free(outcome.reason);
	}
	check(is_chain(read_text(&world)));
	check(strstr(read_text(&world), "\"event\":\"interrupted\"") != NULL);
	/* told once, however often it is started */
	check(strstr(strstr(read_text(&world), "interrupted") + 1, "\"interrupted\"") == NULL);
	close_world(&world);
}

/* The last line has no end: it stays, and the chain goes on from the last whole one. */
static void test_journal_cut_line_is_left_as_it_is(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE), next = make_act(2, WIRE_ACT_PAUSE);
	struct world world;
	char before[4096];

	open_world(&world);
	check_int(end(&world, &act, WIRE_OUTCOME_DONE), 0);
	write_text(&world, "0123abcd {\"time\":\"20", "ae");
	(void)snprintf(before, sizeof(before), "%s", read_text(&world));
	reopen(&world);
	check_int(journal_find(world.journal, &act), JOURNAL_CLOSED);
	check_int(end(&world, &next, WIRE_OUTCOME_DONE), 0);
	check(strncmp(read_text(&world), before, strlen(before)) == 0);
	check(strncmp(read_text(&world) + strlen(before), "~\n", 2) == 0);
	reopen(&world);
	check_int(journal_find(world.journal, &act), JOURNAL_CLOSED);
	check_int(journal_find(world.journal, &next), JOURNAL_CLOSED);
	close_world(&world);
}

/* A crash may take the end of the line alone. */
static void test_journal_whole_record_without_an_end_counts(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE), next = make_act(2, WIRE_ACT_PAUSE);
	struct wire_outcome outcome;
	struct world world;
	char text[4096];

	open_world(&world);
	check_int(end(&world, &act, WIRE_OUTCOME_DONE), 0);
	(void)snprintf(text, sizeof(text), "%s", read_text(&world));
	text[strlen(text) - 1] = '\0';
	write_text(&world, text, "we");
	reopen(&world);
	check_int(end(&world, &next, WIRE_OUTCOME_DONE), 0);
	check(is_chain(read_text(&world)));
	check_int(journal_outcome(world.journal, 1, &outcome, NULL), 0);
	free(outcome.reason);
	free(outcome.report);
	check_int(journal_outcome(world.journal, 2, &outcome, NULL), 0);
	free(outcome.reason);
	free(outcome.report);
	close_world(&world);
}

/* What the journal says on stderr while it is opened. */
static const char *complaints_of(struct world *world)
{
	static char text[4096];
	char path[PATH_SIZE];
	int saved = dup(STDERR_FILENO), fd;
	ssize_t size;

	(void)snprintf(path, sizeof(path), "%s/log", world->folder);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	(void)dup2(fd, STDERR_FILENO);
	log_init("journal_test", LOG_LEVEL_WARNING);
	reopen(world);
	log_init("journal_test", (enum log_level)0);
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	size = pread(fd, text, sizeof(text) - 1, 0);
	text[size > 0 ? size : 0] = '\0';
	(void)close(fd);
	return text;
}

static void test_journal_damage_is_named(void)
{
	static const struct {
		const char *from, *to, *complaint;
	} cases[] = {
		{"\"action\":2", "\"action\":5", ":2: the seal of this record does not fit"},
		{"\"done\"", "\"DONE\"", ":1: the seal of this record does not fit"},
		{"{\"time\"", "{\"tim\n\"",
		 ":1: part of a record, as a crash or a full disk leaves it"},
	};
	struct wire_act act;
	struct world world;
	char text[8192], *found;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_world(&world);
		for (uint64_t action = 1; action < 4; action++) {
			act = make_act(action, WIRE_ACT_PAUSE);
			check_int(end(&world, &act, WIRE_OUTCOME_DONE), 0);
		}
		(void)snprintf(text, sizeof(text), "%s", read_text(&world));
		check_string(complaints_of(&world), "");
		found = strstr(text, cases[i].from);
		if (i == 2)
			found = strchr(text, ' ') - 3; /* into the first seal */
		memcpy(found, cases[i].to, strlen(cases[i].to));
		write_text(&world, text, "we");
		check(strstr(complaints_of(&world), cases[i].complaint) != NULL);
		check(strstr(complaints_of(&world), world.path) != NULL);
		check_int(journal_find(world.journal, &act), JOURNAL_CLOSED); /* the third */
		close_world(&world);
	}
}

/* Each place, however much fits between them. */
static void test_journal_every_damage_is_named(void)
{
	struct wire_act act;
	struct world world;
	char text[TEXT_SIZE], name[32], *found;

	open_world(&world);
	for (uint64_t action = 1; action <= 50; action++) {
		act = make_act(action, WIRE_ACT_PAUSE);
		check_int(end(&world, &act, WIRE_OUTCOME_DONE), 0);
	}
	(void)snprintf(text, sizeof(text), "%s", read_text(&world));
	for (int action = 2; action <= 50; action += 2) {
		(void)snprintf(name, sizeof(name), "\"action\":%d,\"alarm\":5", action);
		found = strstr(text, name);
		found[strlen(name) - 1] = '6';
	}
	write_text(&world, text, "we");
	(void)snprintf(text, sizeof(text), "%s", complaints_of(&world));
	check(strstr(text, ":2: the seal of this record does not fit") != NULL);
	check(strstr(text, ":40: the seal of this record does not fit") != NULL);
	check(!strstr(text, ":42: ") && !strstr(text, ":3: "));
	check(strstr(text, "25 lines of 50") != NULL);
	close_world(&world);
}

/* A crash is told from a change wherever it cuts. */
static void test_journal_cut_anywhere_was_not_changed(void)
{
	struct wire_act first = make_act(1, WIRE_ACT_PAUSE), cut = make_act(2, WIRE_ACT_PAUSE),
			next = make_act(3, WIRE_ACT_PAUSE);
	size_t start, size;
	struct world world;
	char text[4096], part[4096];

	open_world(&world);
	check_int(end(&world, &first, WIRE_OUTCOME_DONE), 0);
	start = strlen(read_text(&world));
	check_int(end(&world, &cut, WIRE_OUTCOME_DONE), 0);
	(void)snprintf(text, sizeof(text), "%s", read_text(&world));
	size = strlen(text);
	for (size_t i = start; i <= size; i++) {
		bool is_whole = i >= size - 1, is_part = !is_whole && i > start;

		(void)snprintf(part, sizeof(part), "%.*s", (int)i, text);
		write_text(&world, part, "we");
		reopen(&world);
		check_int(journal_find(world.journal, &cut),
			  is_whole ? JOURNAL_CLOSED : JOURNAL_NEW);
		check_int(end(&world, &next, WIRE_OUTCOME_DONE), 0);
		check(!strstr(complaints_of(&world), "was changed"));
		check_int(strstr(complaints_of(&world), ":2: part of a record") != NULL, is_part);
		check_int(journal_find(world.journal, &next), JOURNAL_CLOSED);
		check_int(journal_find(world.journal, &cut),
			  is_whole ? JOURNAL_CLOSED : JOURNAL_NEW);
	}
	close_world(&world);
}

/* Who makes a whole record look cut is found out. */
static void test_journal_record_that_was_made_none_is_missed(void)
{
	struct wire_act act;
	struct world world;
	char text[4096];

	open_world(&world);
	for (uint64_t action = 1; action <= 2; action++) {
		act = make_act(action, WIRE_ACT_PAUSE);
		check_int(end(&world, &act, WIRE_OUTCOME_DONE), 0);
	}
	(void)snprintf(text, sizeof(text), "%s", read_text(&world));
	strchr(text, '}')[0] = '~';
	write_text(&world, text, "we");
	check(strstr(complaints_of(&world), ":1: part of a record") != NULL);
	check(strstr(complaints_of(&world), ":2: the seal of this record does not fit") != NULL);
	close_world(&world);
}

static void test_journal_containments_in_force(void)
{
	struct wire_act first = make_contain(1, DAY_USEC), second = make_contain(2, 60000000),
			third = make_contain(3, USEC_PER_SEC), release;
	const struct vm_uuid other = {.bytes = {1}};
	struct world world;
	int64_t now_usec = clock_wall_usec();

	open_world(&world);
	check(!first_of(&world));
	check_int(begin(&world, &first), 0);
	check_int(end(&world, &first, WIRE_OUTCOME_DONE), 0);
	check_int(begin(&world, &second), 0);
	check_int(end(&world, &second, WIRE_OUTCOME_FAILED), 0); /* perhaps it is */
	check_int(begin(&world, &third), 0);                     /* interrupted */
	for (int round = 0; round < 2; round++) {
		reopen(&world);
		check_int(journal_containment_count(world.journal), 3);
		check_int(first_of(&world)->action, 3);
		check_string(first_of(&world)->name, "web1");
	}
	check_int(journal_find_containment(world.journal, 1, &first.vm),
		  JOURNAL_CONTAINMENT_IN_FORCE);
	check_int(journal_find_containment(world.journal, 1, &other), JOURNAL_CONTAINMENT_NONE);
	check_int(journal_find_containment(world.journal, 4, &first.vm),
		  JOURNAL_CONTAINMENT_UNKNOWN);
	journal_put_off_containment(world.journal, 3); /* and the next one has its turn */
	check_int(first_of(&world)->action, 2);
	reopen(&world);
	release = make_act(0, WIRE_ACT_RELEASE);
	release.undoes = 3;
	check_int(end(&world, &release, WIRE_OUTCOME_FAILED), 0);
	check_int(first_of(&world)->action, 3);
	check_int(end(&world, &release, WIRE_OUTCOME_DONE), 0);
	check_int(first_of(&world)->action, 2);
	check_near((double)(first_of(&world)->until_usec - now_usec), 60e6, 5e6);
	reopen(&world);
	check_int(journal_containment_count(world.journal), 2);
	check_int(journal_find_containment(world.journal, 3, &first.vm), JOURNAL_CONTAINMENT_OVER);
	check_int(end_as(&world, &first, WIRE_OUTCOME_FAILED, true), 0); /* it is not */
	check_int(journal_containment_count(world.journal), 1);
	check_int(journal_find_containment(world.journal, 1, &first.vm), JOURNAL_CONTAINMENT_OVER);
	check(strstr(read_text(&world), "\"nothing_done\":true}\n") != NULL);
	reopen(&world);
	check_int(journal_containment_count(world.journal), 1);
	check_int(end(&world, &second, WIRE_OUTCOME_REFUSED), 0);
	check_int(journal_containment_count(world.journal), 0);
	check_int(journal_find_containment(world.journal, 2, &first.vm), JOURNAL_CONTAINMENT_NONE);
	close_world(&world);
}

/* As if the clock had been set forward since, and as after another start of the machine. */
static void test_journal_containment_lasts_by_the_clock_of_the_boot(void)
{
	struct wire_act act = make_contain(1, DAY_USEC);
	char text[TEXT_SIZE], *found;
	struct world world;
	int64_t wait_usec = 0;

	open_world(&world);
	check_int(begin(&world, &act), 0);
	(void)snprintf(text, sizeof(text), "%s", read_text(&world));
	found = strstr(text, "\"time\":\"20");
	check(found && strstr(text, "\"boot_usec\":"));
	memcpy(found, "\"time\":\"19", strlen("\"time\":\"19"));
	write_text(&world, text, "we");
	reopen(&world);
	check(journal_first_containment(world.journal, &wait_usec) != NULL);
	check_near((double)wait_usec, (double)DAY_USEC, 60e6);
	found = strstr(text, "\"boot\":\"") + strlen("\"boot\":\"");
	*found = *found == '0' ? '1' : '0';
	write_text(&world, text, "we");
	reopen(&world);
	check(journal_first_containment(world.journal, &wait_usec) != NULL);
	check(wait_usec < 0);
	close_world(&world);
}

/* Also one for which there was no room is not over before it has been released. */
static void test_journal_containment_is_over_when_it_was_released(void)
{
	enum { LAST = JOURNAL_CONTAINMENTS_MAX + 1 };
	struct wire_act act = make_contain(1, DAY_USEC), release = make_act(0, WIRE_ACT_RELEASE);
	struct world world;

	open_world(&world);
	for (; act.action <= LAST; act.action++)
		check_int(begin(&world, &act), 0);
	check_int(journal_containment_count(world.journal), JOURNAL_CONTAINMENTS_MAX);
	check_int(journal_find_containment(world.journal, LAST, &act.vm),
		  JOURNAL_CONTAINMENT_IN_FORCE);
	release.undoes = LAST;
	check_int(end(&world, &release, WIRE_OUTCOME_DONE), 0);
	for (int round = 0; round < 2; round++) {
		check_int(journal_find_containment(world.journal, LAST, &act.vm),
			  JOURNAL_CONTAINMENT_OVER);
		reopen(&world);
	}
	close_world(&world);
}

static void test_journal_that_cannot_be_had_says_why(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE);
	const struct journal_record record = {JOURNAL_BEGUN, &act, "web1",
					      "controller",  NULL, false};
	static const char *const paths[] = {"", "/proc/none/actions.journal", "/dev/null", "/tmp"};
	struct error err = ERROR_INIT;
	struct journal *second;
	struct world world;

	open_world(&world);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cleanup(journal_free) struct journal *journal = journal_new(paths[i]);

		check(journal != NULL);
		check(journal_append(journal, &record, &err) < 0);
		check(strstr(err.text, i ? paths[i] : "names no file") != NULL);
		check_int(journal_find(journal, &act), i < 2 ? JOURNAL_NEW : JOURNAL_UNREAD);
	}
	second = journal_new(world.path);
	check_int(journal_append(second, &record, &err), -EWOULDBLOCK);
	check(strstr(err.text, "another atom-node's") != NULL);
	check_string(journal_trouble(second), err.text);
	journal_free(second);
	close_world(&world);
}

/* Wherever the disk is full, also before the end of the line alone. */
static void test_journal_half_a_line_is_no_record(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE), failed = make_act(2, WIRE_ACT_PAUSE),
			next = make_act(3, WIRE_ACT_PAUSE);
	struct rlimit old, limit;
	struct world world;
	char text[4096];
	size_t size;

	open_world(&world);
	check_int(end(&world, &act, WIRE_OUTCOME_DONE), 0);
	(void)snprintf(text, sizeof(text), "%s", read_text(&world));
	check_int(begin(&world, &failed), 0);
	size = strlen(read_text(&world));
	check_int(getrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (size_t i = strlen(text); i < size; i++) {
		write_text(&world, text, "we");
		reopen(&world);
		limit = (struct rlimit){i, old.rlim_max};
		check_int(setrlimit(RLIMIT_FSIZE, &limit), 0);
		check_int(begin(&world, &failed), -EFBIG);
		check_int(setrlimit(RLIMIT_FSIZE, &old), 0);
		check_int(end(&world, &next, WIRE_OUTCOME_DONE), 0);
		check(!strstr(complaints_of(&world), "was changed"));
		check_int(journal_find(world.journal, &failed), JOURNAL_NEW);
		check_int(journal_find(world.journal, &next), JOURNAL_CLOSED);
	}
	close_world(&world);
}

/* The disk is full in the middle of a line. */
static void test_journal_half_a_line_is_not_continued(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE), next = make_act(2, WIRE_ACT_PAUSE);
	struct rlimit old, limit;
	struct world world;

	open_world(&world);
	check_int(begin(&world, &act), 0);
	check_int(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){strlen(read_text(&world)) + 100, old.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	check_int(setrlimit(RLIMIT_FSIZE, &limit), 0);
	check_int(begin(&world, &next), -EFBIG);
	check_int(end(&world, &act, WIRE_OUTCOME_DONE), -EFBIG);
	check_int(setrlimit(RLIMIT_FSIZE, &old), 0);
	check_int(journal_find(world.journal, &next), JOURNAL_NEW);
	check_int(journal_find(world.journal, &act), JOURNAL_CLOSED);
	check_int(journal_outcome(world.journal, 1, &(struct wire_outcome){0}, NULL), -EIO);
	check_int(begin(&world, &next), 0);
	check_int(end(&world, &next, WIRE_OUTCOME_DONE), 0);
	reopen(&world);
	check_int(journal_find(world.journal, &next), JOURNAL_CLOSED);
	check(strstr(read_text(&world), "\"event\":\"interrupted\",\"action\":1,") != NULL);
	close_world(&world);
}

static void test_journal_remembers_the_newest(void)
{
	struct wire_act act;
	struct world world;

	open_world(&world);
	for (uint64_t action = 1; action <= JOURNAL_ACTIONS_MAX + 2; action++) {
		act = make_act(action, WIRE_ACT_PAUSE);
		check_int(end(&world, &act, WIRE_OUTCOME_REFUSED), 0);
	}
	for (int round = 0; round < 2; round++) {
		act.action = 2;
		check_int(journal_find(world.journal, &act), JOURNAL_NEW);
		act.action = 3;
		check_int(journal_find(world.journal, &act), JOURNAL_CLOSED);
		reopen(&world);
	}
	close_world(&world);
}

TEST_MAIN(TEST(test_journal_lines_are_sealed_in_a_chain), TEST(test_journal_knows_what_was_before),
	  TEST(test_journal_begun_without_an_end_is_interrupted),
	  TEST(test_journal_cut_line_is_left_as_it_is),
	  TEST(test_journal_whole_record_without_an_end_counts), TEST(test_journal_damage_is_named),
	  TEST(test_journal_every_damage_is_named), TEST(test_journal_cut_anywhere_was_not_changed),
	  TEST(test_journal_record_that_was_made_none_is_missed),
	  TEST(test_journal_containments_in_force),
	  TEST(test_journal_containment_lasts_by_the_clock_of_the_boot),
	  TEST(test_journal_containment_is_over_when_it_was_released),
	  TEST(test_journal_that_cannot_be_had_says_why),
	  TEST(test_journal_half_a_line_is_no_record),
	  TEST(test_journal_half_a_line_is_not_continued), TEST(test_journal_remembers_the_newest))
