/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <string.h>

#include "model/reasons.h"

Test(reasons, every_one_has_a_name_of_its_own)
{
	for (unsigned i = 0; i < FL_REASON_COUNT; i++) {
		cr_assert_not_null(fl_reason_name(i), "%u", i);
		cr_assert_not_null(fl_reason_text(i), "%u", i);
		cr_expect_eq(fl_reason_find(fl_reason_name(i)), i, "%s", fl_reason_name(i));
	}
	cr_expect_str_eq(fl_reason_name(FL_DROP_NO_ENDPOINT), "no_endpoint");
	cr_expect_eq(fl_reason_find("no_such"), FL_REASON_COUNT);
	cr_expect_null(fl_reason_name(FL_REASON_COUNT));
	cr_expect_null(fl_reason_text(FL_REASON_COUNT));
}

Test(reasons, paths)
{
	cr_expect_str_eq(fl_path_name(FL_PATH_TARGET), "target");
	for (unsigned i = 0; i < FL_PATHS; i++)
		cr_expect_not_null(fl_path_name(i));
	cr_expect_null(fl_path_name(FL_PATHS));
}
