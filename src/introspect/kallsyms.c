/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/kallsyms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TOKENS = 256,
	TOKEN_SIZE_MAX = 128,
	TOKEN_TABLE_MAX = 16384,
	RECORD_SIZE_MAX = 130,
	NAMES_PER_MARKER = 256,
	MARKERS_MIN = 16,
	NAMES_SIZE_MAX = 16 << 20,
	SEQUENCE_BYTES = 3,
	DIGIT_ZERO = '0',
};

static uint32_t load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static size_t align8(size_t at)
{
	return (at + 7) & ~(size_t)7;
}

/* Tokens: 256 NUL-terminated strings, then the offset of each in 16 bits. */

static bool enumerate_tokens(const struct kallsyms *k, size_t start, uint16_t *offsets,
			     size_t *ret_end)
{
	size_t at = start;

	for (int i = 0; i < TOKENS; i++) {
		size_t left = at < k->size ? k->size - at : 0;
		size_t length = strnlen((const char *)k->image + at,
					left < TOKEN_SIZE_MAX ? left : TOKEN_SIZE_MAX);

		if (length == 0 || length >= left || length == TOKEN_SIZE_MAX ||
		    at - start > TOKEN_TABLE_MAX)
			return false;
		offsets[i] = (uint16_t)(at - start);
		at += length + 1;
	}
	*ret_end = at;
	return true;
}

/* `digit` is where the token "0" begins, which is number 48. */
static bool find_token_start(struct kallsyms *k, size_t digit)
{
	size_t lowest =
		digit > DIGIT_ZERO * TOKEN_SIZE_MAX ? digit - DIGIT_ZERO * TOKEN_SIZE_MAX : 0;

	for (size_t start = (digit - DIGIT_ZERO) & ~(size_t)7; start > lowest; start -= 8) {
		uint16_t offsets[TOKENS];
		size_t end, index;

		if (!enumerate_tokens(k, start, offsets, &end) ||
		    offsets[DIGIT_ZERO] != digit - start)
			continue;
		index = align8(end);
		if (index + sizeof(offsets) > k->size ||
		    memcmp(k->image + index, offsets, sizeof(offsets)) != 0)
			continue;
		k->tokens = start;
		k->token_index = index;
		return true;
	}
	return false;
}

static bool find_tokens(struct kallsyms *k, size_t from)
{
	static const char digits[] = "0\0"
				     "1\0"
				     "2\0"
				     "3\0"
				     "4\0"
				     "5\0"
				     "6\0"
				     "7\0"
				     "8\0"
				     "9";
	size_t at = from;

	while (at < k->size) {
		const uint8_t *hit = memmem(k->image + at, k->size - at, digits, sizeof(digits));
		size_t digit;

		if (!hit)
			return false;
		digit = (size_t)(hit - k->image);
		if (digit > DIGIT_ZERO * 2 && find_token_start(k, digit))
			return true;
		at = digit + 1;
	}
	return false;
}

/* Markers: where every 256th name begins, ascending from 0. */

static size_t count_markers(const struct kallsyms *k, size_t at)
{
	size_t count = 1, end = k->tokens;

	if (load32(k->image + at) != 0)
		return 0;
	for (at += 4; at + 4 <= end; at += 4, count++) {
		uint32_t step = load32(k->image + at) - load32(k->image + at - 4);

		if (step < NAMES_PER_MARKER * 2 || step > NAMES_PER_MARKER * RECORD_SIZE_MAX)
			break;
	}
	return count;
}

/* The size of the record at `at` with its length byte or bytes; 0 when it leaves the image. */
static size_t record_size(const struct kallsyms *k, size_t at, size_t *ret_tokens)
{
	size_t head = 1, length;

	if (at + 2 > k->size)
		return 0;
	length = k->image[at];
	if (length & 0x80) {
		length = (length & 0x7f) | (size_t)k->image[at + 1] << 7;
		head = 2;
	}
	*ret_tokens = at + head;
	return length > 0 && at + head + length <= k->size ? head + length : 0;
}

