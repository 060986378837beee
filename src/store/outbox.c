/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "store/store_internal.h"

static int add_message(struct store *store, const struct store_message *message, int64_t *ret_id,
		       struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_ADD_MESSAGE);
	int r;

	store_bind_text(statement, 1, message->receiver);
	(void)sqlite3_bind_int64(statement, 2, message->alarm);
	(void)sqlite3_bind_int64(statement, 3, message->made_usec);
	(void)sqlite3_bind_int64(statement, 4, message->due_usec);
	(void)sqlite3_bind_int64(statement, 5, message->attempts);
	store_bind_text(statement, 6, message->body);
	r = store_run(store, statement, "writing a message", err);
	if (r == 0 && ret_id)
		*ret_id = sqlite3_last_insert_rowid(store->db);
	return r;
}

static int update_message(struct store *store, const struct store_message *message, int64_t *ret_id,
			  struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_UPDATE_MESSAGE);
	int r;

	(void)sqlite3_bind_int64(statement, 1, message->due_usec);
	(void)sqlite3_bind_int64(statement, 2, message->attempts);
	(void)sqlite3_bind_int64(statement, 3, message->id);
	r = store_run(store, statement, "writing a message", err);
	if (r < 0)
		return r;
	if (sqlite3_changes(store->db) == 0)
		return error_set(err, -ENOENT, "there is no message %lld", (long long)message->id);
	if (ret_id)
		*ret_id = message->id;
	return 0;
}

int store_put_message(struct store *store, const struct store_message *message, int64_t *ret_id,
		      struct error *err)
{
	return message->id == 0 ? add_message(store, message, ret_id, err)
				: update_message(store, message, ret_id, err);
}

int store_delete_message(struct store *store, int64_t id, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_DELETE_MESSAGE);

	(void)sqlite3_bind_int64(statement, 1, id);
	return store_run(store, statement, "deleting a message", err);
}

struct message_each {
	int (*each)(void *userdata, const struct store_message *message);
};

static int use_message(sqlite3_stmt *row, void *each, void *userdata)
{
	struct store_message message = {
		.id = sqlite3_column_int64(row, 0),
		.receiver = store_text_at(row, 1),
		.alarm = sqlite3_column_int64(row, 2),
		.made_usec = sqlite3_column_int64(row, 3),
		.due_usec = sqlite3_column_int64(row, 4),
		.attempts = (uint32_t)sqlite3_column_int64(row, 5),
		.body = store_text_at(row, 6),
	};

	return ((struct message_each *)each)->each(userdata, &message);
}

int store_each_message(struct store *store, int64_t due_usec, size_t limit,
		       int (*each)(void *userdata, const struct store_message *message),
		       void *userdata, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_EACH_MESSAGE);

	(void)sqlite3_bind_int64(statement, 1, due_usec);
	store_bind_limit(statement, 2, limit);
	return store_walk(store, statement, use_message, &(struct message_each){each}, userdata,
			  err);
}

int store_count_messages(struct store *store, const char *receiver, size_t *ret_count,
			 struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_COUNT_MESSAGES);
	int64_t count;
	int r;

	store_bind_text(statement, 1, receiver);
	r = store_read_number(store, statement, &count, err);
	if (r == 0)
		*ret_count = (size_t)count;
	return r;
}
