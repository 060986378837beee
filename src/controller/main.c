/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/log.h"
#include "config/command_line.h"
#include "controller/controller.h"

static int run(struct controller *controller)
{
	static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
						LOG_LEVEL_DEBUG};
	struct error err = ERROR_INIT;
	int r;

	log_init("atomd", levels[controller->settings.log_level]);
	(void)uv_loop_init(&controller->loop);
	r = controller_start(controller, &err);
	if (r < 0) {
		log_error("%s", error_text(&err, r));
		return EXIT_FAILURE;
	}
	(void)uv_run(&controller->loop, UV_RUN_DEFAULT);
	controller_deinit(controller);
	(void)uv_loop_close(&controller->loop);
	return controller->exit_code;
}

int main(int argc, char **argv)
{
	static struct controller controller;
	int r = command_line_parse(
		argc, argv, "atomd",
		"Tracks the series of all nodes, tests them, raises alarms and serves the API.",
		&settings_table, &controller.settings);

	if (r != COMMAND_LINE_RUN)
		return r == COMMAND_LINE_ANSWERED ? EXIT_SUCCESS : r;
	r = run(&controller);
	config_deinit(&settings_table, &controller.settings);
	return r;
}