/* Whether `count` names that begin at `names` pass every marker exactly and end at the first. */
static bool names_fit(const struct kallsyms *k, size_t names, size_t markers, uint32_t count,
		      size_t *ret_end)
{
	size_t at = names, tokens;

	for (uint32_t i = 0; i < count; i++) {
		size_t size = record_size(k, at, &tokens);

		if (size == 0 || at >= markers)
			return false;
		if (i % NAMES_PER_MARKER == 0 &&
		    load32(k->image + markers + i / NAMES_PER_MARKER * 4) != at - names)
			return false;
		at += size;
	}
	*ret_end = at;
	return align8(at) == align8(markers);
}

static bool find_names(struct kallsyms *k, size_t markers, size_t marker_count)
{
	size_t lowest = markers > NAMES_SIZE_MAX ? markers - NAMES_SIZE_MAX : 8;

	/* the words after the markers may look like further ones, so that their number is a bound
	 */
	for (size_t names = (markers - 8) & ~(size_t)7; names > lowest; names -= 8) {
		uint32_t count = load32(k->image + names - 8);
		size_t wanted = ((size_t)count + NAMES_PER_MARKER - 1) / NAMES_PER_MARKER;

		if (count > KALLSYMS_SYMBOLS_MAX || wanted < MARKERS_MIN || wanted > marker_count)
			continue;
		if (!names_fit(k, names, markers, count, &k->names_end))
			continue;
		k->names = names;
		k->count = count;
		return true;
	}
	return false;
}

static bool find_markers_and_names(struct kallsyms *k)
{
	size_t room = (size_t)KALLSYMS_SYMBOLS_MAX * SEQUENCE_BYTES;
	size_t lowest = k->tokens > room ? k->tokens - room : 8;

	for (size_t at = (k->tokens - 8) & ~(size_t)7; at > lowest; at -= 8) {
		size_t count = count_markers(k, at);

		if (count >= MARKERS_MIN && find_names(k, at, count))
			return true;
	}
	return false;
}

/* Offsets */

static bool is_base(const struct kallsyms *k, size_t at)
{
	uint64_t base;

	if (at + 8 > k->size)
		return false;
	base = load64(k->image + at);
	return k->image_va ? base == k->image_va
			   : (base >> 30) == UINT64_C(0xffffffff80000000) >> 30 &&
				     base % (1 << 20) == 0;
}

static void choose_signs(struct kallsyms *k)
{
	uint32_t negative = 0;

	for (uint32_t i = 0; i < k->count; i++)
		negative += load32(k->image + k->offsets + (size_t)i * 4) >> 31;
	k->values = negative > k->count / 2 ? KALLSYMS_ABSOLUTE_PERCPU : KALLSYMS_BASE_RELATIVE;
}

static bool find_offsets(struct kallsyms *k)
{
	size_t size = align8((size_t)k->count * 4), before = k->names - 16;
	size_t after = align8(k->token_index + TOKENS * 2);

	if (k->names >= 16 + size && is_base(k, before)) {
		k->offsets = before - size;
		k->relative_base = load64(k->image + before);
		k->layout = "before 6.4";
	} else if (is_base(k, after + size)) {
		k->offsets = after;
		k->relative_base = load64(k->image + after + size);
		k->layout = "6.4 and later";
	} else if (k->image_va && after + size <= k->size) {
		k->offsets = after;
		k->relative_base = k->image_va;
		k->values = KALLSYMS_SLOT_RELATIVE;
		k->layout = "relative to the slot";
		return true;
	} else {
		return false;
	}
	choose_signs(k);
	return true;
}

static uint64_t address_of(const struct kallsyms *k, uint32_t number)
{
	size_t slot = k->offsets + (size_t)number * 4;
	int32_t offset = (int32_t)load32(k->image + slot);

	switch (k->values) {
	case KALLSYMS_ABSOLUTE_PERCPU:
		return offset >= 0 ? (uint64_t)offset
				   : k->relative_base - 1 - (uint64_t)(int64_t)offset;
	case KALLSYMS_SLOT_RELATIVE:
		return k->image_va + slot + (uint64_t)(int64_t)offset;
	case KALLSYMS_BASE_RELATIVE:
		break;
	}
	return k->relative_base + (uint32_t)offset;
}

/* Walking */

