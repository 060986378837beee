#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-owned resources: `cleanup(free) char *text = strdup(...)` frees at the end of the scope;
 * the name is that of the x_free() function, for which the header of x says DEFINE_CLEANUP(struct x
 * *, x_free). keep(p) hands the value on and disarms the cleanup: `return keep(text);`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(function) __attribute__((cleanup(cleanup_##function)))

#define DEFINE_CLEANUP(type, function)                                              \
	__attribute__((unused)) static inline void cleanup_##function(type *object) \
	{                                                                           \
		if (*object)                                                        \
			(void)function(*object);                                    \
	}

#define keep(pointer)                                  \
	({                                             \
		__typeof__(pointer) kept_ = (pointer); \
		(pointer) = NULL;                      \
		kept_;                                 \
	})

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

/* For file descriptors; -1 means none. */
static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing to do about a failed close of a file only read */
}

DEFINE_CLEANUP(FILE *, fclose)
