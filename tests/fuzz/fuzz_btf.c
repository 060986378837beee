/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as type information: every type is looked at, and every member is looked for. */
#include "introspect/btf.h"

#include "fuzz.h"
#include "introspect/fields.h"

#define STRUCTURE(id, structure, ...) structure,
static const char *const structures[] = {INTROSPECT_FIELDS(STRUCTURE, STRUCTURE)};
#define MEMBER(id, structure, member, ...) member,
static const char *const members[] = {INTROSPECT_FIELDS(MEMBER, MEMBER)};
enum { NAMES = sizeof(structures) / sizeof(structures[0]) };

static void look_at(const struct btf *btf, uint32_t id)
{
	struct btf_type type;
	struct btf_member member;
	uint64_t whole;

	assert(btf_type(btf, id, &type) == 0 && strlen(btf_string(btf, type.name)) < BTF_SIZE_MAX);
	for (uint32_t i = 0; btf_member(&type, i, &member) == 0; i++)
		(void)btf_strip(btf, member.type, &(struct btf_type){0});
	assert(btf_size(btf, id, &whole) < 0 || whole <= UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t ids[NAMES];
	struct btf btf;

	if (btf_init(&btf, data, size, NULL) < 0)
		return 0;
	for (uint32_t id = 1; id <= btf.count; id++)
		look_at(&btf, id);
	(void)btf_structures(&btf, structures, NAMES, ids);
	for (size_t i = 0; i < NAMES; i++)
		(void)btf_place(&btf, ids[i], members[i], &(struct btf_place){0});
	btf_deinit(&btf);
	return 0;
}
