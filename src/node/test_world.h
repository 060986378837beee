#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the actor share: one with shell scripts in the places of atom-vmi and nft,
 * which run in its folder. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"
#include "node/actor.h"
#include "wire/report.h"

DEFINE_CLEANUP(struct report *, report_free)

enum { PATH_SIZE = 128, ANSWERS_MAX = 96, TEXT_SIZE = 65536 };

static const char uuid[] = "b9f1a1c2-0000-4000-8000-000000000001";

struct given {
	uint64_t action;
	enum wire_outcome_status status;
	char reason[WIRE_NAME_MAX + 1];
	uint8_t *report;
	size_t report_size;
	bool fits; /* into a message */
};

struct world {
	char folder[40], program[PATH_SIZE], nft[PATH_SIZE], evidence[PATH_SIZE],
		path[PATH_SIZE]; /* of the journal */
	uv_loop_t loop;
	struct policy_rule rule;
	struct policy policy;
	struct journal *journal;
	struct actor *actor;
	int tap_count; /* negative: an errno */
	size_t card_count;
	uint64_t memory;
	struct given answers[ANSWERS_MAX];
	size_t answered;
};

static char *const all_actions[] = {"end-process", "contain", "pause", "snapshot"};

static inline void on_answer(void *userdata, const struct wire_outcome *outcome)
{
	struct world *world = userdata;
	struct given *given = &world->answers[world->answered++];
	struct wire_message message = {.type = WIRE_OUTCOME, .outcome = *outcome};
	cleanup(free) uint8_t *data = NULL;
	size_t size;

	*given = (struct given){.action = outcome->action,
				.status = outcome->status,
				.report = malloc(outcome->report_size + 1),
				.report_size = outcome->report_size,
				.fits = wire_encode(&message, &data, &size, NULL) == 0};
	(void)snprintf(given->reason, sizeof(given->reason), "%s", outcome->reason);
	if (outcome->report_size > 0)
		memcpy(given->report, outcome->report, outcome->report_size);
}

static inline int give_taps(void *userdata, const struct vm_uuid *vm,
			    char (*ret_names)[HYPERVISOR_TAP_SIZE], size_t capacity,
			    size_t *ret_cards)
{
	const struct world *world = userdata;

	*ret_cards = world->card_count;
	for (int i = 0; i < world->tap_count; i++)
		(void)snprintf(ret_names[i], HYPERVISOR_TAP_SIZE, "vnet%u", (unsigned)i);
	return world->tap_count;
}

static inline uint64_t give_memory(void *userdata, const struct vm_uuid *vm)
{
	const struct world *world = userdata;

	return world->memory;
}

static inline const char *path_of(const struct world *world, const char *name)
{
	static char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/%s", world->folder, name);
	return path;
}

static inline void write_file(const struct world *world, const char *name, const char *text)
{
	FILE *stream = fopen(path_of(world, name), "we");

	if (!stream || fputs(text, stream) < 0 || fclose(stream) != 0)
		abort();
}

/* Empty where there is none. */
static inline const char *read_text(const struct world *world, const char *name)
{
	static char text[TEXT_SIZE];
	FILE *stream = fopen(path_of(world, name), "re");

	text[stream ? fread(text, 1, sizeof(text) - 1, stream) : 0] = '\0';
	if (stream)
		(void)fclose(stream);
	return text;
}

static inline void write_program(struct world *world, const char *name, const char *script,
				 char *ret_path)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "#!/bin/sh\ncd %s\n%s\n", world->folder, script);
	write_file(world, name, text);
	(void)snprintf(ret_path, PATH_SIZE, "%s", path_of(world, name));
	(void)chmod(ret_path, 0700);
}

