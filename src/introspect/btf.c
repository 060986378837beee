/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/btf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEADER_SIZE = 24,
	HEAD_SIZE = 12,
	BTF_MAGIC = 0xeb9f,
	NAMES_MAX = 256,
	SEARCH_STEPS_MAX = 10000 /* no structure of a kernel has as many members */
};

struct header {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t header_size, types_offset, types_size, strings_offset, strings_size;
};

static uint32_t load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* What follows a type's head: `fixed` bytes and `each` per member. */
static const struct {
	uint8_t fixed, each;
} tails[BTF_KINDS] = {
	[BTF_INT] = {4, 0},     [BTF_ARRAY] = {12, 0},   [BTF_STRUCT] = {0, 12},
	[BTF_UNION] = {0, 12},  [BTF_ENUM] = {0, 8},     [BTF_FUNC_PROTO] = {0, 8},
	[BTF_VAR] = {4, 0},     [BTF_DATASEC] = {0, 12}, [BTF_DECL_TAG] = {4, 0},
	[BTF_ENUM64] = {0, 12},
};

static int check_header(const uint8_t *bytes, size_t size, struct header *header, struct error *err)
{
	if (size < HEADER_SIZE || size > BTF_SIZE_MAX)
		return error_set(err, -EBADMSG, "BTF of %zu bytes", size);
	memcpy(header, bytes, sizeof(*header));
	if (header->magic != BTF_MAGIC || header->version != 1 || header->header_size < HEADER_SIZE)
		return error_set(err, -EBADMSG, "no BTF header");
	if ((uint64_t)header->header_size + header->types_offset + header->types_size > size ||
	    (uint64_t)header->header_size + header->strings_offset + header->strings_size > size ||
	    header->strings_size == 0)
		return error_set(err, -EBADMSG, "BTF sections leave the blob");
	if (bytes[header->header_size + header->strings_offset + header->strings_size - 1] != 0)
		return error_set(err, -EBADMSG, "BTF strings do not end");
	return 0;
}

