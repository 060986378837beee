/* SPDX-License-Identifier: Apache-2.0 */
/* sendmail and commands: a program with the message on its standard input, and a deadline. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "notify/notify_internal.h"

enum {
	COMPLAINT_SIZE = 4096,
	KILL_MSEC = 1000,
	DRAIN_MSEC = 500, /* after its end: a process of its own may hold the pipe for longer */
	VARIABLES = 4,
	SENDMAIL_ARGUMENTS = 5, /* program, -i, -f, from, -- */
};

struct program {
	struct notify_delivery delivery; /* first */
	char *name, *body;
	uv_process_t process;
	uv_pipe_t in, err;
	uv_write_t write;
	uv_timer_t timer; /* the deadline, then the kill or the drain */
	unsigned open;    /* handles that are not closed yet */
	bool exited, err_ended, is_late, finished;
	int64_t exit_status;
	int signal, spawn_error;
	char complaint[COMPLAINT_SIZE + 1]; /* the end of what it said on stderr */
	size_t complaint_size;
};

/* What became of it */

/* The last line on stderr that is not empty, or "". */
static const char *last_line(struct program *program)
{
	char *text = program->complaint;
	size_t end = program->complaint_size;

	while (end > 0 && (unsigned char)text[end - 1] <= ' ')
		end--;
	text[end] = '\0';
	while (end > 0 && text[end - 1] != '\n')
		end--;
	return text + end;
}

static bool is_for_now(const struct program *program)
{
	switch (program->spawn_error) {
	case 0:
		break;
	case UV_EAGAIN:
	case UV_ENOMEM:
	case UV_EMFILE:
	case UV_ENFILE:
		return true;
	default:
		return false;
	}
	if (program->is_late || program->signal)
		return true;
	return program->exit_status == EX_TEMPFAIL || program->exit_status == EX_UNAVAILABLE ||
	       program->exit_status == EX_OSERR || program->exit_status == EX_IOERR;
}

static void describe(struct program *program, char ret_text[NOTIFY_TEXT_SIZE])
{
	const char *line = last_line(program);
	cleanup(free) char *clean = NULL;
	char text[2 * COMPLAINT_SIZE];

	if (program->spawn_error)
		(void)snprintf(text, sizeof(text), "%s cannot be started: %s", program->name,
			       uv_strerror(program->spawn_error));
	else if (program->is_late)
		(void)snprintf(text, sizeof(text), "%s had not ended when its time was over",
			       program->name);
	else if (program->signal)
		(void)snprintf(text, sizeof(text), "%s was ended by signal %d", program->name,
			       program->signal);
	else
		(void)snprintf(text, sizeof(text), "%s ended with exit status %d%s%s",
			       program->name, (int)program->exit_status, *line ? ": " : "", line);
	clean = notify_clean(text, NOTIFY_TEXT_SIZE - 1, NOTIFY_ONE_LINE);
	(void)snprintf(ret_text, NOTIFY_TEXT_SIZE, "%s", clean ? clean : "out of memory");
}

static void tell(struct program *program)
{
	bool is_delivered = !program->spawn_error && !program->is_late && !program->signal &&
			    program->exit_status == 0;
	enum notify_outcome outcome = is_delivered          ? NOTIFY_DELIVERED
				      : is_for_now(program) ? NOTIFY_AGAIN
							    : NOTIFY_REFUSED;
	char text[NOTIFY_TEXT_SIZE] = "";

	if (!is_delivered)
		describe(program, text);
	if (program->delivery.done)
		program->delivery.done(program->delivery.userdata, outcome, text);
}

/* The end */

static void free_program(struct program *program)
{
	free(program->name);
	free(program->body);
	free(program);
}

static void on_closed(uv_handle_t *handle)
{
	struct program *program = handle->data;

	if (--program->open > 0)
		return;
	tell(program);
	free_program(program);
}

static void close_input(struct program *program)
{
	if (!uv_is_closing((uv_handle_t *)&program->in))
		uv_close((uv_handle_t *)&program->in, on_closed);
}

/* What became of it is told when the last handle is closed: never from within notify_deliver(). */
static void finish(struct program *program)
{
	if (program->finished)
		return;
	program->finished = true;
	close_input(program);
	uv_close((uv_handle_t *)&program->process, on_closed);
	uv_close((uv_handle_t *)&program->err, on_closed);
	uv_close((uv_handle_t *)&program->timer, on_closed);
}

