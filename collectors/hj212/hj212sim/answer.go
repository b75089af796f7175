package hj212sim

import (
	"fmt"
	"time"
)

// mostReports bounds an answer about the past.
const mostReports = 1000

// answer does what the gateway asks for.
func (s *session) answer(h heard) {
	qn := h["QN"]
	say := func(cn, data string) { s.say(s.packet(qn, "91", cn, 0, data)) }
	switch s.misbehaves() {
	case NoAnswer:
		return
	case Refuse:
		say("9011", "QnRtn=2")
		return
	}
	if h["PW"] != s.options.Password {
		say("9011", "QnRtn=3")
		return
	}
	switch h["CN"] {
	case "1011":
		say("9011", "QnRtn=1")
		say("1011", "SystemTime="+s.now().Format("20060102150405"))
		say("9012", "ExeRtn=1")
	case "1012":
		say("9011", "QnRtn=1")
		to, err := time.ParseInLocation("20060102150405", h["SystemTime"], s.zone)
		if err != nil {
			say("9012", "ExeRtn=3")
			return
		}
		s.SetClock(to.Sub(s.options.Clock()))
		say("9012", "ExeRtn=1")
	case "2051":
		s.past(h, time.Minute)
	case "2061":
		s.past(h, time.Hour)
	case "2031":
		s.past(h, 24*time.Hour)
	default:
		say("9011", "QnRtn=8")
	}
}

// past sends the reports of a time, every step on the clock.
func (s *session) past(h heard, step time.Duration) {
	qn := h["QN"]
	from, err := time.ParseInLocation("20060102150405", h["BeginTime"], s.zone)
	to, err2 := time.ParseInLocation("20060102150405", h["EndTime"], s.zone)
	if err != nil || err2 != nil {
		s.say(s.packet(qn, "91", "9011", 0, "QnRtn=2"))
		return
	}
	s.say(s.packet(qn, "91", "9011", 0, "QnRtn=1"))
	count := 0
	at := from.Truncate(step)
	if at.Before(from) {
		at = at.Add(step)
	}
	for ; !at.After(to) && count < mostReports; at = at.Add(step) {
		s.say(s.packet(qn, "32", h["CN"], 0, data(at.Format("20060102150405"), mean(at, s.options.Edition))))
		count++
	}
	result := 1
	if count == 0 {
		result = 100
	}
	s.say(s.packet(qn, "91", "9012", 0, fmt.Sprintf("ExeRtn=%d", result)))
}
