package notify

import (
	"fmt"
	"strings"
	"time"

	"sluice/gateway/rules"
)

// Letter is one message to people.
type Letter struct {
	Gateway  string `json:"gateway"`
	ID       string `json:"id"`   // the same when it is sent again
	Kind     string `json:"kind"` // alarms, reminder or test
	Subject  string `json:"subject"`
	Text     string `json:"text"`
	Events   []Line `json:"events"`
	More     int    `json:"more"` // alarms beyond those listed
	Language string `json:"language"`
	Time     int64  `json:"ts"` // Unix milliseconds
}

// phrases are the words of one language.
type phrases struct {
	severity                                 map[string]string
	raised, cleared, passed, gap, still      string
	one, many, ended, reminder, test, tested string
	more, layout, sources                    string
}

var languages = map[string]phrases{
	"en": {
		severity: map[string]string{"info": "Info", "warning": "Warning", "critical": "CRITICAL"},
		raised:   "begun %s", cleared: "ended %s", passed: "from %s to %s, over by now", gap: "noticed %s", still: "since %s, not acknowledged",
		one: "[%s] %s: %s", many: "[%s] %d alarms, %s: %s", ended: "ended", reminder: "[%s] %d alarms wait for somebody",
		test: "[%s] Test of the notification %s", tested: "This is a test. If you read it, alarms of the gateway %s will reach you.",
		more: "And %d more changes that are not listed here; the gateway's page shows all of them.", layout: "2006-01-02 15:04:05",
		sources: "Gateway %s",
	},
	"zh": {
		severity: map[string]string{"info": "提示", "warning": "警告", "critical": "严重"},
		raised:   "发生于 %s", cleared: "恢复于 %s", passed: "%s 发生，%s 已恢复", gap: "发现于 %s", still: "自 %s 起，尚未确认",
		one: "[%s] %s：%s", many: "[%s] %d 条报警，%s：%s", ended: "已恢复", reminder: "[%s] 有 %d 条报警尚未确认",
		test: "[%s] 通知 %s 的测试", tested: "这是一条测试消息。收到它，说明网关 %s 的报警可以送达。",
		more: "另有 %d 条变化未在此列出，请在网关页面查看。", layout: "2006-01-02 15:04:05",
		sources: "网关 %s",
	},
}

func (p phrases) moment(at int64) string { return time.UnixMilli(at).Format(p.layout) }

// compose writes what happened.
func compose(gateway, language string, lines []Line, more int, now int64) Letter {
	p := languages[language]
	l := Letter{Gateway: gateway, Kind: "alarms", Events: lines, More: more, Language: language, Time: now}
	worst, open := "info", false
	ranks := map[string]int{"info": 1, "warning": 2, "critical": 3}
	var text strings.Builder
	for i := range lines {
		line := &lines[i]
		when := ""
		switch {
		case line.State == rules.Gap:
			when = fmt.Sprintf(p.gap, p.moment(line.Time))
		case line.Began != nil && line.Ended != nil:
			when = fmt.Sprintf(p.passed, p.moment(*line.Began), p.moment(*line.Ended))
		case line.Ended != nil:
			when = fmt.Sprintf(p.cleared, p.moment(*line.Ended))
		default:
			when = fmt.Sprintf(p.raised, p.moment(line.Time))
		}
		if line.Ended == nil {
			open = true
			if ranks[line.Severity] > ranks[worst] {
				worst = line.Severity
			}
		}
		fmt.Fprintf(&text, "%s · %s\n    %s · %s\n", p.severity[line.Severity], line.Words(language), line.Alarm, when)
	}
	if more > 0 {
		fmt.Fprintf(&text, "\n"+p.more+"\n", more)
	}
	fmt.Fprintf(&text, "\n"+p.sources+"\n", gateway)
	l.Text = text.String()
	state := p.ended
	if open {
		state = p.severity[worst]
	}
	if len(lines) == 1 && more == 0 {
		l.Subject = fmt.Sprintf(p.one, gateway, state, lines[0].Words(language))
	} else if len(lines) > 0 {
		l.Subject = fmt.Sprintf(p.many, gateway, len(lines)+more, state, lines[0].Words(language))
	}
	return l
}

// remind writes what nobody has acknowledged.
func remind(gateway, language string, open []rules.Alarm, now int64) Letter {
	p := languages[language]
	l := Letter{Gateway: gateway, Kind: "reminder", Language: language, Time: now, Subject: fmt.Sprintf(p.reminder, gateway, len(open))}
	var text strings.Builder
	for i, a := range open {
		if i == maxLines {
			l.More = len(open) - i
			fmt.Fprintf(&text, "\n"+p.more+"\n", l.More)
			break
		}
		e := a.Event(gateway)
		began := e.Since
		l.Events = append(l.Events, Line{Event: e, Began: &began})
		fmt.Fprintf(&text, "%s · %s\n    %s · %s\n", p.severity[a.Severity], e.Words(language), a.Alarm, fmt.Sprintf(p.still, p.moment(a.Since)))
	}
	fmt.Fprintf(&text, "\n"+p.sources+"\n", gateway)
	l.Text = text.String()
	return l
}

func testLetter(gateway, name, language string, now int64) Letter {
	p := languages[language]
	return Letter{
		Gateway: gateway, Kind: "test", Language: language, Time: now, Events: []Line{},
		Subject: fmt.Sprintf(p.test, gateway, name), Text: fmt.Sprintf(p.tested, gateway) + "\n",
	}
}
