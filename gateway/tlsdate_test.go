package gateway

import (
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// cloudWithDate is a cloud that claims a day; its certificate is httptest's, good from 1970 to 2084.
func cloudWithDate(t *testing.T, date string) (address string, roots *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead || r.URL.Path != "/" {
			t.Errorf("it is asked %s %s", r.Method, r.URL)
		}
		w.Header().Set("Date", date)
	}))
	t.Cleanup(server.Close)
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server.URL + "/", roots
}

func TestACloudSaysTheTime(t *testing.T) {
	least := day("2026-11-01")
	for date, good := range map[string]bool{
		"Tue, 09 Nov 2027 10:00:00 GMT": true,
		"Sun, 01 Nov 2020 10:00:00 GMT": false, // before the program was made
		"Sat, 01 Jan 2089 10:00:00 GMT": false, // no certificate is good for so long
		"soon":                          false,
		"":                              false,
	} {
		address, roots := cloudWithDate(t, date)
		got, err := tlsDate(t.Context(), address, least, roots)
		if (err == nil) != good {
			t.Errorf("%q: %v, %v", date, got, err)
		}
		if _, err := tlsDate(t.Context(), address, least, x509.NewCertPool()); err == nil {
			t.Errorf("%q of somebody whom no authority knows is believed", date)
		}
	}
}

func TestWhoSetsTheClock(t *testing.T) {
	var set time.Time
	synced, may := false, true
	c := &clock{system: clockSystem{synchronised: func() bool { return synced }, maySet: func() bool { return may }, set: func(to time.Time) error {
		set = to
		return nil
	}, timezone: "/nowhere", localtime: "/nowhere"}}
	source := func(want string) {
		t.Helper()
		if got := c.Time().Source; got != want {
			t.Errorf("the source is %s, want %s", got, want)
		}
	}
	source("none")
	if may = false; c.setByCloud(day("2027-01-01")) || !set.IsZero() {
		t.Error("it was set without the right to")
	}
	if may = true; !c.setByCloud(day("2027-01-01")) || !set.Equal(day("2027-01-01")) {
		t.Errorf("by a cloud it is %v", set)
	}
	source("cloud")
	if err := c.SetTime(day("2027-02-01"), ""); err != nil {
		t.Fatal(err)
	}
	source("page")
	if c.setByCloud(day("2027-03-01")) || !set.Equal(day("2027-02-01")) {
		t.Error("a cloud has overruled the page")
	}
	synced = true
	source("ntp")
	failing := &clock{system: clockSystem{synchronised: func() bool { return false }, maySet: func() bool { return true }, set: func(time.Time) error { return errors.New("no") }}}
	if failing.setByCloud(day("2027-01-01")) {
		t.Error("what failed counts")
	}
}
