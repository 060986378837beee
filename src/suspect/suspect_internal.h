#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is common to the files of suspect.h: facts read from a report (suspect_facts.c,
 * suspect_contact.c), weighed as evidence (suspect_evidence.c), told in sentences (suspect_text.c),
 * looked through for patterns (suspect_pattern.c). Everything borrows from the report. Work is
 * sorting: n log n in its rows.
 */
#include <stdbool.h>

#include "suspect/suspect.h"
#include "suspect/suspect_usage.h"

enum table {
	TABLE_PS, /* those that have a row per process come first; the order in which they are asked
		   */
	TABLE_TREE,
	TABLE_TOP,
	TABLE_HIDDEN,
	TABLE_EXE,
	TABLE_PER_PROCESS,
	TABLE_PEERS = TABLE_PER_PROCESS,
	TABLE_NET,
	TABLE_FILES,
	TABLE_COUNT
};

enum field {
	FIELD_PID,
	FIELD_PPID,
	FIELD_UID,
	FIELD_COMMAND,
	FIELD_COMMAND_LINE,
	FIELD_START,
	FIELD_START_NSEC,
	FIELD_KERNEL,
	FIELD_CPU_PERCENT,
	FIELD_CHILDREN_CPU_PERCENT,
	FIELD_READ_PER_SEC,
	FIELD_WRITE_PER_SEC,
	FIELD_RECEIVED_PER_SEC,
	FIELD_SENT_PER_SEC,
	FIELD_NEW,
	FIELD_SEEN_IN,
	FIELD_MISSING_FROM,
	FIELD_EXECUTABLE,
	FIELD_DELETED,
	FIELD_IN_MEMORY,
	FIELD_DIRECTION,
	FIELD_PEER,
	FIELD_PORT,
	FIELD_CONNECTIONS,
	FIELD_OPENED,
	FIELD_PROTOCOL,
	FIELD_STATE,
	FIELD_LOCAL,
	FIELD_REMOTE,
	FIELD_BACKLOG,
	FIELD_BACKLOG_MAX,
	FIELD_MODE,
	FIELD_PATH,
	FIELD_COUNT
};

/* Which evidence a process can bear; the weights are told in suspect_evidence.c. */
enum evidence {
	EVIDENCE_CONTACT,  /* connections to one peer and service */
	EVIDENCE_UNHELD,   /* ... more of them that nobody holds any more */
	EVIDENCE_FAMILY,   /* its share in what the children of one parent do together */
	EVIDENCE_PARENT,   /* ... and that parent */
	EVIDENCE_INCOMING, /* connections from one peer */
	EVIDENCE_QUEUE,    /* connections that wait to be accepted */
	EVIDENCE_SENT,
	EVIDENCE_RECEIVED,
	EVIDENCE_CPU,
	EVIDENCE_READ,
	EVIDENCE_WRITTEN,
	EVIDENCE_STARTED,
	EVIDENCE_FILE, /* that it executes: deleted, or never one */
	EVIDENCE_HIDDEN,
	EVIDENCE_COUNT
};

/* A text of the report, or a part of one; not ended by NUL, not yet fit to be shown. */
struct span {
	const char *bytes;
	size_t size;
};

enum { NO_PLACE = UINT32_MAX };

struct process {
	uint32_t pid;
	uint32_t rows[TABLE_PER_PROCESS]; /* NO_PLACE: none */
	double received_rate, sent_rate;  /* bytes per second, not over loopback */
	double connections_out, opened_out;
	double writable_files;
	uint32_t writable_row; /* of one of them */
	double weights[EVIDENCE_COUNT];
	uint32_t refs[EVIDENCE_COUNT]; /* of a contact, target, family or row */
	double score;
};

/* The connections of one process, or of nobody (pid 0), with one peer and service. */
struct contact {
	bool is_incoming;
	struct span peer;
	uint32_t port; /* of the service */
	uint32_t pid;
	double connections, opened, waiting; /* waiting: in TIME_WAIT */
	double received_rate, sent_rate;
};

/* All contacts with one peer and service: a run of them. */
struct target {
	uint32_t first, count;
	double connections, opened, unheld, waiting, sent_rate; /* unheld: of no process */
	uint32_t processes;
	uint32_t best; /* the contact of a process that opened, then holds, most; NO_PLACE */
};

/* Children of one parent at one target. */
struct family {
	uint32_t target, parent;
	double children, connections, opened;
};