static void on_drained(uv_timer_t *timer)
{
	finish(timer->data);
}

/* It and all that it has started: a session of its own. */
static void send_signal(struct program *program, int number)
{
	(void)uv_kill(-program->process.pid, number); /* fails for one that has just ended */
}

static void on_exited(uv_process_t *process, int64_t exit_status, int signal_number)
{
	struct program *program = process->data;

	program->exited = true;
	program->exit_status = exit_status;
	program->signal = signal_number;
	if (program->is_late)
		send_signal(program, SIGKILL); /* what it has started may not have listened */
	(void)uv_timer_start(&program->timer, on_drained, DRAIN_MSEC, 0);
	if (program->err_ended || !program->delivery.done)
		finish(program);
}

static void on_kill(uv_timer_t *timer)
{
	send_signal(timer->data, SIGKILL); /* on_exited() follows */
}

static void end_program(struct program *program)
{
	send_signal(program, SIGTERM);
	(void)uv_timer_start(&program->timer, on_kill, KILL_MSEC, 0);
}

static void on_deadline(uv_timer_t *timer)
{
	struct program *program = timer->data;

	program->is_late = true;
	end_program(program);
}

static void end(struct notify_delivery *delivery)
{
	struct program *program = (struct program *)delivery;

	if (program->exited)
		finish(program);
	else if (!program->finished)
		end_program(program);
}

/* Its streams */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct program *program = handle->data;

	if (program->complaint_size == COMPLAINT_SIZE) {
		/* only its end is of interest */
		program->complaint_size = COMPLAINT_SIZE / 2;
		memcpy(program->complaint, program->complaint + COMPLAINT_SIZE / 2,
		       COMPLAINT_SIZE / 2);
	}
	ret_buffer->base = program->complaint + program->complaint_size;
	ret_buffer->len = COMPLAINT_SIZE - program->complaint_size;
}

static void on_complaint(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct program *program = stream->data;

	if (size > 0)
		program->complaint_size += (size_t)size;
	if (size >= 0)
		return;
	(void)uv_read_stop(stream);
	program->err_ended = true;
	if (program->exited)
		finish(program);
}

/* Whether it read all of it is its own affair: its exit status counts. */
static void on_written(uv_write_t *write, int status)
{
	struct program *program = write->handle->data;

	close_input(program);
}

/* Starting */

/* "NAME=text" of the alert's JSON. NULL when memory is out. */
static char *variable(const char *name, const char *text)
{
	char *made = NULL;

	return asprintf(&made, "%s=%s", name, text ? text : "") < 0 ? NULL : made;
}

static void free_variables(char **variables)
{
	for (size_t i = 0; i < VARIABLES; i++)
		free(variables[i]);
}

static bool make_variables(const char *body, char **ret_variables)
{
	cleanup(json_decref) json_t *alert = json_loads(body, 0, NULL);
	const json_t *labels = json_object_get(alert, "labels");
	const json_t *annotations = json_object_get(alert, "annotations");

	ret_variables[0] =
		variable("ATOM_ALARM", json_string_value(json_object_get(labels, "alarm")));
	ret_variables[1] =
		variable("ATOM_STATUS", json_string_value(json_object_get(alert, "status")));
	ret_variables[2] =
		variable("ATOM_EVENT", json_string_value(json_object_get(annotations, "event")));
	ret_variables[3] = variable("ATOM_SUMMARY",
				    json_string_value(json_object_get(annotations, "summary")));
	for (size_t i = 0; i < VARIABLES; i++)
		if (!ret_variables[i])
			return false;
	return true;
}

