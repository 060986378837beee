#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passes between the confined child and its parent, over a pair of non-blocking stream
 * sockets: a type (one byte), a size (four, the lowest first), and so many bytes. The child parses
 * what a guest wrote, so the parent takes nothing for granted: sizes are limited per type, and no
 * wait is longer than the deadline. Only poll(), read() and write() are called, and the clock is
 * read. SIGPIPE has to be ignored. One thread per end.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum frame_type {
	FRAME_REPORT,  /* child: a report as report_encode() makes it */
	FRAME_PROFILE, /* child: what is worth keeping for the next time */
	FRAME_DATA,    /* child: the next piece of a file */
	FRAME_STOP,    /* child: pause the VM; empty */
	FRAME_CONT,    /* child: let it run again; empty */
	FRAME_WRITE,   /* child: write a word into the guest: address, before, after, size */
	FRAME_CALL,    /* child: make this call into the guest; six numbers of 64 bits */
	FRAME_OK,      /* parent: done, and what came of it */
	FRAME_FAILED,  /* either: a struct error, see frame_send_error() */
	FRAME_DONE,    /* child: that was all; empty */
};

enum {
	FRAME_PIECE_MAX = 1 << 20, /* bytes of FRAME_PROFILE and FRAME_DATA */
	FRAME_ANSWER_MAX = 64,     /* bytes of FRAME_OK */
	FRAME_WRITE_SIZE = 4 * 8,
	FRAME_CALL_SIZE = 6 * 8,
};

struct frame {
	enum frame_type type;
	uint8_t *payload; /* owned; a NUL follows */
	size_t size;
};

/* Two connected ends, closed by exec. Errors: the errno of socketpair(). */
int frame_pair(int ret_fds[2]);

/* Returns when all was handed to the kernel. A deadline is a moment of the monotonic clock, or 0:
 * none. Errors: -E2BIG for a size that the type cannot have, -ETIME past the deadline, -EPIPE when
 * the other end is closed, the errno of write(). */
int frame_send(int fd, int64_t deadline_mono_usec, enum frame_type type, const void *payload,
	       size_t size);
/* FRAME_FAILED with the code and the text. */
int frame_send_error(int fd, int64_t deadline_mono_usec, const struct error *error);

/* The next frame, to be given to frame_deinit(). Errors: -ETIME past the deadline even when bytes
 * are there, -EPIPE at the end of the stream, -EBADMSG for an unknown type or a size that the type
 * cannot have, -ENOMEM, the errno of read(). After an error the stream is of no more use. */
int frame_receive(int fd, int64_t deadline_mono_usec, struct frame *ret_frame, struct error *err);
void frame_deinit(struct frame *frame);

/* What a FRAME_FAILED says, into err; returns its code, or -EBADMSG when it holds no error. */
int frame_error(const struct frame *frame, struct error *err);
