package hj212

import (
	"time"

	wire "sluice/gateway/hj212"
)

// requested answers what the server asks for. It may have the time. Clock and intervals are the
// gateway's own, and old reports cannot be looked up through an uplink, which is given each message
// once: such requests are refused, so that the server need not wait.
func (l *link) requested(p wire.Packet) {
	code := "1"
	switch {
	case p.MN != l.uplink.options.MN:
		code = "4"
	case l.password != "" && p.PW != l.password:
		code = "3"
	case p.CN != wire.GetClock:
		code = "2"
		l.tell(p.CN)
	}
	answers := []wire.Packet{l.answer(p, wire.Accepted, "QnRtn="+code)}
	if code == "1" {
		answers = append(answers,
			l.answer(p, wire.GetClock, "SystemTime="+wire.FormatTime(time.Now().In(l.uplink.zone))),
			l.answer(p, wire.Result, "ExeRtn=1"))
	}
	if err := l.write(answers...); err != nil {
		l.uplink.log.Debug("a request of the server was not answered", "cn", p.CN, "err", err)
	}
}

func (l *link) answer(to wire.Packet, cn, data string) wire.Packet {
	flag := 0
	if l.uplink.options.Edition != edition2005 {
		flag = wire.Version2017
	}
	st := wire.AnswerST
	if cn == wire.GetClock {
		st = l.uplink.options.ST
	}
	return wire.Packet{QN: to.QN, ST: st, CN: cn, PW: l.password, MN: l.uplink.options.MN, Flag: flag, Data: data}
}

// mostTold bounds how many kinds of requests are remembered.
const mostTold = 32

// tell logs once that the server asks for something that it does not get.
func (l *link) tell(cn string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused[cn] || len(l.refused) == mostTold {
		return
	}
	l.refused[cn] = true
	l.uplink.log.Info("a request of the authority's server was refused: the gateway does not do this", "cn", cn)
}
