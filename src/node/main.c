/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/log.h"
#include "config/command_line.h"
#include "node/node.h"

static int run(struct node *node)
{
	static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
						LOG_LEVEL_DEBUG};
	struct error err = ERROR_INIT;
	int r;

	log_init("atom-node", levels[node->settings.log_level]);
	(void)uv_loop_init(&node->loop);
	r = node_start(node, &err);
	if (r < 0) {
		log_error("%s", error_text(&err, r));
		return EXIT_FAILURE;
	}
	(void)uv_run(&node->loop, UV_RUN_DEFAULT);
	node_deinit(node);
	(void)uv_loop_close(&node->loop);
	return node->exit_code;
}

int main(int argc, char **argv)
{
	static struct node node;
	int r = command_line_parse(
		argc, argv, "atom-node",
		"Observes the VMs of this host and sends atomd what has changed.", &settings_table,
		&node.settings);

	if (r != COMMAND_LINE_RUN)
		return r == COMMAND_LINE_ANSWERED ? EXIT_SUCCESS : r;
	r = run(&node);
	config_deinit(&settings_table, &node.settings);
	return r;
}
