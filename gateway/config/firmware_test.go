package config

import (
	"strings"
	"testing"
)

func TestFirmwareMustBeAbleToProveItself(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "",
		"firmware: {}":                        "",
		"firmware: {stable: 1h, within: 2h}":  "",
		"firmware: {stable: 10m, within: 5m}": "no new system could ever be kept",
		"firmware: {stable: 1h}":              "no new system could ever be kept", // the default of within is half an hour
	} {
		_, err := Parse("sluice.yaml", []byte("store: {dir: ./data}\n"+text), Kinds{})
		if (err == nil) != (want == "") || want != "" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
