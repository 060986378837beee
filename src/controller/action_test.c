/* SPDX-License-Identifier: Apache-2.0 */
/* Actions as data: their arguments, their record, the chain of the audit, what a project may see.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/test.h"
#include "controller/action_internal.h"
#include "controller/api_scope.h"
#include "wire/report.h"

DEFINE_CLEANUP(struct action *, action_free)
DEFINE_CLEANUP(struct report *, report_free)

static const char uuid[] = "11111111-2222-3333-4444-555555555555";

static int check_text(enum wire_act_kind kind, const char *arguments, bool dry_run,
		      struct error *err)
{
	cleanup(json_decref) json_t *given = json_loads(arguments, 0, NULL);

	return action_check(kind, given, dry_run, err);
}

static void test_arguments_are_checked(void)
{
	struct error err = ERROR_INIT;

	check_int(
		check_text(WIRE_ACT_END_PROCESS, "{\"pid\": 214, \"start_nsec\": 5}", false, &err),
		0);
	check_int(check_text(WIRE_ACT_END_PROCESS, "{\"pid\": 214}", true, &err), 0);
	check_int(check_text(WIRE_ACT_END_PROCESS, "{\"pid\": 214}", false, &err), -EINVAL);
	check(strstr(err.text, "start_nsec"));
	check_int(check_text(WIRE_ACT_END_PROCESS, "{}", true, &err), -EINVAL);
	check_int(check_text(WIRE_ACT_END_PROCESS, "{\"pid\": 0}", true, &err), -EINVAL);
	check_int(check_text(WIRE_ACT_END_PROCESS, "{\"pid\": 1.5}", true, &err), -EINVAL);
	check_int(check_text(WIRE_ACT_END_PROCESS, "{\"pid\": 2, \"peer\": \"::1\"}", true, &err),
		  -EINVAL);
	check(strstr(err.text, "no argument 'peer'"));
	check_int(check_text(WIRE_ACT_CONTAIN,
			     "{\"peer\": \"10.0.0.9\", \"expiry_seconds\": 60, \"rate\": 5}", false,
			     &err),
		  0);
	check_int(check_text(WIRE_ACT_CONTAIN,
			     "{\"peer\": \"10.0.0.9; drop\", \"expiry_seconds\": 60}", false, &err),
		  -EINVAL);
	check_int(check_text(WIRE_ACT_CONTAIN, "{\"peer\": \"fe80::1\"}", false, &err), -EINVAL);
	check_int(check_text(WIRE_ACT_PAUSE, "{}", false, &err), 0);
}

static json_t *described(const char *state, const char *outcome)
{
	return json_pack(
		"{s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:{s:i, s:I, s:s}, s:b, s:s, s:s, "
		"s:s, s:s, s:n, s:n, s:n, s:n, s:s?, s:s, s:n, s:n, s:{s:[{s:s}]}}",
		"id", (json_int_t)3, "number", (json_int_t)1764028800000000, "alarm", (json_int_t)7,
		"vm", "vm2", "uuid", uuid, "project", "shop", "node", "host-a", "kind",
		"end-process", "arguments", "pid", 214, "start_nsec", (json_int_t)5000000000,
		"command", "ab", "dry_run", 0, "state", state, "by", "operator anna", "why",
		"a flood", "made", "2026-11-24T10:36:41.123Z", "due", "sent", "ended", "after",
		"outcome", outcome, "reason", "so", "verified", "effective", "report", "end",
		"outcome", "dead");
}

static void test_a_record_keeps_what_a_second_look_is_awaited_with(void)
{
	cleanup(json_decref) json_t *before = described("verifying", "pending");
	cleanup(action_free) struct action *action = action_parse(before);
	cleanup(json_decref) json_t *after = action ? action_describe(action) : NULL;

	check(action && after);
	check_int(action->outcome, ACTION_PENDING);
	check(json_equal(before, after));
}

static void test_a_record_survives_writing_and_reading(void)
{
	cleanup(json_decref) json_t *before = described("sent", NULL);
	cleanup(action_free) struct action *action = action_parse(before);
	cleanup(json_decref) json_t *after = action ? action_describe(action) : NULL;
	cleanup(free) char *told = action ? action_tell(action) : NULL;
	struct wire_act act;

	check(action && after);
	check_int(action->state, ACTION_SENT);
	check_string(told, "end process 214 (ab) of vm2");
	check(json_equal(before, after));
	action_fill(action, &act);
	check_int(act.pid, 214);
	check_int((int64_t)act.start_nsec, 5000000000);
	check_string(act.who, "operator anna");
	check(act.timeout_usec > 0 && act.timeout_usec <= WIRE_ACT_TIMEOUT_USEC_MAX);
}

static void test_a_record_that_makes_no_sense_is_none(void)
{
	cleanup(json_decref) json_t *record = described("dancing", NULL);

	check(!action_parse(record));
	(void)json_object_set_new(record, "state", json_string("sent"));
	(void)json_object_set_new(record, "uuid", json_string("no uuid"));
	check(!action_parse(record));
	(void)json_object_set_new(record, "uuid", json_string(uuid));
	(void)json_object_del(record, "arguments");
	check(!action_parse(record));
}

/* What a second look tells that shows process 214 in that state; NULL: no memory. */
static char *judge(const char *state, uint64_t start_nsec, enum action_effect *ret_effect)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT}, {"state", REPORT_TEXT}, {"start_nsec", REPORT_COUNT}};
	cleanup(json_decref) json_t *record = described("verifying", "done");
	cleanup(action_free) struct action *action = action_parse(record);
	cleanup(report_free) struct report *report = report_new();
	cleanup(free) uint8_t *bytes = NULL;
	struct wire_findings findings = {.status = WIRE_FINDINGS_DONE, .reason = ""};

	report_table(report, "ps", columns, 3, true);
	report_number(report, 214);
	report_text(report, state);
	report_number(report, start_nsec);
	if (!action || report_encode(report, &bytes, &findings.report_size, NULL) < 0)
		return NULL;
	findings.report = bytes;
	return action_judge_look(action, &findings, ret_effect);
}