static inline void start_actor(struct world *world)
{
	struct actor_options options = {.program = world->program,
					.uri = "test:///default",
					.nft = world->nft,
					.evidence = world->evidence,
					.policy = &world->policy,
					.taps = give_taps,
					.memory = give_memory,
					.answer = on_answer,
					.userdata = world};

	world->journal = journal_new(world->path);
	options.journal = world->journal;
	world->actor = world->journal ? actor_new(&world->loop, &options) : NULL;
	if (!world->actor)
		abort();
}

static inline void stop_actor(struct world *world)
{
	world->actor = actor_free(world->actor);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	world->journal = journal_free(world->journal);
}

/* Every action is allowed; the scripts run in the world's folder. */
static inline void open_world(struct world *world, const char *vmi_script, const char *nft_script)
{
	*world = (struct world){
		.folder = "/tmp/atom-actor-XXXXXX",
		.rule = {.vm = "", .project = "", .actions = {(char **)all_actions, 4}},
		.tap_count = 1,
		.card_count = 1};
	world->policy = (struct policy){{&world->rule, 1}};
	if (!mkdtemp(world->folder))
		abort();
	(void)signal(SIGPIPE, SIG_IGN);
	log_init("actor_test", (enum log_level)0);
	write_program(world, "atom-vmi", vmi_script, world->program);
	write_program(world, "nft", nft_script, world->nft);
	(void)snprintf(world->path, sizeof(world->path), "%s", path_of(world, "journal"));
	(void)snprintf(world->evidence, sizeof(world->evidence), "%s", path_of(world, "evidence"));
	(void)uv_loop_init(&world->loop);
	start_actor(world);
}

/* Whether nothing was left open. */
static inline bool close_world(struct world *world)
{
	char command[128];
	bool is_clean;

	stop_actor(world);
	is_clean = uv_loop_close(&world->loop) == 0;
	for (size_t i = 0; i < world->answered; i++)
		free(world->answers[i].report);
	(void)snprintf(command, sizeof(command), "rm -r %s", world->folder);
	return system(command) == 0 && is_clean;
}

static inline struct wire_act make_act(uint64_t action, enum wire_act_kind kind)
{
	struct wire_act act = {.action = action,
			       .alarm = 5,
			       .kind = kind,
			       .timeout_usec = 60 * USEC_PER_SEC,
			       .who = "operator anna",
			       .command = "",
			       .peer = "",
			       .address = ""};

	(void)vm_uuid_parse(uuid, &act.vm);
	if (kind == WIRE_ACT_END_PROCESS) {
		act.pid = 114;
		act.start_nsec = 5000000123;
		act.command = "-x";
	}
	if (kind == WIRE_ACT_CONTAIN) {
		act.peer = "192.0.2.7";
		act.expiry_usec = 600 * USEC_PER_SEC;
	}
	return act;
}

static const struct policy_case nowhere = {"controller", NULL, NULL};

static inline void order(struct world *world, const struct wire_act *act)
{
	const struct policy_case asked = {"controller", "web1", "shop"};

	actor_order(world->actor, act, &asked);
}

static inline void wait_for(struct world *world, size_t count)
{
	while (world->answered < count && uv_run(&world->loop, UV_RUN_ONCE))
		;
}

/* Orders it and gives the answer to it. */
static inline const struct given *do_act(struct world *world, const struct wire_act *act)
{
	size_t count = world->answered + 1;

	order(world, act);
	wait_for(world, count);
	return &world->answers[count - 1];
}

/* The cell of the report's only column or first row; "" where there is none. */
static inline const char *cell_of(const struct given *given, const char *table, size_t row)
{
	static char text[REPORT_TEXT_MAX + 1];
	cleanup(report_free) struct report *report = NULL;
	long found;

	text[0] = '\0';
	if (report_decode(given->report, given->report_size, &report, NULL) < 0)
		return text;
	found = report_find_table(report, table);
	if (found >= 0 && row < report_rows(report, (size_t)found))
		(void)snprintf(text, sizeof(text), "%s",
			       report_cell(report, (size_t)found, row, 0)->text.bytes);
	return text;
}
