/* SPDX-License-Identifier: Apache-2.0 */
#include "node/program.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	COMPLAINT_SIZE = 4096,
	READ_SIZE = 65536,
	KILL_MSEC = 1000,
	DRAIN_MSEC = 500, /* after its end: a process of its own may hold the pipes for longer */
};

/* From program_run_new() to the last close callback. */
struct program_run {
	program_run_ended *ended; /* NULL: let go of, nobody waits for it */
	void *userdata;
	uv_process_t process;
	uv_pipe_t in, out, err;
	uv_timer_t timer; /* the deadline, then the kill or the drain */
	unsigned open;    /* handles that are not closed yet */
	bool has_input, exited, out_ended, err_ended;
	uv_write_t write;
	char *input;
	size_t output_max, output_room;
	struct program_result result;
	char complaint[COMPLAINT_SIZE + 1]; /* the end of what it said on stderr */
	size_t complaint_size;
};

/* The end of a run */

static void free_run(struct program_run *run)
{
	free(run->input);
	free(run->result.output);
	free(run);
}

static void on_closed(uv_handle_t *handle)
{
	struct program_run *run = handle->data;

	if (--run->open == 0)
		free_run(run);
}

static void close_input(struct program_run *run)
{
	if (run->has_input && !uv_is_closing((uv_handle_t *)&run->in))
		uv_close((uv_handle_t *)&run->in, on_closed);
}

/* The run lives until its handles are closed. */
static void close_run(struct program_run *run)
{
	close_input(run);
	uv_close((uv_handle_t *)&run->process, on_closed);
	uv_close((uv_handle_t *)&run->out, on_closed);
	uv_close((uv_handle_t *)&run->err, on_closed);
	uv_close((uv_handle_t *)&run->timer, on_closed);
}

/* The last line on stderr that is not empty. */
static void take_complaint(struct program_run *run)
{
	size_t end = run->complaint_size, start;

	while (end > 0 && (unsigned char)run->complaint[end - 1] <= ' ')
		end--;
	for (start = end; start > 0 && run->complaint[start - 1] != '\n';)
		start--;
	wire_make_text(run->complaint + start, end - start, run->result.complaint);
	run->complaint[run->complaint_size] = '\0';
	run->result.errors = run->complaint;
	run->result.errors_size = run->complaint_size;
}

static void finish(struct program_run *run)
{
	close_run(run);
	if (!run->ended)
		return;
	take_complaint(run);
	run->ended(run->userdata, &run->result);
}

/* All is there, or what is missing does not matter. */
static void finish_when_done(struct program_run *run)
{
	bool is_read = run->out_ended && run->err_ended;

	if (run->exited && (is_read || run->result.trouble != PROGRAM_NO_TROUBLE || !run->ended))
		finish(run);
}

static void on_drained(uv_timer_t *timer)
{
	finish(timer->data);
}

static void on_exited(uv_process_t *process, int64_t exit_status, int signal_number)
{
	struct program_run *run = process->data;

	run->exited = true;
	run->result.exit_status = exit_status;
	run->result.signal = signal_number;
	(void)uv_timer_start(&run->timer, on_drained, DRAIN_MSEC, 0);
	finish_when_done(run);
}

static void on_kill(uv_timer_t *timer)
{
	struct program_run *run = timer->data;

	(void)uv_process_kill(&run->process, SIGKILL); /* on_exited() follows */
}

/* Asks the program to end, and ends it a second later. Its own children see to themselves. */
static void end_program(struct program_run *run)
{
	(void)uv_process_kill(&run->process, SIGTERM); /* fails for one that has just ended */
	(void)uv_timer_start(&run->timer, on_kill, KILL_MSEC, 0);
}

static void fail(struct program_run *run, enum program_trouble trouble)
{
	if (run->result.trouble != PROGRAM_NO_TROUBLE)
		return;
	run->result.trouble = trouble;
	if (!run->exited)
		end_program(run);
}

static void on_deadline(uv_timer_t *timer)
{
	fail(timer->data, PROGRAM_LATE);
}

/* Writing */

/* Whatever became of it: the program's end says whether it was enough. */
static void on_written(uv_write_t *write, int status)
{
	close_input(write->data);
}

static void write_input(struct program_run *run, size_t size)
{
	uv_buf_t buffer = uv_buf_init(run->input, (unsigned)size);

	run->write.data = run;
	if (uv_write(&run->write, (uv_stream_t *)&run->in, &buffer, 1, on_written) < 0)
		close_input(run);
}

/* Reading */

static void on_output_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct program_run *run = handle->data;
	struct program_result *result = &run->result;
	/* the byte that is too much tells that there is more */
	size_t most = run->output_max + 1, room = 2 * run->output_room + READ_SIZE;

	*ret_buffer = uv_buf_init(NULL, 0);
	if (result->output_size == run->output_room) {
		uint8_t *output = realloc(result->output, room < most ? room : most);

		if (!output)
			return; /* on_output() is told UV_ENOBUFS */
		result->output = output;
		run->output_room = room < most ? room : most;
	}
	ret_buffer->base = (char *)result->output + result->output_size;
	ret_buffer->len = run->output_room - result->output_size;
}

