package measure

import (
	"strings"
	"testing"
)

func TestSummaryCountsWhatWasMeasured(t *testing.T) {
	goals := []Goal{
		Goal{Name: "sends", Wish: "2 × peer"}.Compare([]float64{1, 3, 2}, "×", 2, false),
		Goal{Name: "memory", Wish: "at most 10 MB"}.Compare([]float64{11}, "MB", 10, true),
		Goal{Name: "alone", Wish: "2 × peer"}.Compare(nil, "×", 2, false),
		Settle(Goal{Name: "broke", Wish: "2 × peer"}, []rate{0, 0}),
		Settle(Goal{Name: "came once", Wish: "2 × peer", State: Reached}, []rate{0, 1}),
	}
	var text strings.Builder
	Summary(&text, goals)
	const want = `
| goal | wish | measured | |
|---|---|---|---|
| sends | 2 × peer | 2.00 (1.00 to 3.00) × | reached |
| memory | at most 10 MB | 11.0 MB | not reached |
| broke | 2 × peer | failed | not reached |
| came once | 2 × peer |  | reached |

Goals: 2 of 4 reached; not reached: memory: at most 10 MB; broke: 2 × peer.
`
	if text.String() != want {
		t.Errorf("the summary is\n%s\nwant\n%s", text.String(), want)
	}
}
