/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the rules of a containment for containment_test.py: containment_script ACTION PEER ADDRESS
 * RATE EXPIRY_USEC TAP... With ACTION alone those that release it. */
#include "node/containment.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

enum { FIRST_TAP = 6 };

static char *make(int argc, char **argv)
{
	struct containment containment = {.action = strtoull(argv[1], NULL, 10)};
	struct error err = ERROR_INIT;
	char *script = NULL;
	int r;

	if (argc < FIRST_TAP)
		return containment_release_script(containment.action);
	containment.peer = argv[2];
	containment.address = argv[3];
	containment.rate = (uint32_t)strtoul(argv[4], NULL, 10);
	containment.expiry_usec = strtoll(argv[5], NULL, 10);
	for (int i = FIRST_TAP; i < argc && containment.tap_count < CONTAINMENT_TAPS_MAX; i++)
		containment.taps[containment.tap_count++] = argv[i];
	r = containment_script(&containment, &script, &err);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", error_text(&err, r));
	return script;
}

int main(int argc, char **argv)
{
	cleanup(free) char *script = argc > 1 ? make(argc, argv) : NULL;

	return script && fputs(script, stdout) >= 0 ? 0 : 1;
}
