/* SPDX-License-Identifier: Apache-2.0 */
/* atom-vmi VIEW[,VIEW...] VM */
#include <string.h>

#include "base/clock.h"
#include "terminal/terminal.h"
#include "vmi/command.h"
#include "vmi/view.h"

static const char help[] =
	"Usage: atom-vmi VIEW[,VIEW...] VM [--json] [--pid N] [--interval SEC] [--budget MSEC]\n"
	"                [--pause MSEC] [--no-cache] [--cache DIR] [--connect URI]\n"
	"Instead of VM: --qmp SOCKET, --process PID (of QEMU), --dump FILE.\n"
	"--pause allows a pause of at most so long when the guest changes faster than it can be "
	"read.\n"
	"atom-vmi --help lists the views.\n";

static bool is_ordered(const struct session_order *order, uint32_t place)
{
	for (size_t i = 0; i < order->view_count; i++)
		if (order->views[i] == place)
			return true;
	return false;
}

/* "ps,net" into places in the table of views. */
static int parse_views(char *text, struct session_order *order)
{
	char *rest = text;

	for (const char *name; (name = strsep(&rest, ","));) {
		int place = view_find(name);

		if (place < 0)
			return terminal_fail(EXIT_USAGE,
					     "there is no view '%.40s'; see atom-vmi --help", name);
		if (is_ordered(order, (uint32_t)place))
			continue;
		if (order->view_count == SESSION_VIEWS_MAX)
			return terminal_fail(EXIT_USAGE, "more than %d views", SESSION_VIEWS_MAX);
		order->views[order->view_count++] = (uint32_t)place;
	}
	return EXIT_OK;
}

/* Only one view waits for a second sample. */
static bool has_top(const struct session_order *order)
{
	for (size_t i = 0; i < order->view_count; i++)
		if (view_table[order->views[i]].run == view_top)
			return true;
	return false;
}

int command_look(int argc, char **argv)
{
	const char *interval = NULL, *pause = NULL;
	const struct command_option own[] = {{"interval", OPTION_VALUE, &interval},
					     {"pause", OPTION_VALUE, &pause}};
	struct command command = {.help = help,
				  .takes = COMMAND_TAKES_JOB | COMMAND_TAKES_PID,
				  .own = own,
				  .own_count = 2,
				  .job = {.kind = JOB_VIEWS}};
	unsigned long pause_msec = 0;
	double seconds = 1;
	int status;

	if (!command_parse(&command, argc, argv, &status))
		return status;
	if ((interval && !options_real("interval", interval, &seconds)) ||
	    (pause && !options_number("pause", pause, 0, 1000, &pause_msec)))
		return EXIT_USAGE;
	if (seconds < 0.05 || seconds > 60)
		return terminal_fail(EXIT_USAGE, "--interval must be from 0.05 to 60 seconds");
	command.job.order.pause_usec = (int64_t)pause_msec * USEC_PER_MSEC;
	status = parse_views(argv[0], &command.job.order);
	if (has_top(&command.job.order))
		command.job.order.interval_usec = (int64_t)(seconds * USEC_PER_SEC);
	return status == EXIT_OK ? command_run(&command, NULL) : status;
}
