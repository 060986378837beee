/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/isf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "introspect/btf.h"
#include "introspect/kallsyms.h"

enum { BUFFER_SIZE = 256 << 10, PIECE_MAX = 1024, NESTING_MAX = 24 };

/* Text output: the first failure is kept, as with FILE. */
struct out {
	isf_write *write;
	void *userdata;
	int error;
	size_t size;
	char buffer[BUFFER_SIZE];
};

struct maker {
	const struct guest *guest;
	struct btf btf;
	struct out *out;
	uint32_t *by_name; /* ids of named types, sorted by kind and name, each once */
	size_t by_name_count;
	const char *separator;
};

static void flush(struct out *out)
{
	if (out->error == 0 && out->size > 0)
		out->error = out->write(out->userdata, out->buffer, out->size);
	out->size = 0;
}

static void put(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct out *out, const char *format, ...)
{
	va_list args;
	int size;

	if (out->size + PIECE_MAX > BUFFER_SIZE)
		flush(out);
	va_start(args, format);
	size = vsnprintf(out->buffer + out->size, PIECE_MAX, format, args);
	va_end(args);
	if (size >= PIECE_MAX)
		size = PIECE_MAX - 1;
	out->size += size > 0 ? (size_t)size : 0;
}

/* Names are C identifiers, or whatever a hostile guest makes of them. */
static void put_string(struct out *out, const char *text)
{
	put(out, "\"");
	for (size_t left = KALLSYMS_NAME_SIZE; *text && left > 0; text++, left--) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			put(out, "\\u%04x", c);
		else
			put(out, "%c", c);
	}
	put(out, "\"");
}

/* "key": after a comma when it is not the first of its object. */
static void put_key(struct maker *maker, const char *key)
{
	put(maker->out, "%s", maker->separator);
	put_string(maker->out, key);
	put(maker->out, ":");
	maker->separator = ",\n";
}

static void open_object(struct maker *maker, const char *key)
{
	put_key(maker, key);
	put(maker->out, "{");
	maker->separator = "\n";
}

static void close_object(struct maker *maker)
{
	put(maker->out, "}");
	maker->separator = ",\n";
}

/* Types */

static const char *name_of(const struct maker *maker, const struct btf_type *type, char text[32])
{
	const char *name = btf_string(&maker->btf, type->name);

	if (*name)
		return name;
	(void)snprintf(text, 32, "unnamed_%u", type->id);
	return text;
}

static void put_named(struct maker *maker, const char *kind, const struct btf_type *type)
{
	char text[32];

	put(maker->out, "{\"kind\":\"%s\",\"name\":", kind);
	put_string(maker->out, name_of(maker, type, text));
	put(maker->out, "}");
}

static void put_void(struct maker *maker)
{
	put(maker->out, "{\"kind\":\"base\",\"name\":\"void\"}");
}

static void put_type(struct maker *maker, uint32_t id, int nesting);

static void put_array(struct maker *maker, const struct btf_type *type, int nesting)
{
	struct btf_array array = {0};

	(void)btf_array(type, &array); /* it is one */
	put(maker->out, "{\"kind\":\"array\",\"count\":%u,\"subtype\":", array.count);
	put_type(maker, array.type, nesting + 1);
	put(maker->out, "}");
}

/* A description of a type where it is used. Chains are cut where they cannot be real. */
static void put_type(struct maker *maker, uint32_t id, int nesting)
{
	struct btf_type type;

	if (id == 0 || nesting == NESTING_MAX || btf_strip(&maker->btf, id, &type) < 0) {
		put_void(maker);
		return;
	}
	switch ((int)type.kind) {
	case BTF_INT:
	case BTF_FLOAT:
		put_named(maker, "base", &type);
		break;
	case BTF_STRUCT:
		put_named(maker, "struct", &type);
		break;
	case BTF_UNION:
		put_named(maker, "union", &type);
		break;
	case BTF_FWD:
		put_named(maker, type.has_bitfields ? "union" : "struct", &type);
		break;
	case BTF_ENUM:
	case BTF_ENUM64:
		put_named(maker, "enum", &type);
		break;
	case BTF_PTR:
		put(maker->out, "{\"kind\":\"pointer\",\"subtype\":");
		put_type(maker, type.value, nesting + 1);
		put(maker->out, "}");
		break;
	case BTF_ARRAY:
		put_array(maker, &type, nesting);
		break;
	case BTF_FUNC_PROTO:
		put(maker->out, "{\"kind\":\"function\"}");
		break;
	default:
		put_void(maker);
		break;
	}
}

