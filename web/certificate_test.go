package web

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeCertificates shows what was uploaded, else its own.
type fakeCertificates struct {
	mu       sync.Mutex // guards what follows
	uploaded bool
}

func (f *fakeCertificates) Current() Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	shown := Certificate{Kind: "self-made", Subject: "CN=line-3,O=Sluice", Names: []string{"line-3", "sluice.local", "192.168.10.2"}, Issuer: "CN=line-3,O=Sluice",
		From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2036, 11, 1, 0, 0, 0, 0, time.UTC),
		Fingerprint: strings.TrimSuffix(strings.Repeat("A7:0C:", 16), ":"), Lacks: []string{"10.0.0.7"}}
	if f.uploaded {
		shown.Kind, shown.Subject, shown.Issuer, shown.Lacks = "uploaded", "CN=gateway.plant.example", "CN=Plant CA", nil
	}
	return shown
}

func (f *fakeCertificates) SelfMade() bool { return f.Current().Kind == "self-made" }

func (f *fakeCertificates) Install(cert, key []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.Contains(string(cert), "CERTIFICATE") {
		return &FieldError{"cert", "this is no certificate in PEM form"}
	}
	if len(key) == 0 {
		return &FieldError{"key", "this is no key in PEM form"}
	}
	f.uploaded = true
	return nil
}

func (f *fakeCertificates) Remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.uploaded {
		return fmt.Errorf("%w: no certificate was uploaded", ErrNotAllowed)
	}
	f.uploaded = false
	return nil
}

func (f *fakeCertificates) Remake() error {
	if !f.SelfMade() {
		return fmt.Errorf("%w: another certificate is shown", ErrNotAllowed)
	}
	return nil
}

func TestACertificateIsUploadedAndTakenBack(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	admin := bearer(s)
	if p := wantProblem(t, ask(s, "PUT", certificatePath, `{"cert":"x","key":"y"}`, admin...), http.StatusUnprocessableEntity); p.Field != "cert" {
		t.Errorf("what is no certificate is about %q", p.Field)
	}
	wantProblem(t, ask(s, "PUT", certificatePath, `null`, admin...), http.StatusUnprocessableEntity)
	wantProblem(t, ask(s, "DELETE", certificatePath, "", admin...), http.StatusConflict)
	const secret = "the-private-part"
	shown := decode[Certificate](t, ask(s, "PUT", certificatePath, `{"cert":"-----BEGIN CERTIFICATE-----","key":"`+secret+`"}`, admin...))
	if shown.Kind != "uploaded" || shown.Listen != "127.0.0.1:0" {
		t.Errorf("after the upload it is %+v", shown)
	}
	wantProblem(t, ask(s, "POST", certificatePath, "", admin...), http.StatusConflict)
	if shown := decode[Certificate](t, ask(s, "DELETE", certificatePath, "", admin...)); shown.Kind != "self-made" {
		t.Errorf("after going back it is %+v", shown)
	}
	decode[Certificate](t, ask(s, "POST", certificatePath, "", admin...))
	records, _ := gateway.keeper.Audits(0, 10)
	if len(records) != 3 || !strings.Contains(records[2].Before, "self-made") || !strings.Contains(records[2].After, "uploaded") {
		t.Errorf("the records are %+v", records)
	}
	for _, r := range records {
		if strings.Contains(r.Before+r.After, secret) {
			t.Errorf("the record %+v shows the key", r)
		}
	}
}
