package firmware

import "strings"

// Refusal is why a bundle is not installed.
type Refusal struct {
	// Kind is signature, signer, time, board, version, damaged, format, space, network, modules, busy,
	// missing or other; a page has words of its own for each.
	Kind string
	Said string // RAUC's own words
}

// refusals are what each kind means, and what to do about it.
var refusals = map[string]string{
	"signature": "its signature does not fit its content: the file was changed or damaged after it was signed; fetch it again from where it is published",
	"signer":    "it is not signed by anybody that this gateway trusts; use a bundle from the maker of this image, or an image made with your own keys",
	"time":      "a certificate of its signer does not count at this time; see whether the gateway's clock is right",
	"board":     "it is for another board; fetch the bundle that is made for this one",
	"version":   "it is older than this image allows; fetch a newer one",
	"damaged":   "its content is damaged; fetch it again",
	"format":    "it is no bundle, or not a whole one; fetch it again and compare its size",
	"space":     "there is no space for it; make room on the data partition",
	"network":   "it could not be fetched; check the address and whether the gateway reaches the server",
	"modules":   "this system lacks something of its kernel that updates need; the journal of RAUC says more",
	"busy":      "another installation runs; wait until it has ended",
	"missing":   "there is no such file; name one that exists",
	"other":     "the installer refused it",
}

func (r *Refusal) Error() string {
	text := "the bundle is not installed: " + refusals[r.Kind]
	if r.Said != "" {
		text += " (" + r.Said + ")"
	}
	return text
}

// explain sorts what RAUC said. Only its words tell what was wrong: it has no codes.
func explain(said string) *Refusal {
	said = strings.TrimSpace(said)
	lower := strings.ToLower(said)
	for _, s := range sayings {
		if strings.Contains(lower, s.words) {
			return &Refusal{s.kind, said}
		}
	}
	return &Refusal{"other", said}
}
