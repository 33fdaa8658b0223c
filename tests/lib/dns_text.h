/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * @file dns_text.h
 * DNS messages to and from text, without any of the code they test.
 */

/** Make a query: id 0x1234, RD, class IN, one question. `name` as "web.service.fairlead";
 * "" is the root. `payload` != 0 adds EDNS of version 0. @return its length */
size_t dns_query_make(uint8_t *bytes, const char *name, uint16_t type, uint16_t payload);

#define DNS_TEXT_SIZE (1 << 20)

/**
 * Read an answer with every rule observed: names within the message, pointers that go
 * back, data as long as it says, nothing behind the last record.
 *
 * Writes "NOERROR aa tc rd; = A 192.0.2.11; ! fairlead. SOA ns.fairlead. … 7 0;
 * + c000020b.addr.fairlead. A 192.0.2.11; edns 1232 do": '=' answer, '!' authority,
 * '+' additional; the owner where it is not the question's name, the TTL where it is
 * not 0; records of a section in order of their text. SOA: both names, serial, minimum.
 * @param text  DNS_TEXT_SIZE bytes; on failure, what is wrong
 */
bool dns_answer_text(const uint8_t *bytes, size_t size, char *text);
