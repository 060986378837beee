#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exit statuses of atom-vmi beside 0, 1 (failed) and 2 (bad usage), for it and for who runs it.
 * docs/man/atom-vmi.md tells them.
 */
enum {
	EXIT_REFUSED = 3, /* `kill`: nothing was done */
	EXIT_NOTHING = 3, /* `pause` and `resume`: it was so already */
	EXIT_ARMED = 4,   /* `kill`: SIGKILL is pending */
};
