/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>

/**
 * @file doctor.h
 * What this kernel, its devices and this process allow, and what to do about what
 * they do not. It looks and tries, but changes nothing that traffic could notice: no
 * program is attached to a device. Needs no agent.
 *
 * Each row of the list is an object:
 *
 *   check    what was looked at: "capabilities", "xdp", "mtu", …
 *   subject  the interface or file it was looked at for, or null
 *   result   "ok", "warn" (it works, but less well than it could, or could not be
 *            found out) or "fail" (fairleadd or an interface will not work)
 *   found    what was found, in words
 *   hint     what to do, or null
 *
 * @param config_file  whose interfaces, directories and ports are looked at;
 *                     NULL = the defaults, and every Ethernet device that is up
 * @return new reference; NULL when out of memory
 */
json_t *fl_doctor(const char *config_file);
