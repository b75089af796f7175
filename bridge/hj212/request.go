package hj212

import (
	"time"

	wire "sluice/gateway/hj212"
)

// requested answers what the server asks for: the time, and old reports. Clock and intervals are the
// gateway's own: such requests are refused, so that the server need not wait.
func (l *link) requested(p wire.Packet) {
	code := "1"
	switch {
	case p.MN != l.uplink.options.MN:
		code = "4"
	case l.password != "" && p.PW != l.password:
		code = "3"
	case isPast(p.CN) && l.uplink.past != nil:
		l.lookBack(p)
		return
	case p.CN != wire.GetClock:
		code = "2"
		l.refuse(p.CN)
	}
	answers := []wire.Packet{l.answer(p, wire.Accepted, "QnRtn="+code)}
	if code == "1" {
		answers = append(answers,
			l.answer(p, wire.GetClock, "SystemTime="+wire.FormatTime(time.Now().In(l.uplink.zone))),
			l.answer(p, wire.Result, "ExeRtn=1"))
	}
	l.reply(p, answers...)
}

// reply says whether the answers to a request are on their way.
func (l *link) reply(to wire.Packet, answers ...wire.Packet) bool {
	err := l.write(answers...)
	if err != nil {
		l.uplink.log.Debug("a request of the server was not answered", "cn", to.CN, "err", err)
	}
	return err == nil
}

func (l *link) answer(to wire.Packet, cn, data string) wire.Packet {
	flag, st := wire.Version2017, wire.AnswerST
	if l.uplink.options.Edition == edition2005 {
		flag = 0
		if cn != wire.GetClock {
			data = "QN=" + to.QN + ";" + data // there an answer names its request in the data area
		}
	}
	if cn == wire.GetClock {
		st = l.uplink.options.ST
	}
	return wire.Packet{QN: to.QN, ST: st, CN: cn, PW: l.password, MN: l.uplink.options.MN, Flag: flag, Data: data}
}

// mostTold bounds how many kinds of requests are remembered.
const mostTold = 32

// refuse logs once that the server asks for something that it does not get.
func (l *link) refuse(cn string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused[cn] || len(l.refused) == mostTold {
		return
	}
	l.refused[cn] = true
	l.uplink.log.Info("a request of the authority's server was refused: the gateway does not do this", "cn", cn)
}
