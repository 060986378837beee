#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names out of the XML that cloud managers keep in a libvirt domain's metadata. Pure; the text is
 * another program's, so only one thing is asked of it: the text of the first element of a name.
 */
#include <stdbool.h>
#include <stddef.h>

/* The text of the first element with the local name `element` (any prefix, attributes allowed),
 * entities replaced, without white space at its ends. False when there is none. */
bool metadata_element(const char *xml, const char *element, char *ret_text, size_t capacity);