/* The tables of named types */

static enum btf_kind group_of(enum btf_kind kind)
{
	return kind == BTF_FLOAT    ? BTF_INT
	       : kind == BTF_UNION  ? BTF_STRUCT
	       : kind == BTF_ENUM64 ? BTF_ENUM
				    : kind;
}

struct entry {
	enum btf_kind group;
	const char *name;
	uint32_t id;
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	int order;

	if (left->group != right->group)
		return left->group < right->group ? -1 : 1;
	order = *left->name || *right->name ? strcmp(left->name, right->name) : 0;
	return order ? order : left->id < right->id ? -1 : left->id > right->id;
}

/* Ids of what the file describes, each name once (a name may stand for several types: the first
 * counts), grouped by kind. */
static int sort_types(struct maker *maker)
{
	cleanup(free) struct entry *entries = calloc(maker->btf.count + 1, sizeof(*entries));
	size_t count = 0;

	maker->by_name = calloc(maker->btf.count + 1, sizeof(*maker->by_name));
	if (!entries || !maker->by_name)
		return -ENOMEM;
	for (uint32_t id = 1; id <= maker->btf.count; id++) {
		struct btf_type type;
		enum btf_kind group;

		(void)btf_type(&maker->btf, id, &type); /* id is within */
		group = group_of(type.kind);
		if (group == BTF_INT || group == BTF_STRUCT || group == BTF_ENUM)
			entries[count++] =
				(struct entry){group, btf_string(&maker->btf, type.name), id};
	}
	qsort(entries, count, sizeof(*entries), compare_entries);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || !*entries[i].name || entries[i].group != entries[i - 1].group ||
		    strcmp(entries[i].name, entries[i - 1].name) != 0)
			maker->by_name[maker->by_name_count++] = entries[i].id;
	return 0;
}

static void put_base_type(struct maker *maker, const struct btf_type *type)
{
	enum { SIGNED = 1, CHAR = 2, BOOL = 4 };
	uint32_t encoding = 0;
	char text[32];

	if (type->kind == BTF_INT) {
		memcpy(&encoding, type->data, sizeof(encoding));
		encoding = encoding >> 24 & 0xf;
	}
	put_key(maker, name_of(maker, type, text));
	put(maker->out, "{\"size\":%u,\"signed\":%s,\"kind\":\"%s\",\"endian\":\"little\"}",
	    type->value, encoding & SIGNED ? "true" : "false",
	    type->kind == BTF_FLOAT ? "float"
	    : encoding & BOOL       ? "bool"
	    : type->value == 1      ? "char"
				    : "int");
}

/* A bitfield is described by its storage unit and its place in it. */
static void put_member_type(struct maker *maker, const struct btf_member *member,
			    uint32_t *ret_offset)
{
	uint64_t size = 0;

	*ret_offset = member->bit_offset / 8;
	if (!member->bit_size || btf_size(&maker->btf, member->type, &size) < 0 || size == 0) {
		put_type(maker, member->type, 0);
		return;
	}
	*ret_offset = (uint32_t)(member->bit_offset / 8 / size * size);
	put(maker->out, "{\"kind\":\"bitfield\",\"bit_length\":%u,\"bit_position\":%u,\"type\":",
	    member->bit_size, member->bit_offset - *ret_offset * 8);
	put_type(maker, member->type, 0);
	put(maker->out, "}");
}

static void put_member(struct maker *maker, const struct btf_type *type, uint32_t position)
{
	struct btf_member member;
	const char *name;
	char text[32];
	uint32_t offset;

	(void)btf_member(type, position, &member); /* the position is within */
	name = btf_string(&maker->btf, member.name);
	(void)snprintf(text, sizeof(text), "unnamed_field_%u", position);
	put_key(maker, *name ? name : text);
	put(maker->out, "{\"type\":");
	put_member_type(maker, &member, &offset);
	put(maker->out, ",\"offset\":%u%s}", offset, *name ? "" : ",\"anonymous\":true");
}

static void put_structure(struct maker *maker, const struct btf_type *type)
{
	char text[32];

	open_object(maker, name_of(maker, type, text));
	put(maker->out, "\"size\":%u,\"kind\":\"%s\",\"fields\":{", type->value,
	    type->kind == BTF_UNION ? "union" : "struct");
	for (uint32_t i = 0; i < type->vlen; i++)
		put_member(maker, type, i);
	put(maker->out, "}");
	close_object(maker);
}

