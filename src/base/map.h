#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from strings to pointers that remembers the order of insertion. Keys are copied,
 * values are borrowed for the life of the entry. One thread. Keys may come from peers: the hash is
 * seeded.
 */
#include <stddef.h>

struct map;

/* Returns owned, or NULL when memory is out. */
struct map *map_new(void);
struct map *map_free(struct map *map);

/* Returns 0, -EEXIST when the key is there already, or -ENOMEM. */
int map_put(struct map *map, const char *key, void *value);

/* The value of `key`, or NULL. */
void *map_find(const struct map *map, const char *key);

/* Takes the entry out and returns its value, or NULL when there was none. */
void *map_remove(struct map *map, const char *key);

size_t map_size(const struct map *map);

/* Entry number `position` (0 .. map_size()-1) in the order of insertion. Removal moves later ones
 * up. */
void *map_at(const struct map *map, size_t position);

#define map_foreach(map, position, value)                                                        \
	for (size_t position = 0; position < map_size(map) && ((value) = map_at(map, position)); \
	     position++)
