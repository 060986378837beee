#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of QEMU's machine protocol for one question: the block counters. Never blocks: an answer
 * comes by callback, or not at all. Each question has a connection of its own, since QEMU serves
 * one client at a time and its owner's tools want their turn. What QEMU sends is bounded and
 * checked. On the loop's thread.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "hypervisor/counters.h"

struct qmp;

enum { QMP_LINE_SIZE_MAX = 1 << 20 };

/* Per device: bytes read, bytes written, read requests, write requests, flush requests. `tag` is
 * the query's. */
typedef void qmp_answer(void *userdata, uint64_t tag, const struct device_counters *devices,
			size_t count);

/* `path` is as the process sees it (its root and working directory count). Returns owned, NULL: out
 * of memory. */
struct qmp *qmp_new(uv_loop_t *loop, pid_t pid, const char *path, qmp_answer *answer,
		    void *userdata);
struct qmp *qmp_free(struct qmp *qmp);

/* Asks; -EBUSY while an earlier question is unanswered, another negative errno when there is
 * nothing to connect to. */
int qmp_query_block(struct qmp *qmp, uint64_t tag);

/* For tests and the client: the devices of a query-blockstats answer in JSON; the number or
 * -EPROTO. */
int qmp_parse_block(const char *line, size_t size, struct device_counters *devices,
		    size_t capacity);
