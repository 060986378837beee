#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON that may lack anything: what is absent, or of another kind, is "" or 0. The texts
 * are borrowed for as long as the object has them. */
#include <jansson.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(json_t *, json_decref)

static inline const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static inline double number_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}
