/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file sanitised.h
 * Whether this is a build with ASan, where everything takes several times as long
 * and as much: tests that walk through millions of states walk less far.
 */
#if defined(__SANITIZE_ADDRESS__)
#define TEST_IS_SANITISED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_IS_SANITISED 1
#endif
#endif
#ifndef TEST_IS_SANITISED
#define TEST_IS_SANITISED 0
#endif
