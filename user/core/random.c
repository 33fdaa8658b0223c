/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/random.h"

#include <sys/random.h>

#include "core/clock.h"

uint32_t fl_random_bits(void)
{
	uint32_t bits;

	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits))
		bits = (uint32_t)fl_clock_mono_ns();
	return bits;
}
