/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/base64.h"

#include <errno.h>
#include <stdint.h>

/* @return 0-63, -1 for what is no digit */
static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, of which the last `padding` are '='. @return 24 bits, -1 when they are none */
static int32_t group_of(const char *text, size_t padding)
{
	int32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int digit = i + padding < 4 ? digit_of(text[i]) : 0;

		if (digit < 0)
			return -1;
		bits = bits << 6 | digit;
	}
	if (bits & ((1 << 8 * padding) - 1)) /* bits that belong to no byte */
		return -1;
	return bits;
}

int fl_base64_decode(const char *text, size_t length, void *ret, size_t *ret_length)
{
	uint8_t *to = ret;
	size_t padding = 0;

	if (length % 4)
		return -EINVAL;
	while (length && padding < 2 && text[length - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < length; i += 4) {
		size_t lacks = i + 4 == length ? padding : 0;
		int32_t bits = group_of(text + i, lacks);

		if (bits < 0)
			return -EINVAL;
		for (size_t j = 0; j < 3 - lacks; j++)
			*to++ = (uint8_t)(bits >> (16 - 8 * j));
	}
	*ret_length = (size_t)(to - (uint8_t *)ret);
	return 0;
}
