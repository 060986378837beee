#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own description of its types (BTF: Documentation/bpf/btf.rst, include/uapi/linux/
 * btf.h), from a private copy of it. Only what introspection needs: structures, their members, and
 * sizes. The bytes are hostile: ids, string offsets, nesting and chains are bounded, and a member
 * must lie within its structure.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	BTF_SIZE_MAX = 64 << 20,
	BTF_TYPES_MAX = 4 << 20,
	BTF_CHAIN_MAX = 32,   /* typedefs, const, volatile one after the other */
	BTF_NESTING_MAX = 16, /* anonymous structures within each other */
};

enum btf_kind {
	BTF_VOID,
	BTF_INT,
	BTF_PTR,
	BTF_ARRAY,
	BTF_STRUCT,
	BTF_UNION,
	BTF_ENUM,
	BTF_FWD,
	BTF_TYPEDEF,
	BTF_VOLATILE,
	BTF_CONST,
	BTF_RESTRICT,
	BTF_FUNC,
	BTF_FUNC_PROTO,
	BTF_VAR,
	BTF_DATASEC,
	BTF_FLOAT,
	BTF_DECL_TAG,
	BTF_TYPE_TAG,
	BTF_ENUM64,
	BTF_KINDS
};

struct btf {
	const uint8_t *types, *strings; /* borrowed */
	uint32_t types_size, strings_size;
	uint32_t *index; /* owned: where type number i + 1 begins */
	uint32_t count;
};

/* Borrows `bytes` until btf_deinit(). Errors: -EBADMSG, -E2BIG, -ENOMEM. */
int btf_init(struct btf *btf, const uint8_t *bytes, size_t size, struct error *err);
void btf_deinit(struct btf *btf);

/* A type, decoded. Ids are 1 .. count; 0 is void. */
struct btf_type {
	uint32_t id, name; /* name: an offset for btf_string() */
	enum btf_kind kind;
	uint32_t vlen;       /* members, enumerators, parameters */
	uint32_t value;      /* size in bytes, or the type referred to, by kind */
	const uint8_t *data; /* what follows the head */
	int has_bitfields;   /* kind_flag */
};
int btf_type(const struct btf *btf, uint32_t id, struct btf_type *ret_type);
/* "" for a bad offset. Borrowed from the bytes. */
const char *btf_string(const struct btf *btf, uint32_t offset);

struct btf_member {
	uint32_t name, type;
	uint32_t bit_offset;
	uint32_t bit_size; /* 0: no bitfield */
};
/* Member number `position` of a structure or union. */
int btf_member(const struct btf_type *type, uint32_t position, struct btf_member *ret_member);
struct btf_array {
	uint32_t type, index_type, count;
};
int btf_array(const struct btf_type *type, struct btf_array *ret_array);

/* Behind typedefs and qualifiers. -ELOOP for a chain without end. */
int btf_strip(const struct btf *btf, uint32_t id, struct btf_type *ret_type);
/* In bytes; -EBADMSG for what has none. */
int btf_size(const struct btf *btf, uint32_t id, uint64_t *ret_size);

struct btf_place {
	uint32_t offset, size; /* bytes from the structure's begin */
};
/* A member by its path ("ioac.read_bytes") within structure `id`; members of anonymous structures
 * and unions count as the structure's own. "" is the structure itself. Errors: -ENOENT, -EBADMSG
 * (outside the structure, or a bitfield), -ELOOP. */
int btf_place(const struct btf *btf, uint32_t id, const char *path, struct btf_place *ret_place);

/* The ids of the structures of these names, in one pass; 0 where there is none. At most 256 names.
 */
int btf_structures(const struct btf *btf, const char *const *names, size_t count,
		   uint32_t *ret_ids);
