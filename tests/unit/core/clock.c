/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/clock.h"

/* Two clocks are asked at two moments: the answer must not flicker for that. */
Test(core_clock, a_second_of_the_boot_clock_has_one_real_time)
{
	uint32_t boot_s = fl_clock_boot_s() - 100;
	uint64_t first = fl_clock_boot_to_real_s(boot_s);
	uint64_t now = fl_clock_real_ms() / 1000;

	cr_expect(first <= now - 99 && first + 3600 > now, "%lu of %lu", first, now);
	for (int i = 0; i < 100000; i++)
		cr_assert_eq(fl_clock_boot_to_real_s(boot_s), first);
	cr_expect_eq(fl_clock_boot_to_real_s(boot_s + 60), first + 60);
}

Test(core_clock, times_are_rfc_3339)
{
	char text[FL_TIME_TEXT];

	cr_expect_str_eq(fl_time_format_s(0, text), "1970-01-01T00:00:00Z");
	cr_expect_str_eq(fl_time_format_s(4102444799, text), "2099-12-31T23:59:59Z");
	cr_expect_str_eq(fl_time_format_ms(1000000000042, text), "2001-09-09T01:46:40.042Z");
}
