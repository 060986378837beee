/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/frame.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "wire/report.h"

static int fds[2];

static void open_pair(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (frame_pair(fds) < 0)
		abort();
}

static void close_pair(void)
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static int64_t in_msec(int64_t msec)
{
	return clock_mono_usec() + msec * USEC_PER_MSEC;
}

static void test_frame_round_trip(void)
{
	struct frame frame = {.size = 99};
	uint64_t call[6] = {1, 2, 3, 4, 5, UINT64_MAX};

	open_pair();
	check_int(frame_send(fds[0], 0, FRAME_CALL, call, sizeof(call)), 0);
	check_int(frame_send(fds[0], 0, FRAME_STOP, NULL, 0), 0);
	check_int(frame_receive(fds[1], in_msec(1000), &frame, NULL), 0);
	check_int(frame.type, FRAME_CALL);
	check_int(frame.size, sizeof(call));
	check(memcmp(frame.payload, call, sizeof(call)) == 0);
	frame_deinit(&frame);
	check_int(frame_receive(fds[1], in_msec(1000), &frame, NULL), 0);
	check_int(frame.type, FRAME_STOP);
	check_int(frame.size, 0);
	check_string((const char *)frame.payload, "");
	frame_deinit(&frame);
	close_pair();
}

static void test_frame_error_round_trip(void)
{
	struct error err = ERROR_INIT, out = ERROR_INIT;
	struct frame frame;

	(void)error_set(&err, -ESRCH, "no process %d", 7);
	open_pair();
	check_int(frame_send_error(fds[0], 0, &err), 0);
	check_int(frame_receive(fds[1], in_msec(1000), &frame, NULL), 0);
	check_int(frame_error(&frame, &out), -ESRCH);
	check_string(out.text, "no process 7");
	frame_deinit(&frame);
	check_int(frame_send(fds[0], 0, FRAME_FAILED, "\0\0\0\0x", 5), 0);
	check_int(frame_receive(fds[1], in_msec(1000), &frame, NULL), 0);
	check_int(frame_error(&frame, &out), -EBADMSG);
	frame_deinit(&frame);
	close_pair();
}

/* More than the sockets hold, so that both ends have to wait. */
static void test_frame_large_between_processes(void)
{
	enum { SIZE = 8 << 20 };
	char *bytes = calloc(1, SIZE);
	struct frame frame;
	pid_t child;
	int status;

	check(bytes);
	memset(bytes, 'x', SIZE);
	open_pair();
	(void)fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(frame_send(fds[0], in_msec(5000), FRAME_REPORT, bytes, SIZE) < 0);
	check_int(frame_receive(fds[1], in_msec(5000), &frame, NULL), 0);
	check_int(frame.size, SIZE);
	check(memcmp(frame.payload, bytes, SIZE) == 0);
	check(waitpid(child, &status, 0) == child && status == 0);
	frame_deinit(&frame);
	free(bytes);
	close_pair();
}

static void test_frame_receive_keeps_deadline(void)
{
	struct error err = ERROR_INIT;
	struct frame frame;
	int64_t before = clock_mono_usec(), deadline = in_msec(20);

	open_pair();
	check_int(frame_receive(fds[1], deadline, &frame, &err), -ETIME);
	check(clock_mono_usec() - before >= 20 * USEC_PER_MSEC);
	check(strstr(err.text, "too long"));
	check_int(write(fds[0], "\0\4\0\0\0ab", 7), 7); /* half a report */
	check_int(frame_receive(fds[1], in_msec(20), &frame, NULL), -ETIME);
	close_pair();
}

static void test_frame_receive_past_deadline_reads_nothing(void)
{
	struct frame frame;

	open_pair();
	check_int(frame_send(fds[0], 0, FRAME_DONE, NULL, 0), 0);
	check_int(frame_receive(fds[1], in_msec(-1), &frame, NULL), -ETIME);
	check_int(frame_receive(fds[1], in_msec(1000), &frame, NULL), 0);
	check_int(frame.type, FRAME_DONE);
	frame_deinit(&frame);
	close_pair();
}

/* A child that asks and never reads the answers. */
static void test_frame_send_keeps_deadline(void)
{
	static const uint8_t piece[FRAME_PIECE_MAX];

	open_pair();
	check_int(frame_send(fds[0], in_msec(20), FRAME_DATA, piece, sizeof(piece)), -ETIME);
	close_pair();
}

static void test_frame_end_of_stream(void)
{
	struct error err = ERROR_INIT;
	struct frame frame;

	open_pair();
	check_int(write(fds[0], "\0\4\0\0\0ab", 7), 7);
	(void)close(fds[0]);
	check_int(frame_receive(fds[1], in_msec(1000), &frame, &err), -EPIPE);
	check_int(frame_receive(fds[1], in_msec(1000), &frame, &err), -EPIPE);
	check(strstr(err.text, "has ended"));
	check_int(frame_send(fds[1], 0, FRAME_OK, "x", 1), -EPIPE);
	(void)close(fds[1]);
}

static int receive_head(uint8_t type, uint32_t size)
{
	uint8_t head[5] = {type, (uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16),
			   (uint8_t)(size >> 24)};
	struct frame frame;
	int r;

	open_pair();
	if (write(fds[0], head, sizeof(head)) != sizeof(head))
		return -EIO;
	r = frame_receive(fds[1], in_msec(1), &frame, NULL);
	close_pair();
	return r;
}

static void test_frame_sizes_are_limited(void)
{
	check_int(receive_head(FRAME_DONE + 1, 0), -EBADMSG);
	check_int(receive_head(255, 0), -EBADMSG);
	check_int(receive_head(FRAME_REPORT, REPORT_SIZE_MAX), -ETIME);
	check_int(receive_head(FRAME_REPORT, REPORT_SIZE_MAX + 1), -EBADMSG);
	check_int(receive_head(FRAME_DATA, FRAME_PIECE_MAX + 1), -EBADMSG);
	check_int(receive_head(FRAME_PROFILE, UINT32_MAX), -EBADMSG);
	check_int(receive_head(FRAME_STOP, 1), -EBADMSG);
	check_int(receive_head(FRAME_CALL, 47), -EBADMSG);
	check_int(receive_head(FRAME_OK, FRAME_ANSWER_MAX + 1), -EBADMSG);
	check_int(receive_head(FRAME_FAILED, 3), -EBADMSG);
	check_int(receive_head(FRAME_FAILED, 4 + 511), -ETIME);
	check_int(receive_head(FRAME_FAILED, 4 + 512), -EBADMSG);
	check_int(frame_send(-1, 0, FRAME_STOP, "x", 1), -E2BIG);
}

TEST_MAIN(TEST(test_frame_round_trip), TEST(test_frame_error_round_trip),
	  TEST(test_frame_large_between_processes), TEST(test_frame_receive_keeps_deadline),
	  TEST(test_frame_receive_past_deadline_reads_nothing),
	  TEST(test_frame_send_keeps_deadline), TEST(test_frame_end_of_stream),
	  TEST(test_frame_sizes_are_limited))
