/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corpus of a target without libFuzzer, as a test of the ordinary suite: replay FOLDER... runs
 * each file, and then damaged copies of it, always the same ones: bits turned over, cut off, parts
 * of another file put in. A target that is broken ends the program; "# file number" on stderr says
 * where. TAP: one test for each file.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "fuzz.h"

enum { FILES_MAX = 1024, FILE_SIZE_MAX = 1 << 20, COPIES = 120, CHANGES_MAX = 8 };

struct input {
	char *path;
	uint8_t *bytes;
	size_t size;
};

static struct input inputs[FILES_MAX];
static size_t count;
static uint64_t state = 1;

static uint64_t draw(uint64_t below)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (state >> 33) % below;
}

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool load(const char *folder, const char *name)
{
	struct input *input = &inputs[count];
	cleanup(fclose) FILE *file = NULL;

	if (count == FILES_MAX || asprintf(&input->path, "%s/%s", folder, name) < 0)
		return false;
	file = fopen(input->path, "rbe");
	input->bytes = malloc(FILE_SIZE_MAX);
	if (!file || !input->bytes)
		return false;
	input->size = fread(input->bytes, 1, FILE_SIZE_MAX, file);
	count++;
	return !ferror(file);
}

/* In the order of their names, so that the copies are always the same. */
static bool load_folder(const char *folder)
{
	struct dirent **entries = NULL;
	int found = scandir(folder, &entries, is_file, alphasort);
	bool is_good = found > 0;

	for (int i = 0; i < found; i++) {
		is_good = is_good && load(folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return is_good;
}

static void put_part_of_another(uint8_t *bytes, size_t size)
{
	const struct input *other = &inputs[draw(count)];
	size_t length, from, to;

	if (other->size == 0)
		return;
	length = 1 + draw(other->size < size ? other->size : size);
	from = draw(other->size - length + 1);
	to = draw(size - length + 1);
	memcpy(bytes + to, other->bytes + from, length);
}

/* Returns owned. */
static uint8_t *damage(const struct input *input, size_t *ret_size)
{
	uint8_t *bytes = fuzz_copy(input->bytes, input->size);
	size_t size = input->size;

	for (uint64_t i = draw(CHANGES_MAX) + 1; i > 0 && size > 0; i--) {
		switch (draw(8)) {
		case 0:
			size = draw(size + 1);
			break;
		case 1:
			put_part_of_another(bytes, size);
			break;
		case 2:
			bytes[draw(size)] = (uint8_t)draw(256);
			break;
		case 3:
			memset(bytes + draw(size), draw(2) ? 0xff : 0, 1);
			break;
		default:
			bytes[draw(size)] ^= (uint8_t)(1 << draw(8));
		}
	}
	*ret_size = size;
	return bytes;
}

static void run(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = fuzz_copy(bytes, size);

	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void replay(const struct input *input)
{
	(void)fprintf(stderr, "# %s 0\n", input->path);
	run(input->bytes, input->size);
	for (int i = 1; i <= COPIES; i++) {
		size_t size;
		cleanup(free) uint8_t *bytes = damage(input, &size);

		(void)fprintf(stderr, "# %s %d\n", input->path, i);
		run(bytes, size);
	}
}

int main(int argc, char **argv)
{
	bool is_good = argc > 1;

	for (int i = 1; i < argc; i++)
		is_good = is_good && load_folder(argv[i]);
	if (!is_good) {
		(void)fprintf(stderr, "replay: a folder with files is needed\n");
		return 1;
	}
	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		replay(&inputs[i]);
		printf("ok %zu - %s\n", i + 1, strrchr(inputs[i].path, '/') + 1);
		(void)fflush(stdout);
	}
	for (size_t i = 0; i < count; i++) {
		free(inputs[i].path);
		free(inputs[i].bytes);
	}
	return 0;
}
