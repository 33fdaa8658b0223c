/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/registration.h"

#include <stdlib.h>

#include "core/text.h"

void fl_registration_done(struct fl_registration *registration)
{
	fl_pairs_free(registration->meta, registration->meta_count);
	fl_texts_free(registration->tags, registration->tag_count);
	free(registration->registry);
	*registration = (struct fl_registration){ 0 };
}

bool fl_registration_equal(const struct fl_registration *a, const struct fl_registration *b)
{
	return fl_text_is_same(a->registry, b->registry) &&
	       fl_pairs_equal(a->meta, a->meta_count, b->meta, b->meta_count) &&
	       fl_texts_equal(a->tags, a->tag_count, b->tags, b->tag_count);
}