struct facts {
	const struct report *report;
	const struct suspect_context *context;
	bool network, network_up, cpu_up, read_up, write_up; /* what is abnormal */
	long tables[TABLE_COUNT];                            /* -1: absent */
	long columns[TABLE_COUNT][FIELD_COUNT];              /* -1: absent or of another kind */
	struct process *processes;                           /* by pid */
	size_t process_count;
	struct contact *contacts; /* by target, then pid */
	size_t contact_count;
	struct target *targets;
	size_t target_count;
	struct family *families;
	size_t family_count;
	struct span addresses[SUSPECT_ADDRESSES_MAX]; /* the VM's own, the busiest first */
	size_t address_count;
	double connections, opened, held; /* the VM's, not over loopback; so the next */
	double received_rate, sent_rate;
	double cpu, read_rate, write_rate;
};

/* Reads the report. -ENOMEM. */
int suspect_facts_read(const struct report *report, const struct suspect_context *context,
		       struct facts *ret_facts);
void suspect_facts_deinit(struct facts *facts);

/* A cell, where table, column and value are known. Numbers past 2^53 (start_nsec: 2^63) and
 * negative reals are absurd and therefore unknown. */
bool suspect_cell_number(const struct facts *facts, enum table table, size_t row, enum field field,
			 double *ret_value);
bool suspect_cell_text(const struct facts *facts, enum table table, size_t row, enum field field,
		       struct span *ret_text);
double suspect_number_or_0(const struct facts *facts, enum table table, size_t row,
			   enum field field);
/* 0: unknown, or no number of a process. */
uint32_t suspect_pid(const struct facts *facts, enum table table, size_t row);
size_t suspect_rows(const struct facts *facts, enum table table);
/* The same of a process: the first of its tables that knows. */
bool suspect_number(const struct facts *facts, const struct process *process, enum field field,
		    double *ret_value);
bool suspect_text(const struct facts *facts, const struct process *process, enum field field,
		  struct span *ret_text);
/* Percent of a CPU that it and its children that have ended used; `ret_children`: the latter alone.
 */
double suspect_cpu(const struct facts *facts, const struct process *process, double *ret_children);
struct process *suspect_find_process(const struct facts *facts, double pid);
bool suspect_is_kernel(const struct facts *facts, const struct process *process);
/* "10.0.0.9:80", "[fe80::1]:22" into both parts; an IPv4 address in IPv6's clothes is shown as
 * IPv4. False: neither. */
bool suspect_split(struct span text, struct span *ret_address, uint32_t *ret_port);

bool suspect_begins_with(struct span text, const char *start);
/* Fills contacts, targets and addresses. -ENOMEM. */
int suspect_read_contacts(struct facts *facts);
/* Connections that a process holds: what a server closed stays for a minute, of nobody, and takes
 * nothing. Of an attack and of its victim alike. */
double suspect_held(const struct target *target);
/* Whether so many held connections with one peer, a share of all that the VM holds (0..1), take the
 * sockets of a VM. */
bool suspect_is_taking(double held, double share);

/* Weighs every process: weights, refs and score. -ENOMEM. */
int suspect_weigh(struct facts *facts);
/* What connections to one peer weigh in this VM; `ret_is_opened`: by those that are new, else by
 * those that are held. */
double suspect_contact_weight(const struct facts *facts, double connections, double opened,
			      bool *ret_is_opened);

enum {
	TEXT_COMMAND_SIZE = 68, /* room for what is cut to 64 bytes, and for NUL */
	TEXT_PEER_SIZE = 68,
	TEXT_PATH_SIZE = 132,
	TEXT_LINE_SIZE = 516,
	TEXT_REASON_SIZE = 512,
};

/* Printable UTF-8 into `ret_text` of `size` bytes, at least 8: what is neither is U+FFFD, white
 * space a space, and what is too long ends in "...". Returns ret_text. */
char *suspect_clean(struct span text, char *ret_text, size_t size);
/* "ab (pid 214)", "pid 214". */
void suspect_name(const struct facts *facts, const struct process *process, char *ret_text,
		  size_t size);
/* "412 connections to 10.0.0.9 port 80 opened in 1.0 s, 98 % of this VM's", "412 connections to
 * 10.0.0.9 port 80, 98 % of this VM's"; and whichever of the two weighs more. */
void suspect_tell_opened(const struct facts *facts, const struct contact *whose, double opened,
			 char ret_text[TEXT_REASON_SIZE]);
void suspect_tell_held(const struct facts *facts, const struct contact *whose, double connections,
		       char ret_text[TEXT_REASON_SIZE]);
void suspect_tell_contact(const struct facts *facts, const struct contact *whose,
			  double connections, double opened, char ret_text[TEXT_REASON_SIZE]);
void suspect_tell(const struct facts *facts, const struct process *process, enum evidence evidence,
		  char ret_text[TEXT_REASON_SIZE]);
/* Appends to the list, which then has SUSPECT_PATTERNS_MAX at most. -ENOMEM. */
int suspect_find_patterns(const struct facts *facts, json_t *patterns);

/* Whether a process that started then (wall clock, microseconds) is new since the last look. */
bool suspect_is_since_look(const struct facts *facts, double start);
