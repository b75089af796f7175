package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/gateway/config"
)

// dateTime is how long one cloud may take to say what time it is.
const dateTime = 10 * time.Second

// cloudDates lists the clouds that can be asked for the time: those that are reached over HTTPS, as URLs.
func cloudDates(c *config.Config) (all []string) {
	for _, u := range c.Uplinks {
		for end := range strings.SplitSeq(endpoint(u.Options), ",") {
			if at, err := url.Parse(strings.TrimSpace(end)); err == nil && at.Scheme == "https" && at.Host != "" && len(all) < mostTargets {
				all = append(all, "https://"+at.Host+"/")
			}
		}
	}
	return all
}

// tlsDate asks a cloud for the time, of which nothing is known but that it is not before least. The
// certificate cannot be checked against a clock that is wrong, so it is checked against the date that its
// owner claims: whoever holds a key that has long expired could claim its days, but none before least. Nothing
// of ours is sent. roots nil: the authorities of the system.
func tlsDate(ctx context.Context, address string, least time.Time, roots *x509.CertPool) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, dateTime)
	defer cancel()
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // it is verified below, when it is known for which day
	}}
	asking := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask %s for the time: %w", address, err)
	}
	response, err := asking.Do(request)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask %s for the time: %w", address, err)
	}
	response.Body.Close()
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err == nil && date.Before(least) {
		err = errors.New("it names a day that is over")
	}
	if err == nil && response.TLS == nil {
		err = errors.New("it does not speak TLS")
	}
	if err == nil {
		between := x509.NewCertPool()
		for _, one := range response.TLS.PeerCertificates[1:] {
			between.AddCert(one)
		}
		_, err = response.TLS.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: request.URL.Hostname(), Roots: roots, Intermediates: between, CurrentTime: date})
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("ask %s for the time: %w", address, err)
	}
	return date, nil
}

// askClouds sets the time by the first cloud that says it credibly; false: none did. A time server and a
// person at the page go before: it is asked only while neither vouches for the clock.
func (g *Gateway) askClouds(ctx context.Context) bool {
	for _, address := range cloudDates(g.Config()) {
		date, err := tlsDate(ctx, address, g.floor.least(), nil)
		if err != nil {
			g.log.Debug("a cloud did not say the time", "err", err)
			continue
		}
		if g.clock.setByCloud(date) {
			g.log.Info("the clock was set by a cloud", "cloud", address, "time", date)
		} else {
			g.log.Info("records are stamped by a cloud's time; the gateway may not set the clock", "cloud", address, "time", date)
		}
		g.floor.raise(date)
		return true
	}
	return false
}
