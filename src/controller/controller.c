/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/controller.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"

enum { WATCH_MSEC = 250, EXPIRY_MSEC = 60 * 1000 };

#define GONE_USEC (24 * 3600 * USEC_PER_SEC)

static void on_watch(uv_timer_t *timer)
{
	struct controller *controller = timer->data;

	link_watch(controller);
	inquiries_follow(controller);
	actions_follow(controller);
	access_follow(&controller->access);
	history_write(controller->history); /* what a full disk has kept back */
	announce_follow(controller);
}

static void on_expiry(uv_timer_t *timer)
{
	struct controller *controller = timer->data;
	int64_t now = clock_wall_usec();

	history_expire(controller->history, now - controller->settings.retention_usec);
	if (history_is_empty(controller->history)) /* its points name VMs */
		fleet_forget(&controller->fleet, now - GONE_USEC);
}

static void on_signal(uv_signal_t *signal, int number)
{
	log_info("ending on signal %d", number);
	controller_stop(signal->data, 0);
}

static void start_handles(struct controller *controller)
{
	static const int numbers[] = {SIGINT, SIGTERM};

	(void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone, and */
	(void)signal(SIGXFSZ, SIG_IGN); /* a store that may not grow, are errors to handle */
	(void)uv_timer_init(&controller->loop, &controller->watch); /* cannot fail */
	(void)uv_timer_init(&controller->loop, &controller->expiry);
	controller->watch.data = controller->expiry.data = controller;
	(void)uv_timer_start(&controller->watch, on_watch, WATCH_MSEC, WATCH_MSEC);
	(void)uv_timer_start(&controller->expiry, on_expiry, EXPIRY_MSEC, EXPIRY_MSEC);
	for (size_t i = 0; i < 2; i++) {
		(void)uv_signal_init(&controller->loop, &controller->signals[i]);
		controller->signals[i].data = controller;
		(void)uv_signal_start(&controller->signals[i], on_signal, numbers[i]);
	}
}

static int open_state(struct controller *controller, struct error *err)
{
	const struct outbox_options outbox = {&controller->settings.notify,
					      controller->settings.external_url};
	int r = settings_observation(&controller->settings, &controller->observation, err);

	if (r == 0)
		r = inquiries_init(&controller->inquiries, &controller->settings, err);
	if (r == 0)
		r = access_init(&controller->access, &controller->settings, err);
	if (r == 0)
		r = history_new(controller->settings.store_path, &controller->history, err);
	if (r == 0)
		r = outbox_new(&controller->loop, history_store(controller->history), &outbox,
			       &controller->outbox, err);
	if (r == 0)
		history_listen(controller->history, announce_hear, &controller->announcements);
	if (r == 0 &&
	    (fleet_init(&controller->fleet) < 0 ||
	     groups_init(&controller->groups, &controller->settings, controller->history) < 0))
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = rebuild(controller, err);
	if (r == 0)
		r = actions_init(&controller->actions, history_store(controller->history), err);
	return r;
}

static int listen_for_all(struct controller *controller, struct error *err)
{
	const struct settings *settings = &controller->settings;
	struct bus_tls tls = {settings->tls_ca, settings->tls_certificate, settings->tls_key};
	struct http_server_options http = {
		.address = settings->http_address,
		.port = (uint16_t)settings->http_port,
		.certificate_file = settings->http_certificate,
		.key_file = settings->http_key,
		.routes = api_routes,
		.count = api_route_count,
		.authorize = access_authorize,
		.userdata = controller,
	};
	int r = bus_server_new(&controller->loop, settings->bus_address,
			       (uint16_t)settings->bus_port, &tls, &link_ops, controller,
			       &controller->bus, err);

	if (r == 0)
		r = http_server_new(&controller->loop, &http, &controller->http, err);
	return r;
}

int controller_start(struct controller *controller, struct error *err)
{
	int r = open_state(controller, err);

	if (r == 0)
		r = listen_for_all(controller, err);
	if (r < 0)
		return r;
	start_handles(controller);
	controller->started_usec = clock_wall_usec();
	log_info("nodes connect to %s port %u; the API is at http%s://%s:%u; the store is %s",
		 controller->settings.bus_address, bus_server_port(controller->bus),
		 *controller->settings.http_certificate ? "s" : "",
		 controller->settings.http_address, http_server_port(controller->http),
		 controller->settings.store_path);
	(void)sd_notify(0, "READY=1"); /* says nothing where nobody listens */
	return 0;
}

void controller_stop(struct controller *controller, int exit_code)
{
	if (controller->ending)
		return;
	controller->ending = true;
	controller->exit_code = exit_code;
	uv_close((uv_handle_t *)&controller->watch, NULL);
	uv_close((uv_handle_t *)&controller->expiry, NULL);
	for (size_t i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&controller->signals[i], NULL);
	controller->http = http_server_free(controller->http);
	controller->bus = bus_server_free(controller->bus);
	history_write(controller->history);
	announce_tell(controller);
	controller->outbox = outbox_free(controller->outbox);
}

void controller_deinit(struct controller *controller)
{
	controller->history = history_free(controller->history);
	actions_deinit(&controller->actions);
	inquiries_deinit(&controller->inquiries);
	access_deinit(&controller->access);
	groups_deinit(&controller->groups);
	fleet_deinit(&controller->fleet);
}
