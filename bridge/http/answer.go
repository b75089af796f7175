package http

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// verdict is what an answer means.
type verdict byte

const (
	taken2xx verdict = iota // the receiver has taken responsibility
	refused                 // it will never take this message
	notNow                  // it does not take this message, but may later
	wrongWay                // it takes nothing as the uplink is configured: messages must not pay for that
	wrongURL                // like wrongWay, but like notNow where each message has an address of its own
	busy                    // it is there but takes nothing for now
	ill                     // its program has failed: over all messages, or over this one
)

// answers are the statuses that mean something else than their hundred (see verdictOf).
var answers = map[int]struct {
	verdict verdict
	hint    string
}{
	http.StatusUnauthorized:         {wrongWay, "see username, password_file and token_file"},
	http.StatusPaymentRequired:      {wrongWay, "has the contract ended?"},
	http.StatusForbidden:            {wrongURL, "may this gateway write there?"},
	http.StatusNotFound:             {wrongURL, "is the path in address right?"},
	http.StatusMethodNotAllowed:     {wrongWay, "see method, and the path in address"},
	http.StatusNotAcceptable:        {wrongWay, "see body"},
	http.StatusProxyAuthRequired:    {wrongWay, "see proxy.username"},
	http.StatusRequestTimeout:       {busy, "the line may be too slow for bodies so large: see bytes"},
	http.StatusConflict:             {notNow, ""},
	http.StatusGone:                 {wrongURL, "is the path in address right?"},
	http.StatusUnsupportedMediaType: {wrongWay, "see body and gzip"},
	http.StatusMisdirectedRequest:   {busy, ""},
	http.StatusLocked:               {notNow, ""},
	http.StatusFailedDependency:     {notNow, ""},
	http.StatusTooEarly:             {busy, ""},
	http.StatusUpgradeRequired:      {wrongWay, ""},
	http.StatusPreconditionRequired: {wrongWay, ""},
	http.StatusTooManyRequests:      {busy, "it wants fewer requests: see count, linger and limit"},

	http.StatusRequestHeaderFieldsTooLarge: {wrongWay, "see headers"},

	http.StatusNotImplemented:          {wrongWay, "see method"},
	http.StatusBadGateway:              {busy, ""},
	http.StatusServiceUnavailable:      {busy, ""},
	http.StatusGatewayTimeout:          {busy, ""},
	http.StatusHTTPVersionNotSupported: {wrongWay, ""},
	http.StatusInsufficientStorage:     {busy, "its disk is full"},

	http.StatusNetworkAuthenticationRequired: {wrongWay, "the network here wants a login first"},
}

// verdictOf judges a status by the table, else by its hundred.
func verdictOf(status int) (verdict, string) {
	if known, ok := answers[status]; ok {
		return known.verdict, known.hint
	}
	switch status / 100 {
	case 2:
		return taken2xx, ""
	case 3:
		return wrongWay, "it is somewhere else, which is not followed: write that into address"
	case 4:
		return refused, ""
	case 5:
		return ill, ""
	}
	return wrongWay, "is that an HTTP server?"
}

const (
	// maxExcerpt bounds what is quoted of an answer, in characters.
	maxExcerpt = 160
	// maxAnswer is how much of an answer is read; a connection with a longer one is given up.
	maxAnswer = 64 << 10
	// maxWait bounds what a receiver may ask for with Retry-After.
	maxWait = 15 * time.Minute
)

// words tells what was answered, with what the receiver says about it if that can be read.
func words(host string, response *http.Response, body []byte) string {
	text := fmt.Sprintf("%s answers %d", host, response.StatusCode)
	if name := http.StatusText(response.StatusCode); name != "" {
		text += " " + name
	}
	if to := response.Header.Get("Location"); to != "" && response.StatusCode/100 == 3 {
		text += " to " + excerpt([]byte(to))
	}
	if said := excerpt(body); said != "" {
		text += ": " + said
	}
	return text
}

// excerpt makes a short line of an answer's body. A page for a browser says nothing worth a line.
func excerpt(body []byte) string {
	body = body[:min(len(body), 4*maxExcerpt)]
	var b strings.Builder
	n, gap := 0, false
	for len(body) > 0 && n < maxExcerpt {
		r, size := utf8.DecodeRune(body)
		body = body[size:]
		switch {
		case unicode.IsSpace(r):
			gap = n > 0
			continue
		case r == utf8.RuneError || !unicode.IsGraphic(r):
			continue
		case r == '<' && n == 0:
			return ""
		}
		if gap {
			b.WriteByte(' ')
			n, gap = n+1, false
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// retryAfter reads how long a receiver asks to wait, RFC 9110 section 10.2.3: seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxWait/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxWait))
}