static void put_enumerator(struct maker *maker, const struct btf_type *type, uint32_t position)
{
	uint32_t name, low, high = 0;
	bool is_wide = type->kind == BTF_ENUM64, is_signed = type->has_bitfields;
	const uint8_t *at = type->data + position * (is_wide ? 12 : 8);
	int64_t value;

	memcpy(&name, at, 4);
	memcpy(&low, at + 4, 4);
	if (is_wide)
		memcpy(&high, at + 8, 4);
	value = is_wide     ? (int64_t)((uint64_t)high << 32 | low)
		: is_signed ? (int32_t)low
			    : (int64_t)low;
	put_key(maker, btf_string(&maker->btf, name));
	if (is_wide && !is_signed)
		put(maker->out, "%" PRIu64, (uint64_t)value);
	else
		put(maker->out, "%" PRId64, value);
}

static const char *base_of_enum(const struct btf_type *type)
{
	bool is_signed = type->has_bitfields; /* the flag's meaning for an enumeration */

	switch (type->value) {
	case 1:
		return is_signed ? "signed char" : "unsigned char";
	case 2:
		return is_signed ? "short int" : "short unsigned int";
	case 8:
		return is_signed ? "long int" : "long unsigned int";
	default:
		return is_signed ? "int" : "unsigned int";
	}
}

static void put_enum(struct maker *maker, const struct btf_type *type)
{
	char text[32];

	open_object(maker, name_of(maker, type, text));
	put(maker->out, "\"size\":%u,\"base\":\"%s\",\"constants\":{", type->value,
	    base_of_enum(type));
	for (uint32_t i = 0; i < type->vlen; i++)
		put_enumerator(maker, type, i);
	put(maker->out, "}");
	close_object(maker);
}

static void put_types(struct maker *maker, const char *section, enum btf_kind group,
		      void (*put_one)(struct maker *maker, const struct btf_type *type))
{
	open_object(maker, section);
	if (group == BTF_INT) {
		put_key(maker, "void");
		put(maker->out, "{\"size\":0,\"signed\":false,\"kind\":\"void\",\"endian\":"
				"\"little\"}");
		put_key(maker, "pointer");
		put(maker->out, "{\"size\":8,\"signed\":false,\"kind\":\"int\",\"endian\":"
				"\"little\"}");
	}
	for (size_t i = 0; i < maker->by_name_count; i++) {
		struct btf_type type;

		(void)btf_type(&maker->btf, maker->by_name[i], &type); /* the id is within */
		if (group_of(type.kind) == group)
			put_one(maker, &type);
	}
	close_object(maker);
}

/* Symbols */

/* The variables that forensic tools ask for by name, with their types (kernel sources of 5.10 to
 * 6.12): S a structure, P a pointer to one, B a base type. */
static const struct {
	const char *symbol, *type;
	char kind;
} typed_symbols[] = {
	{"init_task", "task_struct", 'S'},
	{"init_mm", "mm_struct", 'S'},
	{"init_pid_ns", "pid_namespace", 'S'},
	{"init_net", "net", 'S'},
	{"init_user_ns", "user_namespace", 'S'},
	{"init_uts_ns", "uts_namespace", 'S'},
	{"init_nsproxy", "nsproxy", 'S'},
	{"init_cred", "cred", 'S'},
	{"init_files", "files_struct", 'S'},
	{"init_fs", "fs_struct", 'S'},
	{"modules", "list_head", 'S'},
	{"module_kset", "kset", 'P'},
	{"mod_tree", "mod_tree_root", 'S'},
	{"net_namespace_list", "list_head", 'S'},
	{"super_blocks", "list_head", 'S'},
	{"slab_caches", "list_head", 'S'},
	{"vmap_area_list", "list_head", 'S'},
	{"tty_drivers", "list_head", 'S'},
	{"ptype_all", "list_head", 'S'},
	{"iomem_resource", "resource", 'S'},
	{"ioport_resource", "resource", 'S'},
	{"idt_table", "gate_struct", 'S'},
	{"socket_file_ops", "file_operations", 'S'},
	{"sockfs_dentry_operations", "dentry_operations", 'S'},
	{"tcp_hashinfo", "inet_hashinfo", 'S'},
	{"udp_table", "udp_table", 'S'},
	{"proc_root", "proc_dir_entry", 'S'},
	{"keyboard_notifier_list", "atomic_notifier_head", 'S'},
	{"prb", "printk_ringbuffer", 'P'},
	{"printk_rb_static", "printk_ringbuffer", 'S'},
	{"mount_hashtable", "hlist_head", 'P'},
	{"root_task_group", "task_group", 'S'},
	{"ftrace_ops_list", "ftrace_ops", 'P'},
	{"inetsw", "list_head", 'S'},
	{"bpf_prog_active", "int", 'B'},
};

