/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>
#include <stdio.h>

/**
 * @file shown.h
 * Text on a terminal: how wide it is, and how to print what others wrote.
 */

/** Print text from elsewhere: control bytes, marks that turn the direction of
 * writing, and what is no UTF-8 are shown as \xHH, never sent. */
void fl_text_show(const char *text, FILE *out);

/** Columns that fl_text_show takes on a terminal, in any locale. */
int fl_text_width(const char *text);

/** "45s", "3m20s", "2h05m", "4d03h". @return `buffer` */
char *fl_duration_format(uint64_t seconds, char buffer[24]);
