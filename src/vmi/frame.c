/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/frame.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/report.h"

enum { HEAD_SIZE = 5, CODE_SIZE = 4, ERRNO_MAX = 4095 };

static const struct {
	size_t size_min, size_max;
} types[] = {
	[FRAME_REPORT] = {0, REPORT_SIZE_MAX},
	[FRAME_PROFILE] = {0, FRAME_PIECE_MAX},
	[FRAME_DATA] = {0, FRAME_PIECE_MAX},
	[FRAME_STOP] = {0, 0},
	[FRAME_CONT] = {0, 0},
	[FRAME_WRITE] = {FRAME_WRITE_SIZE, FRAME_WRITE_SIZE},
	[FRAME_CALL] = {FRAME_CALL_SIZE, FRAME_CALL_SIZE},
	[FRAME_OK] = {0, FRAME_ANSWER_MAX},
	[FRAME_FAILED] = {CODE_SIZE, CODE_SIZE + ERROR_TEXT_SIZE - 1},
	[FRAME_DONE] = {0, 0},
};

int frame_pair(int ret_fds[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

static void put_u32(uint8_t *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *in)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value |= (uint32_t)in[i] << (8 * i);
	return value;
}

static bool size_is_valid(enum frame_type type, size_t size)
{
	return size >= types[type].size_min && size <= types[type].size_max;
}

/* For poll(): rounded up, -1 for no deadline; 0 when it has passed. */
static int msec_until(int64_t deadline_mono_usec)
{
	int64_t left;

	if (deadline_mono_usec == 0)
		return -1;
	left = deadline_mono_usec - clock_mono_usec();
	if (left <= 0)
		return 0;
	left = left / USEC_PER_MSEC + 1;
	return left < INT_MAX ? (int)left : INT_MAX;
}

static int wait_for(int fd, short events, int64_t deadline_mono_usec)
{
	struct pollfd item = {.fd = fd, .events = events};

	for (;;) {
		int timeout_msec = msec_until(deadline_mono_usec), count;

		if (timeout_msec == 0)
			return -ETIME;
		count = poll(&item, 1, timeout_msec);
		if (count > 0)
			return 0; /* or an error that read() or write() will tell */
		if (count < 0 && errno != EINTR)
			return -errno;
	}
}

static int write_all(int fd, int64_t deadline_mono_usec, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		int r = wait_for(fd, POLLOUT, deadline_mono_usec);
		ssize_t n;

		if (r < 0)
			return r;
		n = write(fd, bytes, size);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
		bytes += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int read_all(int fd, int64_t deadline_mono_usec, uint8_t *bytes, size_t size)
{
	while (size > 0) {
		int r = wait_for(fd, POLLIN, deadline_mono_usec);
		ssize_t n;

		if (r < 0)
			return r;
		n = read(fd, bytes, size);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
		bytes += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int frame_send(int fd, int64_t deadline_mono_usec, enum frame_type type, const void *payload,
	       size_t size)
{
	uint8_t head[HEAD_SIZE] = {(uint8_t)type};
	int r;

	if (!size_is_valid(type, size))
		return -E2BIG;
	put_u32(head + 1, (uint32_t)size);
	r = write_all(fd, deadline_mono_usec, head, sizeof(head));
	return r < 0 ? r : write_all(fd, deadline_mono_usec, payload, size);
}

int frame_send_error(int fd, int64_t deadline_mono_usec, const struct error *error)
{
	uint8_t payload[CODE_SIZE + ERROR_TEXT_SIZE];
	size_t length = strnlen(error->text, ERROR_TEXT_SIZE - 1);

	assert(error->code < 0 && error->code >= -ERRNO_MAX);
	put_u32(payload, (uint32_t)-error->code);
	memcpy(payload + CODE_SIZE, error->text, length);
	return frame_send(fd, deadline_mono_usec, FRAME_FAILED, payload, CODE_SIZE + length);
}

static int receive_error(int code, struct error *err)
{
	if (code == -EPIPE)
		return error_set(err, code, "the other process has ended");
	if (code == -ETIME)
		return error_set(err, code, "the other process took too long");
	return error_set_errno(err, code, "cannot read from the other process");
}

int frame_receive(int fd, int64_t deadline_mono_usec, struct frame *ret_frame, struct error *err)
{
	cleanup(free) uint8_t *payload = NULL;
	uint8_t head[HEAD_SIZE];
	size_t size;
	int r = read_all(fd, deadline_mono_usec, head, sizeof(head));

	if (r < 0)
		return receive_error(r, err);
	size = get_u32(head + 1);
	if (head[0] > FRAME_DONE || !size_is_valid(head[0], size))
		return error_set(err, -EBADMSG, "the other process sent %zu bytes of type %d", size,
				 head[0]);
	payload = malloc(size + 1);
	if (!payload)
		return error_set(err, -ENOMEM, "out of memory");
	r = read_all(fd, deadline_mono_usec, payload, size);
	if (r < 0)
		return receive_error(r, err);
	payload[size] = '\0';
	*ret_frame = (struct frame){.type = head[0], .size = size, .payload = keep(payload)};
	return 0;
}

void frame_deinit(struct frame *frame)
{
	free(frame->payload);
	*frame = (struct frame){.payload = NULL};
}

int frame_error(const struct frame *frame, struct error *err)
{
	uint32_t code;

	assert(frame->type == FRAME_FAILED && frame->size >= CODE_SIZE);
	code = get_u32(frame->payload);
	if (code == 0 || code > ERRNO_MAX)
		return error_set(err, -EBADMSG, "the other process sent an error without a code");
	return error_set(err, -(int)code, "%s", (const char *)frame->payload + CODE_SIZE);
}