static void put_known_type(struct maker *maker, size_t number)
{
	const char *type = typed_symbols[number].type;

	switch (typed_symbols[number].kind) {
	case 'P':
		put(maker->out,
		    "{\"kind\":\"pointer\",\"subtype\":{\"kind\":\"struct\",\"name\":\"%s\"}}",
		    type);
		break;
	case 'B':
		put(maker->out, "{\"kind\":\"base\",\"name\":\"%s\"}", type);
		break;
	default:
		put(maker->out, "{\"kind\":\"struct\",\"name\":\"%s\"}", type);
		break;
	}
}

/* Types of per-CPU variables, by name: BTF has those. */
struct variable {
	const char *name;
	uint32_t type;
};

struct symbol_writer {
	struct maker *maker;
	struct variable *variables;
	size_t variable_count;
};

static int compare_variables(const void *a, const void *b)
{
	return strcmp(((const struct variable *)a)->name, ((const struct variable *)b)->name);
}

static int find_variables(struct symbol_writer *writer)
{
	const struct btf *btf = &writer->maker->btf;

	writer->variables = calloc(btf->count + 1, sizeof(*writer->variables));
	if (!writer->variables)
		return -ENOMEM;
	for (uint32_t id = 1; id <= btf->count; id++) {
		struct btf_type type;

		(void)btf_type(btf, id, &type); /* id is within */
		if (type.kind == BTF_VAR)
			writer->variables[writer->variable_count++] =
				(struct variable){btf_string(btf, type.name), type.value};
	}
	qsort(writer->variables, writer->variable_count, sizeof(*writer->variables),
	      compare_variables);
	return 0;
}

static void put_symbol_type(struct symbol_writer *writer, const char *name)
{
	struct variable wanted = {.name = name};
	const struct variable *variable =
		bsearch(&wanted, writer->variables, writer->variable_count, sizeof(wanted),
			compare_variables);

	for (size_t i = 0; i < sizeof(typed_symbols) / sizeof(typed_symbols[0]); i++)
		if (strcmp(typed_symbols[i].symbol, name) == 0) {
			put_known_type(writer->maker, i);
			return;
		}
	if (variable)
		put_type(writer->maker, variable->type, 0);
	else
		put_void(writer->maker);
}

static void put_base64(struct out *out, const uint8_t *bytes, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t group = (uint32_t)bytes[i] << 16 |
				 (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
				 (left > 2 ? (uint32_t)bytes[i + 2] : 0);

		put(out, "%c%c%c%c", digits[group >> 18], digits[group >> 12 & 63],
		    left > 1 ? digits[group >> 6 & 63] : '=', left > 2 ? digits[group & 63] : '=');
	}
}

/* The banner is what a tool recognises the kernel by: with its newline and NUL, as in memory. */
static void put_banner(struct symbol_writer *writer)
{
	const struct guest *guest = writer->maker->guest;
	char banner[2 * PROFILE_BANNER_SIZE];

	if (guest_string(guest, guest_symbol(guest, SYMBOL_LINUX_BANNER), banner, sizeof(banner)) <
	    0)
		return;
	put(writer->maker->out, ",\"constant_data\":\"");
	put_base64(writer->maker->out, (const uint8_t *)banner, strlen(banner) + 1);
	put(writer->maker->out, "\"");
}

/* Where the symbol would lie without the slide; per-CPU and absolute ones do not slide. */
static uint64_t unslid(const struct maker *maker, uint64_t address)
{
	const struct image *image = &maker->guest->profile.image;

	return address - image->va < image->size ? address - (image->va - IMAGE_VA_UNSLID)
						 : address;
}

struct symbol_entry {
	char *name;
	uint64_t address;
};

struct symbol_list {
	struct symbol_entry *entries;
	size_t count, capacity;
};

static int collect_symbol(void *userdata, const struct kallsyms_symbol *symbol)
{
	struct symbol_list *list = userdata;

	if (list->count == list->capacity)
		return -E2BIG; /* there are as many as the table says */
	list->entries[list->count].name = strdup(symbol->name);
	list->entries[list->count].address = symbol->address;
	return list->entries[list->count++].name ? 0 : -ENOMEM;
}

