/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outbox of atomd alone, for notify_test.py: outbox_driver ATOMD.YAML. Each line of its
 * standard input is a JSON object: {"offer": ALERT} offers one, {"open": [ALERT...]} says which
 * alarms are open from now on, {"counts": 0} prints what the outbox has counted. ALERT has the
 * members of struct notify_alert, times in seconds. Ends at the end of its input.
 */
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "controller/settings.h"
#include "notify/outbox.h"
#include "store/store.h"

enum { FOLLOW_MSEC = 50, LINE_SIZE = 65536, VMS_MAX = 16 };

struct driver {
	uv_loop_t loop;
	struct settings settings;
	struct store *store;
	struct outbox *outbox;
	uv_pipe_t input;
	uv_timer_t timer;
	json_t *open;
	char line[LINE_SIZE];
	size_t size;
};

static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static int64_t time_at(const json_t *object, const char *name)
{
	return (int64_t)(json_number_value(json_object_get(object, name)) * (double)USEC_PER_SEC);
}

static void with_alert(const json_t *object, outbox_take *take, void *taker)
{
	const json_t *list = json_object_get(object, "vms");
	const char *vms[VMS_MAX] = {0};
	struct notify_alert alert = {
		.alarm = json_integer_value(json_object_get(object, "alarm")),
		.group = text_at(object, "group"),
		.state = text_at(object, "state"),
		.status = json_object_get(object, "closed") ? NOTIFY_RESOLVED : NOTIFY_FIRING,
		.opened_usec = time_at(object, "opened"),
		.closed_usec = time_at(object, "closed"),
		.time_usec = clock_wall_usec(),
		.level = (uint32_t)json_integer_value(json_object_get(object, "level")),
		.summary = text_at(object, "summary"),
		.details = text_at(object, "details"),
		.vms = vms,
		.project = text_at(object, "project"),
		.event = text_at(object, "event"),
	};

	for (; alert.vm_count < json_array_size(list) && alert.vm_count < VMS_MAX; alert.vm_count++)
		vms[alert.vm_count] = json_string_value(json_array_get(list, alert.vm_count));
	take(taker, &alert);
}

static void offer(void *taker, const struct notify_alert *alert)
{
	outbox_offer(taker, alert);
}

static void each_open(void *userdata, outbox_take *take, void *taker)
{
	const struct driver *driver = userdata;

	for (size_t i = 0; i < json_array_size(driver->open); i++)
		with_alert(json_array_get(driver->open, i), take, taker);
}

static void on_timer(uv_timer_t *timer)
{
	struct driver *driver = timer->data;

	outbox_follow(driver->outbox, each_open, driver);
}

static void print_counts(const struct driver *driver)
{
	struct outbox_counts counts = outbox_counts(driver->outbox);

	printf("{\"sent\": %llu, \"failed\": %llu, \"merged\": %llu, \"dropped\": %llu, "
	       "\"waiting\": %zu}\n",
	       (unsigned long long)counts.sent, (unsigned long long)counts.failed,
	       (unsigned long long)counts.merged, (unsigned long long)counts.dropped,
	       counts.waiting);
	(void)fflush(stdout);
}

static void on_line(struct driver *driver, const char *text)
{
	json_t *line = json_loads(text, 0, NULL);
	json_t *open = json_object_get(line, "open");

	if (open) {
		json_decref(driver->open);
		driver->open = json_incref(open);
	} else if (json_object_get(line, "offer")) {
		with_alert(json_object_get(line, "offer"), offer, driver->outbox);
	} else if (json_object_get(line, "counts")) {
		print_counts(driver);
	} else {
		log_error("what is '%s'?", text);
	}
	json_decref(line);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct driver *driver = handle->data;

	*ret_buffer =
		uv_buf_init(driver->line + driver->size, (unsigned)(LINE_SIZE - 1 - driver->size));
}

static void on_input(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct driver *driver = stream->data;
	char *end;

	if (size < 0) {
		uv_close((uv_handle_t *)&driver->input, NULL);
		uv_close((uv_handle_t *)&driver->timer, NULL);
		driver->outbox = outbox_free(driver->outbox);
		return;
	}
	driver->size += (size_t)size;
	driver->line[driver->size] = '\0';
	while ((end = strchr(driver->line, '\n'))) {
		*end = '\0';
		on_line(driver, driver->line);
		driver->size -= (size_t)(end + 1 - driver->line);
		memmove(driver->line, end + 1, driver->size + 1);
	}
}

static int start(struct driver *driver, const char *path, struct error *err)
{
	int r = config_load(&settings_table, path, &driver->settings, err);

	if (r == 0)
		r = store_open(driver->settings.store_path, &driver->store, err);
	if (r == 0)
		r = outbox_new(&driver->loop, driver->store,
			       &(struct outbox_options){&driver->settings.notify,
							driver->settings.external_url},
			       &driver->outbox, err);
	if (r < 0)
		return r;
	(void)uv_pipe_init(&driver->loop, &driver->input, 0);
	(void)uv_timer_init(&driver->loop, &driver->timer);
	driver->input.data = driver->timer.data = driver;
	r = uv_pipe_open(&driver->input, 0);
	if (r == 0)
		r = uv_read_start((uv_stream_t *)&driver->input, on_room, on_input);
	if (r == 0)
		r = uv_timer_start(&driver->timer, on_timer, 0, FOLLOW_MSEC);
	return r;
}

int main(int argc, char **argv)
{
	static struct driver driver;
	struct error err = ERROR_INIT;
	int r;

	log_init("outbox_driver", LOG_LEVEL_DEBUG);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)uv_loop_init(&driver.loop);
	r = argc == 2 ? start(&driver, argv[1], &err) : -1;
	if (r < 0) {
		log_error("%s", error_text(&err, r));
		return EXIT_FAILURE;
	}
	(void)uv_run(&driver.loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&driver.loop);
	store_free(driver.store);
	json_decref(driver.open);
	config_deinit(&settings_table, &driver.settings);
	return EXIT_SUCCESS;
}
