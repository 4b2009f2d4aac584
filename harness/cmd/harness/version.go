package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

func versionCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "say which version this is, and which servers it runs",
		Long:    "version prints the harness's version, and the versions of the servers that it is made for.",
		Example: "  harness version",
		Args:    noArgs,
	}
	asJSON := jsonFlag(cmd, "print them as JSON")
	cmd.RunE = func(*cobra.Command, []string) error {
		v := struct {
			Harness    string            `json:"harness"`
			Go         string            `json:"go"`
			System     string            `json:"system"`
			Local      map[string]string `json:"local"`
			Containers map[string]string `json:"containers"`
		}{
			Harness: ownVersion(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
			Local: map[string]string{}, Containers: imagesOf(),
		}
		for _, t := range append(toolchain.Tools(), toolchain.Mailpit) {
			v.Local[string(t)] = toolchain.Pinned(t)
		}
		if *asJSON {
			return writeJSON(io.out, v)
		}
		fmt.Fprintf(io.out, "harness %s (%s, %s)\n", v.Harness, v.Go, v.System)
		return writeTable(io.out, [][]string{
			{"", "local", "containers"},
			{"inngest", v.Local["inngest"], v.Containers["inngest"]},
			{"mailhog", v.Local["mailhog"], v.Containers["mailhog"]},
			{"mailpit", v.Local["mailpit"], v.Containers["mailpit"]},
			{"mongo", "FerretDB " + v.Local["mongo"] + " (stand-in)", v.Containers["mongo"]},
		})
	}
	return cmd
}

// ownVersion is the module's version, which a build from a checkout does not have.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