static int compare_symbols(const void *a, const void *b)
{
	const struct symbol_entry *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order ? order : left->address < right->address ? -1 : left->address > right->address;
}

static void put_symbols(struct symbol_writer *writer, const struct symbol_list *list)
{
	struct maker *maker = writer->maker;

	open_object(maker, "symbols");
	for (size_t i = 0; i < list->count; i++) {
		const struct symbol_entry *entry = &list->entries[i];

		/* local names stand for several places: the first counts */
		if (i > 0 && strcmp(entry->name, entry[-1].name) == 0)
			continue;
		put_key(maker, entry->name);
		put(maker->out,
		    "{\"address\":%" PRIu64 ",\"type\":", unslid(maker, entry->address));
		if (strcmp(entry->name, "linux_banner") == 0) {
			put(maker->out, "{\"kind\":\"array\",\"count\":0,\"subtype\":{\"kind\":"
					"\"base\",\"name\":\"char\"}}");
			put_banner(writer);
		} else {
			put_symbol_type(writer, entry->name);
		}
		put(maker->out, "}");
	}
	close_object(maker);
}

static int write_symbols(struct maker *maker, const struct kallsyms *kallsyms)
{
	struct symbol_writer writer = {.maker = maker};
	struct symbol_list list = {.capacity = kallsyms->count};
	int r = find_variables(&writer);

	list.entries = calloc(list.capacity + 1, sizeof(*list.entries));
	if (!list.entries)
		r = -ENOMEM;
	if (r == 0)
		r = kallsyms_walk(kallsyms, collect_symbol, &list);
	if (r == 0) {
		qsort(list.entries, list.count, sizeof(*list.entries), compare_symbols);
		put_symbols(&writer, &list);
	}
	for (size_t i = 0; i < list.count; i++)
		free(list.entries[i].name);
	free(list.entries);
	free(writer.variables);
	return r;
}

static void put_metadata(struct maker *maker)
{
	put_key(maker, "metadata");
	put(maker->out,
	    "{\"linux\":{\"symbols\":[{\"kind\":\"symtab\",\"name\":\"guest memory: kallsyms\"}],"
	    "\"types\":[{\"kind\":\"dwarf\",\"name\":\"guest memory: BTF\"}]},"
	    "\"producer\":{\"name\":\"atom-vmi\",\"version\":\"%s\"},\"format\":\"6.2.0\"}",
	    ATOM_VERSION);
}

static int write_all(struct maker *maker, const struct kallsyms *kallsyms)
{
	int r = sort_types(maker);

	if (r < 0)
		return r;
	put(maker->out, "{");
	maker->separator = "\n";
	put_types(maker, "base_types", BTF_INT, put_base_type);
	put_types(maker, "user_types", BTF_STRUCT, put_structure);
	put_types(maker, "enums", BTF_ENUM, put_enum);
	r = write_symbols(maker, kallsyms);
	put_metadata(maker);
	put(maker->out, "\n}\n");
	flush(maker->out);
	return r < 0 ? r : maker->out->error;
}

int isf_make(const struct guest *guest, isf_write *write, void *userdata, struct error *err)
{
	cleanup(free) struct out *out = calloc(1, sizeof(*out));
	cleanup(free) uint8_t *image = NULL;
	struct maker maker = {.guest = guest, .out = out};
	struct kallsyms kallsyms;
	const struct profile *profile = &guest->profile;
	int r;

	if (!out)
		return error_set_errno(err, -ENOMEM, "symbol file");
	r = profile_kallsyms(guest->memory, profile, &image, &kallsyms, err);
	if (r < 0)
		return r;
	if (profile->btf_va - profile->image.va > profile->image.size ||
	    profile->btf_size > profile->image.size - (profile->btf_va - profile->image.va))
		return error_set(err, -EUCLEAN, "the kernel's BTF lies outside its image");
	r = btf_init(&maker.btf, image + (profile->btf_va - profile->image.va), profile->btf_size,
		     err);
	if (r < 0)
		return r;
	out->write = write;
	out->userdata = userdata;
	r = write_all(&maker, &kallsyms);
	free(maker.by_name);
	btf_deinit(&maker.btf);
	return r < 0 ? error_set_errno(err, r, "writing the symbol file") : 0;
}
