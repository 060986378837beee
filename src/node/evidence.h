#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder in which the snapshots of VMs lie: names, room, and what was left over. Pure file
 * system work, which may wait for the disk. On the loop's thread.
 */
#include <stddef.h>
#include <stdint.h>

/* Deletes what ended snapshots have left where the file system has no files without a name:
 * "evidence-*.lime.part-??????", regular files alone. Returns how many; a folder that is not there
 * has none. At the start, when no snapshot of this node is under way. */
size_t evidence_sweep(const char *folder);