static void test_a_second_look_tells_what_became_of_it(void)
{
	enum action_effect of_alive, of_zombie, of_other;
	cleanup(free) char *alive = judge("R", 5000000000, &of_alive);
	cleanup(free) char *zombie = judge("Z", 5000000000, &of_zombie);
	cleanup(free) char *other = judge("R", 6000000000, &of_other);

	check_int(of_alive, EFFECT_NOT_SEEN);
	check_int(of_zombie, EFFECT_SEEN);
	check_int(of_other, EFFECT_SEEN);

	check_string(alive, "a second look STILL shows process 214");
	check(strstr(zombie, "dead"));
	check_string(other, "a second look shows no process 214 any more");
}

static int take_record(void *userdata, int64_t number, int64_t time_usec, const char *record,
		       const char *hash)
{
	char *seal = userdata, next[DIGEST_TEXT_SIZE];

	if (digest_seal(seal, record, next) < 0 || strcmp(next, hash) != 0)
		return -EIO;
	memcpy(seal, next, sizeof(next));
	return 0;
}

static void test_the_audit_is_a_chain(void)
{
	char folder[] = "/tmp/atom-audit-XXXXXX", path[64], seal[DIGEST_TEXT_SIZE] = "";
	struct store *store = NULL;
	struct audit audit, again;

	check(mkdtemp(folder) != NULL);
	(void)snprintf(path, sizeof(path), "%s/atom.db", folder);
	check_int(store_open(path, &store, NULL), 0);
	check_int(audit_init(&audit, store, NULL), 0);
	check_int(audit.number, 0);
	check_int(store_begin_durably(store, NULL), 0);
	for (int i = 0; i < 3; i++)
		check_int(audit_append(&audit, json_pack("{s:i}", "n", i), NULL), 0);
	check_int(store_commit(store, NULL), 0);
	check_int(store_each_audit(store, 0, 10, take_record, seal, NULL), 0);
	check_string(seal, audit.seal);
	check_int(audit_init(&again, store, NULL), 0);
	check_int(again.number, 3);
	check_string(again.seal, audit.seal);
	store_free(store);
	(void)unlink(path);
	(void)rmdir(folder);
}

static json_t *evidence(void)
{
	return json_pack("{s:[{s:s, s:s, s:s, s:b}, {s:s, s:s, s:s, s:b}], s:[{s:s, s:s, s:s}], "
			 "s:[], s:[{s:s, s:s}]}",
			 "columns", "vm", "a", "uuid", "u-a", "project", "shop", "abnormal", 1,
			 "vm", "b", "uuid", "u-b", "project", "bank", "abnormal", 1,
			 "introspection", "uuid", "u-a", "project", "shop", "alike", "b", "across",
			 "notes", "project", "", "text", "about b");
}

