/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"

struct entry {
	char *key;
	void *value;
	uint64_t hash;
};

/* `slots` is an open-addressing index into `entries`: 0 is free, n + 1 is entry n. */
struct map {
	struct entry *entries;
	uint32_t *slots;
	size_t size, capacity; /* slots has 2 * capacity places, a power of two */
	uint64_t seed;
};

DEFINE_CLEANUP(struct map *, map_free)

static uint64_t hash_key(const struct map *map, const char *key)
{
	uint64_t hash = map->seed ^ UINT64_C(14695981039346656037);

	for (; *key; key++) {
		hash = (hash ^ (unsigned char)*key) * UINT64_C(1099511628211);
		hash ^= hash >> 29;
	}
	return hash;
}

/* The slot that holds `key`, or the free one where it would go. */
static uint32_t *find_slot(const struct map *map, const char *key, uint64_t hash)
{
	size_t mask = 2 * map->capacity - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		const struct entry *entry;

		if (!map->slots[i])
			return &map->slots[i];
		entry = &map->entries[map->slots[i] - 1];
		if (entry->hash == hash && strcmp(entry->key, key) == 0)
			return &map->slots[i];
	}
}

static void index_all(struct map *map)
{
	memset(map->slots, 0, 2 * map->capacity * sizeof(*map->slots));
	for (size_t i = 0; i < map->size; i++)
		*find_slot(map, map->entries[i].key, map->entries[i].hash) = (uint32_t)i + 1;
}

static int grow(struct map *map, size_t capacity)
{
	cleanup(free) uint32_t *slots = calloc(2 * capacity, sizeof(*slots));
	struct entry *entries;

	if (!slots)
		return -ENOMEM;
	entries = reallocarray(map->entries, capacity, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	map->entries = entries;
	map->capacity = capacity;
	free(map->slots);
	map->slots = keep(slots);
	index_all(map);
	return 0;
}

struct map *map_new(void)
{
	cleanup(map_free) struct map *map = calloc(1, sizeof(*map));

	if (!map)
		return NULL;
	if (getrandom(&map->seed, sizeof(map->seed), GRND_NONBLOCK) < 0)
		map->seed = (uintptr_t)map;
	if (grow(map, 16) < 0)
		return NULL;
	return keep(map);
}

struct map *map_free(struct map *map)
{
	if (!map)
		return NULL;
	for (size_t i = 0; i < map->size; i++)
		free(map->entries[i].key);
	free(map->entries);
	free(map->slots);
	free(map);
	return NULL;
}

int map_put(struct map *map, const char *key, void *value)
{
	uint64_t hash = hash_key(map, key);
	char *copy;

	if (*find_slot(map, key, hash))
		return -EEXIST;
	if (map->size == map->capacity && grow(map, 2 * map->capacity) < 0)
		return -ENOMEM;
	copy = strdup(key);
	if (!copy)
		return -ENOMEM;
	map->entries[map->size] = (struct entry){.key = copy, .value = value, .hash = hash};
	*find_slot(map, key, hash) = (uint32_t)++map->size;
	return 0;
}

void *map_find(const struct map *map, const char *key)
{
	uint32_t slot = *find_slot(map, key, hash_key(map, key));

	return slot ? map->entries[slot - 1].value : NULL;
}

void *map_remove(struct map *map, const char *key)
{
	uint32_t slot = *find_slot(map, key, hash_key(map, key));
	void *value;

	if (!slot)
		return NULL;
	value = map->entries[slot - 1].value;
	free(map->entries[slot - 1].key);
	memmove(&map->entries[slot - 1], &map->entries[slot],
		(map->size - slot) * sizeof(*map->entries));
	map->size--;
	index_all(map);
	return value;
}

size_t map_size(const struct map *map)
{
	return map->size;
}

void *map_at(const struct map *map, size_t position)
{
	return map->entries[position].value;
}
