#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests only: what the image of a test_guest's kernel tells of itself, in the forms that btf
 * and kallsyms read. Called by test_guest_new() in the order below.
 */
#include "introspect/test_guest.h"

/* Offsets in the image. */
enum {
	TEST_STEXT = 0x1000,
	TEST_DOUBLE_FAULT = 0x1080,
	TEST_PAGE_FAULT = 0x1100,
	TEST_OTHER_TEXT = 0x1200,
	TEST_FILLER_TEXT = 0x2000,
	TEST_ETEXT = 0x7000,
	TEST_BANNER = 0x7000,
	TEST_TOP_TABLE = 0x8000, /* the user half of page-table isolation is the next page */
	TEST_VARIABLES = 0xa000,
	TEST_RUNQUEUES_TEMPLATE = 0xf000,
};

/* Lays out the structures of fields.h; sets offsets, sizes and btf_size of the guest. */
void test_image_write_types(struct test_guest *guest);
/* Sets the guest's symbols; those of data are allocated. */
void test_image_place_symbols(struct test_guest *guest);
void test_image_write_symbols(struct test_guest *guest);