static int grow_index(struct btf *btf, uint32_t *capacity)
{
	uint32_t *grown;

	if (btf->count < *capacity)
		return 0;
	if (*capacity >= BTF_TYPES_MAX)
		return -E2BIG;
	*capacity = *capacity ? *capacity * 2 : 1 << 17;
	grown = reallocarray(btf->index, *capacity, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	btf->index = grown;
	return 0;
}

static int build_index(struct btf *btf, struct error *err)
{
	uint32_t capacity = 0;

	for (uint32_t at = 0; at < btf->types_size; btf->count++) {
		uint32_t info, kind, vlen;
		uint64_t size;
		int r = grow_index(btf, &capacity);

		if (r < 0)
			return error_set_errno(err, r, "BTF index");
		if (btf->types_size - at < HEAD_SIZE)
			return error_set(err, -EBADMSG, "BTF type %u is cut", btf->count + 1);
		info = load32(btf->types + at + 4);
		kind = info >> 24 & 0x1f;
		vlen = info & 0xffff;
		if (kind == BTF_VOID || kind >= BTF_KINDS)
			return error_set(err, -EBADMSG, "BTF type %u is of unknown kind %u",
					 btf->count + 1, kind);
		size = HEAD_SIZE + tails[kind].fixed + (uint64_t)tails[kind].each * vlen;
		if (size > btf->types_size - at)
			return error_set(err, -EBADMSG, "BTF type %u is cut", btf->count + 1);
		btf->index[btf->count] = at;
		at += (uint32_t)size;
	}
	return 0;
}

int btf_init(struct btf *btf, const uint8_t *bytes, size_t size, struct error *err)
{
	struct header header;
	int r = check_header(bytes, size, &header, err);

	if (r < 0)
		return r;
	*btf = (struct btf){.types = bytes + header.header_size + header.types_offset,
			    .strings = bytes + header.header_size + header.strings_offset,
			    .types_size = header.types_size,
			    .strings_size = header.strings_size};
	r = build_index(btf, err);
	if (r < 0)
		btf_deinit(btf);
	return r;
}

void btf_deinit(struct btf *btf)
{
	free(btf->index);
	*btf = (struct btf){0};
}

int btf_type(const struct btf *btf, uint32_t id, struct btf_type *ret_type)
{
	const uint8_t *at;
	uint32_t info;

	if (id == 0 || id > btf->count)
		return -EBADMSG;
	at = btf->types + btf->index[id - 1];
	info = load32(at + 4);
	*ret_type = (struct btf_type){.id = id,
				      .name = load32(at),
				      .kind = info >> 24 & 0x1f,
				      .vlen = info & 0xffff,
				      .value = load32(at + 8),
				      .data = at + HEAD_SIZE,
				      .has_bitfields = info >> 31};
	return 0;
}

const char *btf_string(const struct btf *btf, uint32_t offset)
{
	return offset < btf->strings_size ? (const char *)btf->strings + offset : "";
}

int btf_member(const struct btf_type *type, uint32_t position, struct btf_member *ret_member)
{
	uint32_t offset;

	if ((type->kind != BTF_STRUCT && type->kind != BTF_UNION) || position >= type->vlen)
		return -EBADMSG;
	offset = load32(type->data + position * 12 + 8);
	*ret_member = (struct btf_member){
		.name = load32(type->data + position * 12),
		.type = load32(type->data + position * 12 + 4),
		.bit_offset = type->has_bitfields ? offset & 0xffffff : offset,
		.bit_size = type->has_bitfields ? offset >> 24 : 0,
	};
	return 0;
}

int btf_array(const struct btf_type *type, struct btf_array *ret_array)
{
	if (type->kind != BTF_ARRAY)
		return -EBADMSG;
	*ret_array = (struct btf_array){load32(type->data), load32(type->data + 4),
					load32(type->data + 8)};
	return 0;
}

static bool is_modifier(enum btf_kind kind)
{
	return kind == BTF_TYPEDEF || kind == BTF_VOLATILE || kind == BTF_CONST ||
	       kind == BTF_RESTRICT || kind == BTF_TYPE_TAG;
}

int btf_strip(const struct btf *btf, uint32_t id, struct btf_type *ret_type)
{
	for (int i = 0; i < BTF_CHAIN_MAX; i++) {
		int r = btf_type(btf, id, ret_type);

		if (r < 0 || !is_modifier(ret_type->kind))
			return r;
		id = ret_type->value;
	}
	return -ELOOP;
}

int btf_size(const struct btf *btf, uint32_t id, uint64_t *ret_size)
{
	uint64_t factor = 1;

	for (int i = 0; i < BTF_NESTING_MAX; i++) {
		struct btf_type type;
		struct btf_array array;
		int r = btf_strip(btf, id, &type);

		if (r < 0)
			return r;
		switch ((int)type.kind) {
		case BTF_INT:
		case BTF_STRUCT:
		case BTF_UNION:
		case BTF_ENUM:
		case BTF_ENUM64:
		case BTF_FLOAT:
			*ret_size = factor * type.value;
			return *ret_size <= UINT32_MAX ? 0 : -EBADMSG;
		case BTF_PTR:
			*ret_size = factor * 8;
			return *ret_size <= UINT32_MAX ? 0 : -EBADMSG;
		case BTF_ARRAY:
			(void)btf_array(&type, &array); /* it is one */
			factor *= array.count;
			if (factor > UINT32_MAX)
				return -EBADMSG;
			id = array.type;
			break;
		default:
			return -EBADMSG;
		}
	}
	return -ELOOP;
}

/* A member wanted by name. Anonymous members within each other could make a search as long as the
 * product of their numbers: its steps are counted. */
struct search {
	const struct btf *btf;
	const char *name;
	size_t length;
	uint32_t steps;
};

static bool is_name(const struct search *search, const char *name)
{
	return strncmp(name, search->name, search->length) == 0 && !name[search->length];
}

/* Finds it in structure `id`, also within anonymous members; its place is added to *offset. */
static int find_member(struct search *search, uint32_t id, int nesting, uint64_t *offset,
		       uint32_t *ret_type)
{
	struct btf_type type;
	struct btf_member member;
	int r = btf_strip(search->btf, id, &type);

	if (r < 0 || (type.kind != BTF_STRUCT && type.kind != BTF_UNION))
		return r < 0 ? r : -ENOENT;
	if (nesting == BTF_NESTING_MAX)
		return -ELOOP;
	for (uint32_t i = 0; i < type.vlen; i++) {
		const char *found;
		uint64_t inner = 0;

		if (search->steps++ == SEARCH_STEPS_MAX)
			return -ELOOP;
		(void)btf_member(&type, i, &member); /* i is within, and it is a structure */
		found = btf_string(search->btf, member.name);
		r = -ENOENT;
		*ret_type = member.type;
		if (!*found)
			r = find_member(search, member.type, nesting + 1, &inner, ret_type);
		else if (is_name(search, found))
			r = member.bit_size || member.bit_offset % 8 ? -EBADMSG : 0;
		if (r == -ENOENT)
			continue;
		*offset += member.bit_offset / 8 + inner;
		return r;
	}
	return -ENOENT;
}

int btf_place(const struct btf *btf, uint32_t id, const char *path, struct btf_place *ret_place)
{
	uint64_t whole, size, offset = 0;
	uint32_t type = id;
	int r = btf_size(btf, id, &whole);

	while (r == 0 && *path) {
		size_t length = strcspn(path, ".");

		struct search search = {.btf = btf, .name = path, .length = length};

		r = find_member(&search, type, 0, &offset, &type);
		path += length + (path[length] == '.');
	}
	if (r == 0)
		r = btf_size(btf, type, &size);
	if (r < 0)
		return r;
	if (offset + size > whole)
		return -EBADMSG;
	*ret_place = (struct btf_place){(uint32_t)offset, (uint32_t)size};
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

/* Where `name` stands in the sorted list, or NULL. */
static const char *const *find_name(const char *name, const char *const *const *sorted,
				    size_t count)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(name, *sorted[middle]);

		if (order == 0)
			return sorted[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

int btf_structures(const struct btf *btf, const char *const *names, size_t count, uint32_t *ret_ids)
{
	const char *const *sorted[NAMES_MAX];

	if (count > NAMES_MAX)
		return -E2BIG;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &names[i];
	qsort(sorted, count, sizeof(sorted[0]), compare_names);
	memset(ret_ids, 0, count * sizeof(*ret_ids));
	for (uint32_t id = 1; id <= btf->count; id++) {
		struct btf_type type;
		const char *const *hit;

		(void)btf_type(btf, id, &type); /* id is within */
		if (type.kind != BTF_STRUCT)
			continue;
		hit = find_name(btf_string(btf, type.name), sorted, count);
		if (hit && ret_ids[hit - names] == 0)
			ret_ids[hit - names] = id;
	}
	return 0;
}
