#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request that is confined to a project gets to see of alarms: those that name a VM of it,
 * and of them only what concerns its VMs. Pure JSON in and out; "" is no confinement, and changes
 * nothing.
 */
#include <jansson.h>
#include <stdbool.h>

/* Takes away of an alarm's evidence what concerns other projects. False: nothing is left to see. */
bool scope_evidence(json_t *evidence, const char *project);
/* Whether anything of it is left then. */
bool scope_is_visible(const json_t *evidence, const char *project);
/* The project that all is of: every VM that the alarm names, and every look that was ever taken for
 * it. "": none, or several. Borrowed from the evidence. */
const char *scope_project(const json_t *evidence);
/* Whether all is of that project. */
bool scope_is_whole(const json_t *evidence, const char *project);
/* Whether an action, a look, a column is for the project to see. */
bool scope_has_entry(const json_t *entry, const char *project);
/* Whether the evidence has a look or a column of that VM (UUID) and project. */
bool scope_has_vm(const json_t *evidence, const char *uuid, const char *project);
