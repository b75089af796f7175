package rules

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"sluice/gateway/config"
	"sluice/gateway/message"
)

// rule is one configured alarm, ready to be asked.
type rule struct {
	config.Alarm
	confirm, end int64 // for and clear_after, in milliseconds
	per          int64
	number       float64 // of equals, with isNumber
	isNumber     bool
	word         string // of equals, without isNumber
	states       []string
}

func newRule(a config.Alarm) *rule {
	r := &rule{
		Alarm: a, confirm: milliseconds(a.For), end: milliseconds(a.ClearAfter), per: max(1, milliseconds(a.Per)), states: a.States,
	}
	if len(r.states) == 0 {
		r.states = []string{"offline"}
	}
	switch v := a.Value.(type) {
	case bool:
		if r.isNumber = true; v {
			r.number = 1
		}
	case int64:
		r.number, r.isNumber = float64(v), true
	case float64:
		r.number, r.isNumber = v, true
	case string:
		r.word = v
	}
	return r
}

func milliseconds(d config.Duration) int64 { return int64(d) / 1e6 }

// ofDevice says whether the rule is about a device as a whole.
func (r *rule) ofDevice() bool { return r.When == "state" || r.When == "silence" && r.Point == "" }

// holds says whether a value is an alarm. raised: it was one until now, so that it must come back by the
// hysteresis.
func (r *rule) holds(s *state, v message.Value, at int64, raised bool) bool {
	back := 0.0
	if raised {
		back = r.Hysteresis
	}
	f, isNumber := v.Float()
	switch r.When {
	case "above":
		return isNumber && f > *r.Limit-back
	case "below":
		return isNumber && f < *r.Limit+back
	case "outside":
		return isNumber && (f < *r.Low+back || f > *r.High-back)
	case "equals":
		if r.isNumber {
			return isNumber && f == r.number
		}
		word, isText := v.AsText()
		return isText && word == r.word
	case "changes":
		return !s.value.Absent() && v != s.value
	case "rate":
		return isNumber && s.runs(r, f, at)
	}
	return false
}

// runs says whether a value has run away from where it was when the window of the rule began. The next window
// begins when one is over, so that two numbers are all there is to keep.
func (s *state) runs(r *rule, f float64, at int64) bool {
	span := at - s.from
	if s.from == 0 || span < 0 {
		s.from, s.base = at, f
		return false
	}
	far := math.Abs(f - s.base)
	if span >= r.per {
		far *= float64(r.per) / float64(span) // readings may be further apart than per
		s.from, s.base = at, f
		s.ran = far > *r.Limit
		return s.ran
	}
	return far > *r.Limit || s.ran
}

// words is what people are told of what is so, or of what is over.
func (r *rule) words(s *state, over bool) (en, zh string) {
	value := plain(s.value)
	if r.Text != "" {
		fill := strings.NewReplacer("{device}", s.device, "{point}", s.point, "{value}", value)
		return fill.Replace(r.Text), fill.Replace(cmp.Or(r.TextZH, r.Text))
	}
	en, zh = r.sentence(s, value, over)
	if r.TextZH != "" {
		zh = strings.NewReplacer("{device}", s.device, "{point}", s.point, "{value}", value).Replace(r.TextZH)
	}
	return en, zh
}

// conditions are the states of devices in Chinese.
var conditions = map[string]string{"online": "在线", "degraded": "部分异常", "offline": "离线"}

func (r *rule) sentence(s *state, value string, over bool) (en, zh string) {
	what, no, not := strings.TrimSuffix(s.device+" "+s.point, " "), "", ""
	if over {
		no, not = "no longer ", "不再"
	}
	say := func(e, z string, more ...any) (string, string) {
		return fmt.Sprintf("%s "+e, append([]any{what}, more...)...), fmt.Sprintf("%s "+z, append([]any{what}, more...)...)
	}
	switch r.When {
	case "above":
		return say("is %s, "+no+"above %s", "为 %s，"+not+"高于 %s", value, short(*r.Limit))
	case "below":
		return say("is %s, "+no+"below %s", "为 %s，"+not+"低于 %s", value, short(*r.Limit))
	case "outside":
		return say("is %s, "+no+"outside %s to %s", "为 %s，"+not+"超出 %s 至 %s", value, short(*r.Low), short(*r.High))
	case "changes":
		if over {
			return say("is %s and changes no longer", "为 %s，不再变化", value)
		}
		return say("has changed to %s", "变为 %s", value)
	case "rate":
		if over {
			return say("is %s and no longer changes so fast", "为 %s，变化恢复正常", value)
		}
		return say("is %s: it changes by more than %s within %s", "为 %s，%[4]s 内变化超过 %[3]s", value, short(*r.Limit), r.Per.String())
	case "silence":
		if over {
			return say("is heard again", "数据已恢复")
		}
		return say("has told nothing for %s", "已有 %s 没有数据", r.For.String())
	case "state":
		return what + " is " + value, what + " " + cmp.Or(conditions[value], value)
	}
	return say("is %s", "为 %s", value)
}

func short(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// plain writes a value for people.
func plain(v message.Value) string {
	if v.Absent() {
		return "–"
	}
	if word, is := v.AsText(); is {
		return word
	}
	return v.String()
}
