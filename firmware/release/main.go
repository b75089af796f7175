// Command release makes what a release has beside its programs: the bill of materials and the signature.
//
//	release sbom PROGRAM PACKAGE-LOCK >sluice.cdx.json
//	release sign FILE                        writes FILE.minisig, with the key in SLUICE_RELEASE_KEY (its text) or
//	                                         SLUICE_RELEASE_KEY_FILE, as minisign -G -W makes one
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := command(os.Args[1:], os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func command(args []string, environment func(string) string) error {
	switch {
	case len(args) == 3 && args[0] == "sbom":
		return writeBill(os.Stdout, args[1], args[2])
	case len(args) == 2 && args[0] == "sign":
		return signFile(args[1], environment)
	}
	return fmt.Errorf("release sbom PROGRAM PACKAGE-LOCK, or release sign FILE; not %q", args)
}