static int expand(const struct kallsyms *k, size_t tokens, size_t end,
		  struct kallsyms_symbol *symbol)
{
	size_t length = 0;
	bool is_first = true;

	for (; tokens < end; tokens++) {
		size_t at = k->image[tokens];
		const char *token = (const char *)k->image + k->tokens +
				    (k->image[k->token_index + 2 * at] |
				     (size_t)k->image[k->token_index + 2 * at + 1] << 8);

		for (; *token; token++) {
			if (is_first)
				symbol->type = *token;
			else if (length + 1 < sizeof(symbol->name))
				symbol->name[length++] = *token;
			is_first = false;
		}
	}
	symbol->name[length] = '\0';
	return is_first ? -EBADMSG : 0;
}

int kallsyms_walk(const struct kallsyms *k, kallsyms_take *take, void *userdata)
{
	struct kallsyms_symbol symbol;
	size_t at = k->names;

	for (uint32_t i = 0; i < k->count; i++) {
		size_t tokens, size = record_size(k, at, &tokens);
		int r = size ? expand(k, tokens, at + size, &symbol) : -EBADMSG;

		if (r < 0)
			return r;
		symbol.address = address_of(k, i);
		r = take(userdata, &symbol);
		if (r != 0)
			return r;
		at += size;
	}
	return 0;
}

/* Resolving: a small hash table of the names wanted, so that a walk costs little per symbol. */

enum { SLOTS = 1024 };

struct wanted {
	const char *const *names;
	uint64_t *addresses, *ends;
	uint16_t slots[SLOTS]; /* number + 1 of the name; 0: empty */
	uint16_t last;         /* number + 1 of the one whose end is still to come */
};

static uint32_t hash_name(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

static int take_wanted(void *userdata, const struct kallsyms_symbol *symbol)
{
	struct wanted *wanted = userdata;

	if (wanted->last && symbol->address > wanted->addresses[wanted->last - 1]) {
		wanted->ends[wanted->last - 1] = symbol->address;
		wanted->last = 0;
	}
	for (uint32_t i = hash_name(symbol->name);; i++) {
		uint16_t number = wanted->slots[i % SLOTS];

		if (number == 0)
			return 0;
		if (strcmp(wanted->names[number - 1], symbol->name) != 0)
			continue;
		if (wanted->addresses[number - 1] != 0)
			return 0;
		wanted->addresses[number - 1] = symbol->address;
		wanted->last = wanted->ends ? number : 0;
		return 0;
	}
}

int kallsyms_resolve(const struct kallsyms *k, const char *const *names, size_t count,
		     uint64_t *ret_addresses, uint64_t *ret_ends)
{
	struct wanted wanted = {.names = names, .addresses = ret_addresses, .ends = ret_ends};

	if (count >= SLOTS / 2)
		return -E2BIG;
	memset(ret_addresses, 0, count * sizeof(*ret_addresses));
	if (ret_ends)
		memset(ret_ends, 0, count * sizeof(*ret_ends));
	for (size_t i = 0; i < count; i++) {
		uint32_t slot = hash_name(names[i]);

		while (wanted.slots[slot % SLOTS])
			slot++;
		wanted.slots[slot % SLOTS] = (uint16_t)(i + 1);
	}
	return kallsyms_walk(k, take_wanted, &wanted);
}

static bool has_base_symbol(const struct kallsyms *k)
{
	static const char *const names[] = {"_text"};
	uint64_t address;

	return kallsyms_resolve(k, names, 1, &address, NULL) == 0 && address == k->relative_base;
}

int kallsyms_open(struct kallsyms *k, const uint8_t *image, size_t size, uint64_t image_va,
		  struct error *err)
{
	size_t from = 0;

	*k = (struct kallsyms){.image = image, .size = size, .image_va = image_va};
	while (find_tokens(k, from)) {
		if (find_markers_and_names(k) && find_offsets(k) && has_base_symbol(k))
			return 0;
		from = k->token_index; /* behind the digits, which would be found again */
	}
	return error_set(err, -ENODATA,
			 "no symbol table in the kernel's image: it is built without "
			 "CONFIG_KALLSYMS, or keeps it in a way that is not known");
}
