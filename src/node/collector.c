/* SPDX-License-Identifier: Apache-2.0 */
/* The ticks: an absolute schedule, so that delays do not add up; a tick that is late is not made up
 * for. */
#include "base/clock.h"
#include "base/log.h"
#include "node/node.h"

enum { FAREWELL_MSEC = 500 };

static int64_t deadline_usec(const struct node *node)
{
	int64_t half = node->observation.interval_usec / 2;

	if (node->settings.deadline_usec > 0 && node->settings.deadline_usec < 2 * half)
		return node->settings.deadline_usec;
	return half < USEC_PER_SEC ? half : USEC_PER_SEC;
}

static void report_problem(struct node *node)
{
	const char *problem = hypervisor_problem(node->hypervisor);

	if (problem && !node->problem_logged)
		log_warning("%s", problem);
	else if (!problem && node->problem_logged)
		log_info("%s answers again", hypervisor_name(node->hypervisor));
	node->problem_logged = problem != NULL;
}

static void on_timer(uv_timer_t *timer);

/* The next point of the schedule that is still to come. */
static void schedule(struct node *node)
{
	int64_t now = clock_mono_usec();
	int64_t pace = hypervisor_pace_usec(node->hypervisor, node->observation.interval_usec);

	node->next_tick_usec += pace;
	if (node->next_tick_usec < now && pace > 0)
		node->next_tick_usec += (now - node->next_tick_usec + pace - 1) / pace * pace;
	if (node->next_tick_usec < now)
		node->next_tick_usec = now;
	/* libuv counts from its own idea of now, in whole milliseconds */
	uv_update_time(&node->loop);
	(void)uv_timer_start(&node->tick, on_timer,
			     (uint64_t)((node->next_tick_usec - now) / USEC_PER_MSEC), 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct node *node = timer->data;

	if (hypervisor_collect(node->hypervisor, deadline_usec(node)) < 0)
		log_warning("a tick is left out: the one before has not ended");
	schedule(node);
}

static void on_tick(void *userdata, const struct hypervisor_snapshot *snapshot)
{
	struct node *node = userdata;

	if (node->ending)
		return;
	report_problem(node);
	upkeep_check(node->upkeep);
	if (fleet_take(node->fleet, snapshot) < 0) {
		log_error("out of memory: a tick is lost");
		return;
	}
	link_send_tick(node);
}

static void on_farewell(uv_timer_t *timer)
{
	node_stop(timer->data, 0);
}

/* The last frame is given time to leave. */
static void on_ended(void *userdata)
{
	struct node *node = userdata;

	log_info("the trace has ended");
	(void)uv_timer_stop(&node->tick);
	(void)uv_timer_start(&node->farewell, on_farewell, FAREWELL_MSEC, 0);
}

void collector_restart(struct node *node)
{
	hypervisor_set_metrics(node->hypervisor, node->observation.metrics);
	node->next_tick_usec = clock_mono_usec();
	(void)uv_timer_start(&node->tick, on_timer, 0, 0);
}

static const struct hypervisor_ops ops = {on_tick, on_ended};

int collector_start(struct node *node, struct error *err)
{
	struct hypervisor_options options = {
		.uri = node->settings.hypervisor_uri,
		.speed = node->settings.hypervisor_speed,
		.start = node->settings.hypervisor_start ? "now" : "recorded",
	};

	(void)uv_timer_init(&node->loop, &node->tick); /* cannot fail */
	(void)uv_timer_init(&node->loop, &node->farewell);
	node->tick.data = node->farewell.data = node;
	/* which other metrics are wanted, the controller says later */
	return hypervisor_open(&node->loop, &options, METRIC_SET_PAPER, &ops, node,
			       &node->hypervisor, err);
}

void collector_stop(struct node *node)
{
	uv_close((uv_handle_t *)&node->tick, NULL);
	uv_close((uv_handle_t *)&node->farewell, NULL);
	node->hypervisor = hypervisor_free(node->hypervisor);
}
