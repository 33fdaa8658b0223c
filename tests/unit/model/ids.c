/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>

#include "lib/declared.h"
#include "model/ids.h"

static void assign(struct fl_ids *ids, struct fl_service *service)
{
	cr_assert_eq(fl_ids_assign(ids, service), 0);
}

Test(ids, what_is_known_keeps_its_number)
{
	struct fl_ids *ids = fl_ids_new(8, 8, 8);
	struct fl_service *one =
		test_service("one", "10.0.0.1:80/tcp", "192.0.2.1:80 192.0.2.2:80");
	struct fl_service *again =
		test_service("one", "10.0.0.1:80/tcp", "192.0.2.2:80 192.0.2.3:80");
	struct fl_service *two = test_service("two", "10.0.0.2:80/tcp", "192.0.2.2:80");

	assign(ids, one);
	assign(ids, again);
	assign(ids, two);
	cr_expect_eq(one->id, 1);
	cr_expect_eq(again->id, one->id);
	cr_expect_eq(again->frontends[0].id, one->frontends[0].id);
	cr_expect_eq(again->endpoints[0].id, one->endpoints[1].id, "192.0.2.2:80");
	cr_expect_eq(again->endpoints[1].id, 3, "a new one gets the lowest that is free");
	cr_expect_neq(
		two->endpoints[0].id, again->endpoints[0].id, "another service, another endpoint");
	fl_service_unref(one);
	fl_service_unref(again);
	fl_service_unref(two);
	fl_ids_free(ids);
}

Test(ids, an_endpoint_rests_until_nothing_holds_it)
{
	struct fl_ids *ids = fl_ids_new(8, 8, 8);
	struct fl_service *old = test_service("one", "10.0.0.1:80/tcp", "192.0.2.1:80");
	struct fl_service *new = test_service("one", "10.0.0.1:80/tcp", "192.0.2.2:80");
	uint32_t resting[8], id;

	assign(ids, old);
	id = old->endpoints[0].id;
	fl_ids_release_endpoint(ids, id, 100);
	assign(ids, new);
	cr_expect_neq(new->endpoints[0].id, id, "it rests");
	cr_expect_eq(fl_ids_resting(ids, 99, resting, 8), 0, "not for so long yet");
	cr_expect_eq(fl_ids_resting(ids, 100, resting, 8), 1);
	assign(ids, old);
	cr_expect_eq(old->endpoints[0].id, id, "who returns meanwhile gets it back");
	cr_expect_eq(fl_ids_resting(ids, 100, resting, 8), 0);
	fl_ids_release_endpoint(ids, id, 200);
	fl_ids_rested(ids, id);
	cr_expect_eq(
		fl_ids_adopt_endpoint(ids, id, 1, &new->endpoints[0].addr, 81), 0, "it is free");
	fl_service_unref(old);
	fl_service_unref(new);
	fl_ids_free(ids);
}

Test(ids, a_full_table_gives_nothing_and_loses_nothing)
{
	struct fl_ids *ids = fl_ids_new(8, 8, 2);
	struct fl_service *fits = test_service("fits", "10.0.0.1:80/tcp", "192.0.2.1:80");
	struct fl_service *large =
		test_service("large", "10.0.0.2:80/tcp", "192.0.2.1:80 192.0.2.2:80");
	struct fl_service *small = test_service("small", "10.0.0.3:80/tcp", "192.0.2.1:80");

	assign(ids, fits);
	cr_expect_eq(fl_ids_assign(ids, large), -ENOSPC);
	assign(ids, small);
	cr_expect_eq(small->id, 2, "the number of the service that did not fit");
	cr_expect_eq(small->endpoints[0].id, 2);
	fl_service_unref(fits);
	fl_service_unref(large);
	fl_service_unref(small);
	fl_ids_free(ids);
}

Test(ids, what_pinned_maps_hold_is_taken_over)
{
	struct fl_ids *ids = fl_ids_new(8, 8, 8);
	struct fl_service *one = test_service("one", "10.0.0.1:80/tcp", "192.0.2.1:80");

	cr_expect_eq(fl_ids_adopt_service(ids, 5, "one"), 0);
	cr_expect_eq(fl_ids_adopt_frontend(ids, 6, &one->frontends[0]), 0);
	cr_expect_eq(fl_ids_adopt_endpoint(ids, 7, 5, &one->endpoints[0].addr, 80), 0);
	cr_expect_eq(fl_ids_adopt_service(ids, 5, "two"), -EEXIST);
	cr_expect_eq(fl_ids_adopt_service(ids, 4, "one"), -EEXIST);
	cr_expect_eq(fl_ids_adopt_service(ids, 9, "two"), -ERANGE);
	cr_expect_eq(fl_ids_adopt_service(ids, 0, "two"), -ERANGE);
	assign(ids, one);
	cr_expect_eq(one->id, 5);
	cr_expect_eq(one->frontends[0].id, 6);
	cr_expect_eq(one->endpoints[0].id, 7);
	fl_service_unref(one);
	fl_ids_free(ids);
}
