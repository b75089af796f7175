package diagnosis

import (
	"fmt"
	"slices"
)

// Text is one sentence in both languages.
type Text struct{ English, Chinese string }

// Finding is one thing that is wrong.
type Finding struct {
	Row      string // the row of the table that says so
	Device   string // the device that it is about; "" for the bus
	Evidence Text   // what was seen
	Cause    Text   // what that means most likely
	Next     Text   // what to do about it
}

// row is one line of the table. see looks at the evidence and gives what was seen, for the bus with an
// empty name or for devices; a row that ends outweighs all below it.
type row struct {
	name        string
	ends        bool
	apart       bool // what a row above says about a device does not explain it
	see         func(e *Evidence) []sight
	cause, next Text
}

// sight is one thing seen.
type sight struct {
	device string
	seen   Text
}

// Rows names the rows of the table in the order in which they count.
func Rows() []string {
	var names []string
	for _, r := range table {
		names = append(names, r.name)
	}
	return names
}

// Diagnose gives what is wrong with a bus, the most telling first; nothing for one that is well.
func Diagnose(e *Evidence) []Finding {
	var all []Finding
	about := map[string]bool{} // devices that a row above has explained
	rows := table
	if e.Kind == Reporting {
		rows = reportingRows
	}
	for _, r := range rows {
		seen := slices.DeleteFunc(r.see(e), func(s sight) bool { return !r.apart && about[s.device] })
		for _, s := range seen {
			if s.device != "" {
				about[s.device] = true
			}
			all = append(all, Finding{Row: r.name, Device: s.device, Evidence: s.seen, Cause: r.cause, Next: r.next})
		}
		if r.ends && len(seen) > 0 {
			break
		}
	}
	return all
}

// whole makes a row's see of a condition about the whole bus.
func whole(when func(e *Evidence) bool, english, chinese string, values func(e *Evidence) []any) func(*Evidence) []sight {
	return func(e *Evidence) []sight {
		if !when(e) {
			return nil
		}
		return []sight{{seen: text(english, chinese, values(e))}}
	}
}

// each makes a row's see of a condition about single devices.
func each(when func(e *Evidence, d *Device) bool, english, chinese string, values func(d *Device) []any) func(*Evidence) []sight {
	return func(e *Evidence) (seen []sight) {
		for i := range e.Devices {
			if d := &e.Devices[i]; when(e, d) {
				seen = append(seen, sight{d.Name, text(english, chinese, append([]any{d.Name}, values(d)...))})
			}
		}
		return seen
	}
}

func text(english, chinese string, values []any) Text {
	return Text{fmt.Sprintf(english, values...), fmt.Sprintf(chinese, values...)}
}