static void on_output(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct program_run *run = stream->data;

	if (size > 0)
		run->result.output_size += (size_t)size;
	if (size >= 0 && run->result.output_size <= run->output_max)
		return;
	(void)uv_read_stop(stream); /* cannot fail */
	run->out_ended = true;
	if (size != UV_EOF)
		fail(run, size > 0 ? PROGRAM_TOO_LARGE : PROGRAM_NO_MEMORY);
	finish_when_done(run);
}

static void on_complaint_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct program_run *run = handle->data;

	if (run->complaint_size == COMPLAINT_SIZE) {
		/* only its end is of interest */
		run->complaint_size = COMPLAINT_SIZE / 2;
		memcpy(run->complaint, run->complaint + COMPLAINT_SIZE / 2, COMPLAINT_SIZE / 2);
	}
	ret_buffer->base = run->complaint + run->complaint_size;
	ret_buffer->len = COMPLAINT_SIZE - run->complaint_size;
}

static void on_complaint(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct program_run *run = stream->data;

	if (size > 0)
		run->complaint_size += (size_t)size;
	if (size >= 0)
		return;
	(void)uv_read_stop(stream);
	run->err_ended = true;
	finish_when_done(run);
}

/* Starting */

static int spawn(uv_loop_t *loop, struct program_run *run, const char *const *arguments)
{
	uv_stdio_container_t stdio[] = {
		{.flags = UV_IGNORE}, /* /dev/null */
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		 .data.stream = (uv_stream_t *)&run->out},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		 .data.stream = (uv_stream_t *)&run->err},
	};
	uv_process_options_t options = {
		.exit_cb = on_exited,
		.file = arguments[0],
		.args = (char **)arguments, /* only read */
		.stdio = stdio,
		.stdio_count = 3,
	};

	(void)uv_timer_init(loop, &run->timer); /* these four cannot fail */
	(void)uv_pipe_init(loop, &run->out, 0);
	(void)uv_pipe_init(loop, &run->err, 0);
	run->open = 4; /* the process too, whether or not it can be started */
	if (run->has_input) {
		(void)uv_pipe_init(loop, &run->in, 0);
		run->open++;
		stdio[0] = (uv_stdio_container_t){.flags = UV_CREATE_PIPE | UV_READABLE_PIPE,
						  .data.stream = (uv_stream_t *)&run->in};
	}
	run->process.data = run->in.data = run->out.data = run->err.data = run->timer.data = run;
	return uv_spawn(loop, &run->process, &options);
}

/* NULL when memory is out. */
static struct program_run *make_run(const struct program_options *options)
{
	struct program_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->ended = options->ended;
	run->userdata = options->userdata;
	run->output_max = options->output_max;
	run->has_input = options->input != NULL;
	if (!run->has_input)
		return run;
	run->input = malloc(options->input_size + 1);
	if (!run->input) {
		free_run(run);
		return NULL;
	}
	memcpy(run->input, options->input, options->input_size);
	return run;
}

int program_run_new(uv_loop_t *loop, const struct program_options *options,
		    struct program_run **ret_run)
{
	struct program_run *run = make_run(options);
	int r;

	if (!run)
		return -ENOMEM;
	r = spawn(loop, run, options->arguments);
	if (r < 0) {
		close_run(run);
		return r;
	}
	uv_update_time(loop); /* starting it took a while */
	(void)uv_timer_start(&run->timer, on_deadline,
			     (uint64_t)(options->timeout_usec / USEC_PER_MSEC), 0);
	(void)uv_read_start((uv_stream_t *)&run->out, on_output_room, on_output);
	(void)uv_read_start((uv_stream_t *)&run->err, on_complaint_room, on_complaint);
	if (run->has_input)
		write_input(run, options->input_size);
	*ret_run = run;
	return 0;
}

struct program_run *program_run_free(struct program_run *run)
{
	if (!run)
		return NULL;
	run->ended = NULL;
	if (run->exited)
		close_run(run);
	else
		end_program(run);
	return NULL;
}

char *program_find(const char *name)
{
	static const char *const places[] = {"", "../vmi/"};
	char folder[PATH_MAX], path[PATH_MAX + NAME_MAX];
	ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	char *slash;

	if (strchr(name, '/') || length < 0)
		return strdup(name);
	folder[length] = '\0';
	slash = strrchr(folder, '/');
	for (size_t i = 0; slash && i < 2; i++) {
		int size = snprintf(path, sizeof(path), "%.*s/%s%s", (int)(slash - folder), folder,
				    places[i], name);

		if (size < (int)sizeof(path) && access(path, X_OK) == 0)
			return strdup(path);
	}
	return strdup(name);
}

const char *program_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
