// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
package main // Consul's own commands in one program, for tests only: its licence is the BUSL

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/hashicorp/consul/command"
	"github.com/hashicorp/consul/command/cli"
	base "github.com/mitchellh/cli"
)

func main() {
	log.SetOutput(io.Discard) // libraries log here; the agent has its own logger
	out := &cli.BasicUI{BasicUi: base.BasicUi{Writer: os.Stdout, ErrorWriter: os.Stderr}}
	app := base.NewCLI("consul", "")
	app.Args = os.Args[1:]
	app.Commands = command.RegisteredCommands(out)
	code, err := app.Run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "consul:", err)
		code = 1
	}
	os.Exit(code)
}
