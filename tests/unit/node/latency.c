/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdint.h>

#include "fairlead/latency.h"

Test(latency, buckets_end_before_their_bound)
{
	cr_expect_eq(fl_latency_bucket(0), 0);
	for (uint32_t i = 0; i < FL_LATENCY_BUCKETS - 1; i++) {
		uint32_t bound = FL_LATENCY_BOUND_US(i);

		cr_expect_eq(fl_latency_bucket(bound - 1), i, "%u µs", bound - 1);
		cr_expect_eq(fl_latency_bucket(bound), i + 1, "%u µs", bound);
	}
	cr_expect_eq(fl_latency_bucket(UINT32_MAX), FL_LATENCY_BUCKETS - 1);
}

static uint32_t smooth_often(uint32_t from, uint32_t us)
{
	for (int i = 0; i < 200; i++)
		from = fl_latency_smooth(from, us);
	return from;
}

Test(latency, smoothed_by_an_eighth)
{
	cr_expect_eq(fl_latency_smooth(0, 800), 800, "the first is taken as it is");
	cr_expect_eq(fl_latency_smooth(0, 0), 1, "and is known from then on");
	cr_expect_eq(fl_latency_smooth(800, 1600), 900);
	cr_expect_eq(fl_latency_smooth(800, 0), 700);
	cr_expect_eq(fl_latency_smooth(1, 0), 1);
	cr_expect_eq(fl_latency_smooth(UINT32_MAX, UINT32_MAX), UINT32_MAX);
}

Test(latency, smoothing_gets_there)
{
	cr_expect_eq(smooth_often(100, 103), 103);
	cr_expect_eq(smooth_often(103, 100), 100);
	cr_expect_eq(smooth_often(1, 1000000), 1000000);
	cr_expect_eq(smooth_often(1000000, 1), 1);
}