static bool is_ours(const char *entry)
{
	static const char *const names[VARIABLES] = {
		"ATOM_ALARM=", "ATOM_STATUS=", "ATOM_EVENT=", "ATOM_SUMMARY="};

	for (size_t i = 0; i < VARIABLES; i++)
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Our own environment and the variables; the list is owned, the texts are not. */
static char **make_environment(char *const *variables)
{
	size_t count = 0, used = 0;
	char **list;

	while (environ[count])
		count++;
	list = calloc(count + VARIABLES + 1, sizeof(*list));
	for (size_t i = 0; list && i < count; i++)
		if (!is_ours(environ[i]))
			list[used++] = environ[i];
	for (size_t i = 0; list && i < VARIABLES; i++)
		list[used++] = variables[i];
	return list;
}

/* NULL-terminated; the list is owned, the texts are not. */
static const char **make_arguments(const struct notify_receiver *receiver)
{
	size_t most = receiver->command_count + SENDMAIL_ARGUMENTS + receiver->to_count + 1;
	const char **list = calloc(most, sizeof(*list));
	size_t used = 0;

	if (!list)
		return NULL;
	for (size_t i = 0; i < receiver->command_count; i++)
		list[used++] = receiver->command[i];
	if (receiver->kind != NOTIFY_MAIL)
		return list;
	if (used == 0)
		list[used++] = "/usr/sbin/sendmail";
	list[used++] = "-i"; /* a dot alone is no end */
	list[used++] = "-f";
	list[used++] = receiver->from;
	list[used++] = "--";
	for (size_t i = 0; i < receiver->to_count; i++)
		list[used++] = receiver->to[i];
	return list;
}

static void init_handles(uv_loop_t *loop, struct program *program)
{
	(void)uv_timer_init(loop, &program->timer); /* these three cannot fail */
	(void)uv_pipe_init(loop, &program->in, 0);
	(void)uv_pipe_init(loop, &program->err, 0);
	program->process.data = program->in.data = program->err.data = program->timer.data =
		program;
	program->open = 4; /* the process too, whether or not it can be started */
}

static int spawn(uv_loop_t *loop, struct program *program, const char **arguments,
		 char **environment)
{
	uv_stdio_container_t stdio[] = {
		{.flags = UV_CREATE_PIPE | UV_READABLE_PIPE,
		 .data.stream = (uv_stream_t *)&program->in},
		{.flags = UV_IGNORE}, /* /dev/null */
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		 .data.stream = (uv_stream_t *)&program->err},
	};
	uv_process_options_t options = {
		.exit_cb = on_exited,
		.file = arguments[0],
		.args = (char **)arguments, /* only read */
		.env = environment,
		.flags = UV_PROCESS_DETACHED,
		.stdio = stdio,
		.stdio_count = 3,
	};

	return uv_spawn(loop, &program->process, &options);
}

static void start(uv_loop_t *loop, struct program *program, const char **arguments,
		  char **environment, int64_t timeout_usec)
{
	uv_buf_t buffer = uv_buf_init(program->body, (unsigned)strlen(program->body));

	init_handles(loop, program);
	program->spawn_error = spawn(loop, program, arguments, environment);
	if (program->spawn_error < 0) {
		finish(program);
		return;
	}
	uv_update_time(loop); /* starting it took a while */
	(void)uv_timer_start(&program->timer, on_deadline, (uint64_t)(timeout_usec / USEC_PER_MSEC),
			     0);
	(void)uv_read_start((uv_stream_t *)&program->err, on_room, on_complaint);
	if (uv_write(&program->write, (uv_stream_t *)&program->in, &buffer, 1, on_written) < 0)
		close_input(program);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int notify_run(uv_loop_t *loop, const struct notify_receiver *receiver, const char *body,
	       int64_t timeout_usec, const struct notify_delivery *delivery,
	       struct notify_delivery **ret_delivery)
{
	cleanup(free) const char **arguments = make_arguments(receiver);
	struct program *program = calloc(1, sizeof(*program));
	cleanup(free) char **environment = NULL;
	char *variables[VARIABLES] = {0};
	bool is_made = program && arguments;

	if (is_made) {
		program->delivery = *delivery;
		program->delivery.end = end;
		program->name = strdup(last_part(arguments[0]));
		program->body = strdup(body);
		is_made = program->name && program->body;
	}
	if (is_made && receiver->kind == NOTIFY_COMMAND) {
		is_made = make_variables(body, variables);
		environment = is_made ? make_environment(variables) : NULL;
		is_made = environment != NULL;
	}
	if (is_made) {
		start(loop, program, arguments, environment, timeout_usec);
		*ret_delivery = &program->delivery;
	} else if (program) {
		free_program(program);
	}
	free_variables(variables);
	return is_made ? 0 : -ENOMEM;
}
