#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What introspection says of one guest (paper V): a list of facts and tables of typed columns. One
 * shape for all views, so that the table for people, the JSON for programs and the message on the
 * wire are the same data. Built by the confined parser out of what the guest holds, so every text
 * is the guest's own bytes: any bytes but NUL, escaped where they are shown. The builder keeps to
 * the limits and marks a table that was cut; the decoder checks them all. One owner, one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	REPORT_TABLES_MAX = 32,
	REPORT_COLUMNS_MAX = 32,
	REPORT_ROWS_MAX = 262144,   /* of one table */
	REPORT_CELLS_MAX = 4194304, /* of all tables */
	REPORT_TEXT_MAX = 4096,     /* bytes of one cell; longer text is cut */
	REPORT_NAME_MAX = 64,       /* of a table or column: [a-z0-9_] */
	REPORT_NOTES_MAX = 64,
	REPORT_SIZE_MAX = 64 << 20, /* encoded */
};

/* What a column's cells are, from which follows how they are shown. An unknown value of any kind is
 * allowed: null in JSON, "-" in a table. */
enum report_kind {
	REPORT_TEXT,
	REPORT_COUNT,   /* uint64_t */
	REPORT_BYTES,   /* uint64_t */
	REPORT_NSEC,    /* uint64_t: a duration in nanoseconds */
	REPORT_TIME,    /* uint64_t: microseconds since 1970 */
	REPORT_ADDRESS, /* uint64_t: shown in hexadecimal; a string "0x..." in JSON */
	REPORT_REAL,    /* double */
	REPORT_FLAG,    /* uint64_t: 0 or 1 */
};

struct report_column {
	const char *name;
	enum report_kind kind;
};

struct report_cell {
	bool known;
	union {
		uint64_t number; /* every kind but text and real */
		double real;
		struct {
			char *bytes; /* owned by the report, NUL-terminated */
			uint32_t size;
		} text;
	};
};

struct report;

/* Returns owned, or NULL when memory is out. The building functions below remember the first
 * failure: report_encode() and report_error() say it. */
struct report *report_new(void);
struct report *report_free(struct report *report);

/* Begins a table; the rows that follow belong to it. Copies the names. `is_list` is false for a
 * table that has one row at most (info), which people see as "name: value" lines and programs as
 * one object instead of a list. */
void report_table(struct report *report, const char *name, const struct report_column *columns,
		  size_t count, bool is_list);
/* The cells of a row from left to right, in the kinds of their columns (asserted); the row ends by
 * itself after the last. Rows past REPORT_ROWS_MAX, and those that could make the report larger
 * than its other limits, are dropped and the table is marked as cut. */
void report_text(struct report *report, const char *text); /* NULL: unknown */
/* The bytes before the first NUL, if there is one. */
void report_bytes(struct report *report, const char *bytes, size_t size);
void report_number(struct report *report, uint64_t number); /* a flag is whether it is not 0 */
void report_real(struct report *report, double value);      /* not finite: unknown */
void report_unknown(struct report *report);
/* A sentence for people about the whole report: what was retried, cut or refused. Cut at
 * REPORT_TEXT_MAX; of more than REPORT_NOTES_MAX the last only says that there were more. */
void report_note(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* 0, or -ENOMEM, -E2BIG. */
int report_error(const struct report *report);

/* Reading. Borrowed until report_free(). */
size_t report_table_count(const struct report *report);
const char *report_table_name(const struct report *report, size_t table);
bool report_table_is_list(const struct report *report, size_t table);
bool report_table_is_cut(const struct report *report, size_t table);
const struct report_column *report_columns(const struct report *report, size_t table,
					   size_t *ret_count);
size_t report_rows(const struct report *report, size_t table);
const struct report_cell *report_cell(const struct report *report, size_t table, size_t row,
				      size_t column);
size_t report_note_count(const struct report *report);
const char *report_note_at(const struct report *report, size_t position);
/* The table or column of that name, or -1. */
long report_find_table(const struct report *report, const char *name);
long report_find_column(const struct report *report, size_t table, const char *name);

/* The message Report of atom.proto. Encoding returns owned bytes. Decoding checks every limit and
 * that kinds and cells agree; -EBADMSG, -E2BIG, -ENOMEM. */
int report_encode(const struct report *report, uint8_t **ret_bytes, size_t *ret_size,
		  struct error *err);
int report_decode(const uint8_t *bytes, size_t size, struct report **ret_report, struct error *err);
