/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/**
 * @file vec.h
 * A growing array with its type kept: `FL_VEC(struct fl_addr) addrs = {0};`.
 *
 * Elements move when it grows, so no pointer to one survives a push.
 */
#define FL_VEC(type)                                                                               \
	struct {                                                                                   \
		type *items;                                                                       \
		size_t count;                                                                      \
		size_t room;                                                                       \
	}

/** Append one zeroed element. @return pointer to it, NULL when out of memory. */
#define fl_vec_push(v)                                                                             \
	((__typeof__((v)->items))(fl_vec_grow((void **)&(v)->items, &(v)->count, &(v)->room,       \
					  sizeof(*(v)->items)) < 0                                 \
					  ? NULL                                                   \
					  : memset(&(v)->items[(v)->count - 1], 0,                 \
						    sizeof(*(v)->items))))

/** Free the array itself; what its elements own is the caller's to free first. */
#define fl_vec_done(v)                                                                             \
	do {                                                                                       \
		free((v)->items);                                                                  \
		(v)->items = NULL;                                                                 \
		(v)->count = (v)->room = 0;                                                        \
	} while (0)

/** Make room for one more and count it. @return 0, -ENOMEM */
static inline int fl_vec_grow(void **items, size_t *count, size_t *room, size_t item_size)
{
	if (*count == *room) {
		size_t next = *room ? *room * 2 : 8;
		void *moved = reallocarray(*items, next, item_size);

		if (!moved)
			return -ENOMEM;
		*items = moved;
		*room = next;
	}
	(*count)++;
	return 0;
}