static void test_a_project_sees_its_own(void)
{
	cleanup(json_decref) json_t *all = evidence();
	cleanup(json_decref) json_t *shop = evidence();
	cleanup(json_decref) json_t *none = evidence();

	check(scope_evidence(all, ""));
	check_int(json_array_size(json_object_get(all, "columns")), 2);
	check(!scope_is_whole(all, "shop"));
	check(scope_is_whole(all, ""));
	check(scope_evidence(shop, "shop"));
	check_int(json_array_size(json_object_get(shop, "columns")), 1);
	check_int(json_array_size(json_object_get(shop, "notes")), 0);
	check(!json_object_get(shop, "across"));
	check_string(text_of(json_array_get(json_object_get(shop, "introspection"), 0), "alike"),
		     "another VM");
	check(scope_has_vm(shop, "u-a", "shop"));
	check(!scope_has_vm(all, "u-b", "shop"));
	check(!scope_evidence(none, "school"));
}

static void test_all_is_of_a_project_or_it_is_not(void)
{
	cleanup(json_decref) json_t *mixed = evidence();
	cleanup(json_decref) json_t *shop = evidence();
	json_t *looks = json_object_get(shop, "introspection");
	json_t *earlier = json_pack("[{s:s, s:s}]", "uuid", "u-b", "project", "bank");

	check_string(scope_project(mixed), "");
	check(!scope_is_whole(mixed, "shop") && !scope_is_whole(mixed, "bank"));
	/* b is of the same group, and normal */
	(void)json_object_set_new(json_array_get(json_object_get(shop, "columns"), 1), "abnormal",
				  json_false());
	check_string(scope_project(shop), "shop");
	check(scope_is_whole(shop, "shop") && !scope_is_whole(shop, "bank"));
	/* b was abnormal, and was looked into */
	(void)json_array_append(looks, json_array_get(earlier, 0));
	check_string(scope_project(shop), "");
	check(!scope_is_whole(shop, "shop"));
	(void)json_array_remove(looks, json_array_size(looks) - 1);
	(void)json_object_set_new(shop, "earlier_introspection", earlier);
	check_string(scope_project(shop), "");
	(void)json_array_clear(json_object_get(shop, "columns"));
	(void)json_object_del(shop, "introspection");
	check_string(scope_project(shop), "bank");
	(void)json_object_del(shop, "earlier_introspection");
	check_string(scope_project(shop), "");
	check(scope_is_whole(shop, ""));
}

static void test_a_project_reads_no_words_of_others(void)
{
	cleanup(json_decref) json_t *shop = evidence();
	cleanup(json_decref) json_t *bank = evidence();
	json_t *verdict = json_pack("{s:s, s:s, s:s, s:s}", "verdict", "normal", "by", "bea",
				    "project", "bank", "note", "b is new");

	(void)json_object_set_new(shop, "earlier_introspection",
				  json_pack("[{s:s, s:s}, {s:s, s:s, s:s}]", "uuid", "u-b",
					    "project", "bank", "uuid", "u-a", "project", "shop",
					    "alike", "b"));
	(void)json_object_set_new(shop, "what comes later", json_string("of b"));
	(void)json_object_set_new(shop, "reopened", json_integer(1));
	(void)json_object_set_new(bank, "verdict", json_deep_copy(verdict));
	(void)json_object_set_new(shop, "verdict", verdict);
	check(scope_evidence(shop, "shop"));
	check(scope_evidence(bank, "bank"));
	verdict = json_object_get(shop, "verdict");
	check_string(text_of(verdict, "verdict"), "normal");
	check(!json_object_get(verdict, "by") && !json_object_get(verdict, "note"));
	check_string(text_of(json_object_get(bank, "verdict"), "note"), "b is new");
	check_int(json_array_size(json_object_get(shop, "earlier_introspection")), 1);
	check_string(
		text_of(json_array_get(json_object_get(shop, "earlier_introspection"), 0), "alike"),
		"another VM");
	check(!json_object_get(shop, "what comes later"));
	check_int(json_integer_value(json_object_get(shop, "reopened")), 1);
}

TEST_MAIN(TEST(test_arguments_are_checked),
	  TEST(test_a_record_keeps_what_a_second_look_is_awaited_with),
	  TEST(test_a_record_survives_writing_and_reading),
	  TEST(test_a_record_that_makes_no_sense_is_none),
	  TEST(test_a_second_look_tells_what_became_of_it), TEST(test_the_audit_is_a_chain),
	  TEST(test_a_project_sees_its_own), TEST(test_all_is_of_a_project_or_it_is_not),
	  TEST(test_a_project_reads_no_words_of_others))
