/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/cli.h"

/** `fairlead`: looks at the agent and at what it left in the kernel. */
int main(int argc, char **argv)
{
	return fl_cli_main(argc, argv);
}
