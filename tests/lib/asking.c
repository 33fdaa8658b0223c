/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/asking.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"

#define DEADLINE_NS 60000000000ull
#define LOOK_MS     200

static void on_watchdog(uv_timer_t *timer)
{
	struct test_asking *asking = timer->data;

	cr_assert_lt(fl_clock_mono_ns(), asking->end_ns, "no end of it");
}

void test_asking_begin(struct test_asking *asking, const struct fl_http_options *options)
{
	const struct fl_http_options plain = { 0 };
	struct fl_failure failure = { 0 };

	cr_assert_eq(uv_loop_init(&asking->loop), 0);
	uv_timer_init(&asking->loop, &asking->watchdog);
	asking->watchdog.data = asking;
	cr_assert_eq(
		fl_http_open(&asking->loop, options ? options : &plain, &failure, &asking->http), 0,
		"%s", failure.message);
}

void test_asking_end(struct test_asking *asking)
{
	fl_http_close(asking->http);
	uv_close((uv_handle_t *)&asking->watchdog, NULL);
	uv_run(&asking->loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&asking->loop), 0, "a handle was left open");
}

void test_asking_until(struct test_asking *asking, const unsigned *count, unsigned wanted)
{
	asking->end_ns = fl_clock_mono_ns() + DEADLINE_NS;
	uv_timer_start(&asking->watchdog, on_watchdog, LOOK_MS, LOOK_MS);
	while (*count < wanted)
		uv_run(&asking->loop, UV_RUN_ONCE);
	uv_timer_stop(&asking->watchdog);
	cr_expect_eq(*count, wanted);
}

void test_result_done(void *context, struct fl_http_answer *answer)
{
	struct test_result *result = context;

	result->calls++;
	result->error = answer->error;
	result->status = answer->status;
	result->length = answer->length;
	result->body = TAKE_PTR(answer->body);
	snprintf(result->message, sizeof(result->message), "%s", answer->message);
	if (!fl_http_header(answer, "x-token", result->token, sizeof(result->token)))
		result->token[0] = '\0';
	if (result->then)
		result->then(result->context);
}

int test_asking_send(struct test_asking *asking, const struct fl_http_request *request,
	struct test_result *result, struct fl_http_call **ret)
{
	return fl_http_send(asking->http, request, test_result_done, result, ret);
}

void test_asking_get(
	struct test_asking *asking, const struct fl_http_request *request, struct test_result *ret)
{
	*ret = (struct test_result){ 0 };
	cr_assert_eq(test_asking_send(asking, request, ret, NULL), 0);
	test_asking_until(asking, &ret->calls, 1);
}
